"""The README's tables, between two markers, written by the command alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import targets
from bench.containers import PERIOD_US
from bench.cost import COLD_SHARE
from bench.images import KINDS

README = Path("README.md")
SECTION = "bench"
PLOT = Path("bench/results.svg")
MODELS = {"digits": "digits", "mobilenet": "MobileNetV2"}
READ_HANDLERS = f"""\
One vCPU is {PERIOD_US // 1000} ms of processor time every {PERIOD_US // 1000} ms, as Lambda counts.
Start: from the runtime client's start to its first answer, less what a handler without a model
takes (whose own row shows the whole). Warm: through the runtime interface emulator. Cost: x86, a
million digits, {COLD_SHARE:.0%} of them cold, initialisation billed."""
READ_SERVERS = """\
One server at a time; the load shares its cores. "Of the cores": answers, of the bare C calls that
both cores could have made meanwhile. Each peer has the settings that its guide recommends and
serves the same file. Every repetition, the versions and all other figures:
[bench/results.json](bench/results.json)."""
HANDLERS_HEAD = """\
| handler | start, digits | MobileNetV2 | warm p50 / p99 | image adds | peak RSS | $ a million |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |"""
SERVERS_HEAD = """\
| server | digits/s | p99 | CPU each | MobileNetV2/s | of the cores | memory | ready |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def render(document: dict[str, Any]) -> str:
    """Both tables, with what one must know to read them."""
    machine = document["machine"]
    cores = f"{machine['cores']} cores of {machine['processor']}"
    return "\n".join(
        [
            f"A Lambda of 1 vCPU and 1,769 MB, as a container ({cores}, {document['date']}):",
            "",
            *handlers(document),
            "",
            READ_HANDLERS,
            "",
            f"![Starts, images, memory and requests a second]({PLOT})",
            "",
            f"The server on {cores}, 8 connections, every answer checked:",
            "",
            *servers(document),
            "",
            READ_SERVERS,
        ]
    )


def handlers(document: dict[str, Any]) -> list[str]:
    """One row for each way to write the handler."""
    starts = document["handlers"]["starts"]
    lines = [HANDLERS_HEAD]
    for kind in KINDS:
        if kind.key not in starts["digits"]:
            continue
        digits = starts["digits"][kind.key]
        name = "start_ms" if kind.key == "bare" else "beyond_bare_ms"
        cells = [
            _bold(kind.title, kind.key),
            *(f"{_ms(starts[model][kind.key][name])}" for model in MODELS),
            f"{digits['warm_p50_ms']:.2f} / {digits['warm_p99_ms']:.2f} ms",
            f"{targets.added_mb(document, f'{kind.key}_digits'):,.1f} MB",
            f"{digits['peak_rss_mb']:.0f} MB",
            f"{digits['usd_per_million']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def servers(document: dict[str, Any]) -> list[str]:
    """One row for each server."""
    lines = [SERVERS_HEAD]
    measured = {model: document["servers"][model]["servers"] for model in MODELS}
    for key, server in measured["digits"].items():
        digits, mobilenet = server["median"], measured["mobilenet"][key]["median"]
        cells = [
            _bold(f"{server['title']} {server['version']}".strip(), key),
            f"{digits['per_second']:,.0f}",
            f"{digits['p99_ms']:.1f} ms",
            f"{digits['cpu_ms_per_request']:.2f} ms",
            f"{mobilenet['per_second']:,.0f}",
            f"{mobilenet['share_of_cores']:.0%}",
            f"{digits['pss_mb']:.0f} MB",
            f"{digits['ready_s']:.1f} s",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _ms(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1  # noqa: PLR2004
    return f"{value:,.{digits}f} ms"


def _bold(text: str, key: str) -> str:
    return f"**{text}**" if key == "ours" else text
