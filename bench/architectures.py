"""`python -m bench.architectures`: converts every model of the zoo, and writes the README's table.

Figures come from each conversion's own report.json; nothing is typed in. Models are made once,
under .build/architectures, and converted anew each time.
"""

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.readme import replace_section
from bench.zoo import ZOO

WORK = Path(".build/architectures")
README = Path("README.md")
SECTION = "architectures"
# Without data there is nothing to choose by: random weights get the recipe that needs none.
UNJUDGED = "dynamic_wi8_afp32"
MEGABYTE = 1_000_000


def main(arguments: Sequence[str]) -> int:
    """Measures the models named; or all, and then writes the README. Returns the exit code."""
    unknown = sorted(set(arguments) - set(ZOO))
    if unknown:
        print(f"no such model: {', '.join(unknown)}; there are {', '.join(ZOO)}", file=sys.stderr)
        return 2
    rows = [HEAD, RULE]
    for name in arguments or ["digits", *ZOO]:
        folder = Path("models/digits") if name == "digits" else made(name)
        report, original = _converted(name, folder)
        rows.append(row(name, report, _compressed(original)))
        print(rows[-1], flush=True)
    if not arguments:
        replace_section(README, SECTION, "\n".join(rows))
        print(f"{README}: table written")
    return 0


HEAD = "| model | recipe | size | gzip | metric | agreement | one call |"
RULE = "| --- | --- | ---: | ---: | ---: | ---: | ---: |"


def row(name: str, report: Mapping[str, Any], original_gzip: int) -> str:
    """Renders one model: before -> after.

    Args:
        name: The model's.
        report: Its report.json.
        original_gzip: Bytes of the original after gzip.
    """
    before = report["original"]
    after = next(it for it in report["candidates"] if it["recipe"] == report["chosen"])
    metric, agreement = "", ""
    if before["metric"] is not None:
        metric = f"{report['metric']} {before['metric']:.4g} → {after['metric']:.4g}"
        agreement = f"{after['agreement']:.2%}"
    cells = (
        name,
        f"`{report['chosen']}`",
        f"{_size(before['bytes'])} → {_size(after['bytes'])}",
        f"{_size(original_gzip)} → {_size(after['gzip_bytes'])}",
        metric,
        agreement,
        f"{before['latency_ms']:.3g} → {after['latency_ms']:.3g} ms",
    )
    return f"| {' | '.join(cells)} |"


def made(name: str) -> Path:
    """Makes a model of the zoo, unless it lies there; returns its folder."""
    folder = WORK / name
    if not (folder / "model.yaml").exists():
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run left
        print(f"making {name} ...", file=sys.stderr, flush=True)
        _run("bench.zoo", name, str(folder))
    return folder


def _converted(name: str, folder: Path) -> tuple[dict[str, Any], Path]:
    out = WORK / "out" / name
    print(f"converting {name} ...", file=sys.stderr, flush=True)
    judged = "evaluation" in yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    _run("convert", str(folder), "--out", str(out), *([] if judged else ["--recipe", UNJUDGED]))
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report, folder / "model.keras"


def _compressed(model: Path) -> int:
    return len(gzip.compress(model.read_bytes(), mtime=0))


def _run(module: str, *arguments: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments], check=False, stderr=subprocess.PIPE, text=True
    )
    if ended.returncode:
        sys.stderr.write(ended.stderr)
        raise SystemExit(f"python -m {module} {' '.join(arguments)} ended with {ended.returncode}")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= MEGABYTE else f"{count / 1e3:.0f} kB"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
