"""OptimizedModel: a trained model made small, as a resource with a diff.

The work is `python -m convert`'s, in a subprocess; this module decides only when it is due. What it
makes is a cache under .build/models, named after its inputs: two stacks share it, a second `up`
finds it, and a machine that lacks it makes it again and compares.
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from infra import scorer
from infra.card import Card, digest
from infra.errors import ConversionError

MODELS = Path(".build/models")
# The converter hands none of these on to the process that opens the model, but why should it have
# them at all? Only where something lies on S3 does it need AWS's, to fetch that beforehand.
WITHHELD = ("AWS_", "PULUMI_", "GITHUB_", "ACTIONS_")
WRONG_INPUT = 2
LAST_LINES = 30
TABLE = "### "


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizedModelProps:
    """Everything that decides the bytes of model.tflite, and nothing else.

    Contents are given as SHA-256, because Pulumi compares inputs and not files; the converter's
    fingerprint is here because a provider in a module is stored by name, so that an edit to it, or
    to `convert`, would otherwise be no difference.
    """

    card: str
    model_sha256: str | None
    calibration_sha256: str | None
    evaluation_sha256: str | None
    training_sha256: str | None
    scorer_sha256: str | None
    recipe: str
    conversion: Mapping[str, Any]
    converter: str

    @classmethod
    def of(cls, card: Card, recipe: str) -> "OptimizedModelProps":
        """The inputs for a card as its files are now.

        Raises:
            ConversionError: The converter does not start, or cannot fetch what lies on S3.
        """
        digests = _digests(card)
        return cls(
            card=card.path,
            model_sha256=digests["model"],
            calibration_sha256=digests["calibration"],
            evaluation_sha256=digests["evaluation"],
            training_sha256=digests["training"],
            scorer_sha256=scorer.digest(card.scorer),
            recipe=recipe,
            conversion=card.conversion,
            converter=fingerprint(),
        )


INPUTS = tuple(OptimizedModelProps.__dataclass_fields__)


class OptimizedModelProvider(ResourceProvider):
    """Translates Pulumi's calls; keeps no state, so that its four threads may share it."""

    # Nothing secret is captured, and in clear the stored reference can be read in a diff.
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Called in preview and up, before anything else: refuse what cannot be converted.

        What was converted before needs no more than a look: loading a model takes seconds. But for
        another picture, which converts nothing where data are arrays, and may not fit them.
        """
        known = ["--quick"] if _is_known(_folder(news), news["card"]) else []
        code, _, said = _convert([*_arguments(news), "--check", *known], remote=_remote(news))
        return CheckResult(news, [CheckFailure("card", _reason(code, said))] if code else [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Called in preview and up with the last outputs and the new inputs.

        An input's change is an update, never a replacement: the image keeps its old layers until
        the new model exists. With inputs unchanged, a machine that lacks the artifact makes it here
        and now, for what is built from it must be exact in preview too; only other bytes than the
        state's make a change.
        """
        if any(olds.get(key) != news.get(key) for key in INPUTS):
            return DiffResult(changes=True, replaces=[])
        return DiffResult(changes=build(news)["sha256"] != olds.get("sha256"), replaces=[])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Called by up for a new resource."""
        return CreateResult(props["card"], build(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Called by up after a change; returns every output, as Pulumi forgets those left out."""
        return UpdateResult(build(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Called by refresh: an artifact whose bytes are no longer the state's is gone.

        One that this machine merely lacks is not: the state says what it was, diff brings it back.
        """
        folder = Path(props["artifact"])
        if folder.exists() and digest(str(folder / "model.tflite")) != props["sha256"]:
            return ReadResult("", {})
        return ReadResult(id_, props, {key: props.get(key) for key in INPUTS})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Called by destroy, and never for an update: old artifacts stay, as a cache does."""
        folder = Path(props["artifact"])
        if folder.parent == MODELS:
            shutil.rmtree(folder, ignore_errors=True)


class OptimizedModel(Resource, name="OptimizedModel"):
    """A model inside its budget, on this machine's disk.

    Attributes:
        artifact: The folder with model.tflite, model.json and the reports; relative to the project.
        sha256: Of model.tflite.
        chosen: The recipe that won; the input `recipe` may have been "auto".
        bytes: Size of model.tflite.
        original_bytes: Size of what it was made from.
        metric: The card's metric, measured on model.tflite; None without evaluation data.
        original_metric: The same, of the original.
        agreement: Share of answers that are the original's, 0 to 1, of the output that agrees
            least; on evaluation data, else on calibration data or made-up inputs. None where
            nothing was compared.
        signature: JSON text: names, dtypes and shapes of inputs and outputs.
    """

    artifact: pulumi.Output[str]
    sha256: pulumi.Output[str]
    chosen: pulumi.Output[str]
    bytes: pulumi.Output[int]
    original_bytes: pulumi.Output[int]
    metric: pulumi.Output[float | None]
    original_metric: pulumi.Output[float | None]
    agreement: pulumi.Output[float | None]
    signature: pulumi.Output[str]

    def __init__(
        self, name: str, props: OptimizedModelProps, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        # None marks an output: unknown until the conversion ran.
        outputs = dict.fromkeys(
            (
                *("artifact", "sha256", "chosen", "bytes", "original_bytes", "metric"),
                *("original_metric", "agreement", "signature"),
            )
        )
        super().__init__(OptimizedModelProvider(), name, {**outputs, **asdict(props)}, opts)


@functools.cache
def fingerprint() -> str:
    """One SHA-256 over the converter's sources and the versions of what it uses."""
    code, answer, said = _convert(["--fingerprint"])
    if code:
        raise ConversionError(f"python -m convert --fingerprint failed: {_reason(code, said)}")
    return answer.strip()


def _digests(card: Card) -> dict[str, str | None]:
    """SHA-256 by key; the converter fetches what lies on S3, and so is the one to ask then."""
    if not card.remote:
        return {
            "model": digest(card.model),
            "calibration": digest(card.calibration),
            "evaluation": digest(card.evaluation),
            "training": digest(card.training),
        }
    code, answer, said = _convert([card.path, "--digest"], remote=True)
    if code:
        raise ConversionError(_reason(code, said))
    found: dict[str, str | None] = json.loads(answer)
    return found


def build(props: Mapping[str, Any]) -> dict[str, Any]:
    """The resource's outputs for these inputs, converting unless the artifact is there and whole.

    Raises:
        ConversionError: With the converter's own words.
    """
    inputs, folder = _inputs(props), _folder(props)
    if not _whole(folder):
        shutil.rmtree(folder, ignore_errors=True)
        arguments = [*_arguments(props), "--out", folder.as_posix()]
        code, _, said = _convert(arguments, show=True, remote=_remote(props))
        if code:
            raise ConversionError(_reason(code, said))
    _rename(folder, Card.load(props["card"]).name)
    return inputs | {"artifact": folder.as_posix()} | _outputs(folder)


def _inputs(props: Mapping[str, Any]) -> dict[str, Any]:
    return {key: props.get(key) for key in INPUTS}


def _folder(props: Mapping[str, Any]) -> Path:
    """Where the artifact for these inputs is, or will be."""
    named = hashlib.sha256(json.dumps(_inputs(props), sort_keys=True).encode()).hexdigest()
    return MODELS / named[:16]


def _outputs(folder: Path) -> dict[str, Any]:
    model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    chosen = next(row for row in report["candidates"] if row["recipe"] == report["chosen"])
    return {
        "sha256": model["sha256"],
        "chosen": report["chosen"],
        "bytes": chosen["bytes"],
        "original_bytes": report["original"]["bytes"],
        "metric": chosen["metric"],
        "original_metric": report["original"]["metric"],
        "agreement": chosen["agreement"],
        "signature": json.dumps(model["signature"], sort_keys=True),
    }


def _rename(folder: Path, name: str) -> None:
    """Give the reports the card's name of today: a change of that converts nothing."""
    report, text = folder / "report.json", folder / "report.md"
    document = json.loads(report.read_text(encoding="utf-8"))
    old = document["model"]
    if old == name:
        return
    _replace(report, json.dumps(document | {"model": name}, indent=2, ensure_ascii=False) + "\n")
    said = text.read_text(encoding="utf-8")
    _replace(text, said.replace(f"### `{old}`: ", f"### `{name}`: ", 1))


def _replace(file: Path, content: str) -> None:
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.write_text(content, encoding="utf-8")
    beside.replace(file)


def _whole(folder: Path) -> bool:
    """Whether an artifact is complete, with the very bytes its own description names."""
    try:
        model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (folder / "report.json").exists() and model["sha256"] == digest(
        str(folder / "model.tflite")
    )


def _is_known(folder: Path, card: str) -> bool:
    """Whether an artifact is whole, and was made with the picture that the card has today."""
    if not _whole(folder):
        return False
    model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return bool(model.get("picture") == Card.load(card).picture)


def _arguments(props: Mapping[str, Any]) -> list[str]:
    return [props["card"], "--recipe", props["recipe"]]


def _remote(props: Mapping[str, Any]) -> bool:
    return Card.load(props["card"]).remote


def _convert(
    arguments: list[str], *, show: bool = False, remote: bool = False
) -> tuple[int, str, str]:
    """Run the converter: its exit code, stdout and stderr.

    If asked, progress is shown as it comes. The table of a conversion that found no candidate is
    not: it is what the error says, and once is enough.
    """
    withheld = tuple(prefix for prefix in WITHHELD if not (remote and prefix == "AWS_"))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(withheld)
    }
    with subprocess.Popen(
        [sys.executable, "-m", "convert", *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        # stdout carries one line at most, so reading stderr first cannot block the converter.
        said = []
        for line in process.stderr or ():
            said.append(line)
            show = show and not line.startswith(TABLE)
            if show:
                print(line, end="", file=sys.stderr, flush=True)
        answer = process.stdout.read() if process.stdout else ""
    return process.returncode, answer, "".join(said)


def _reason(code: int, said: str) -> str:
    """The converter's own words: one line for a wrong input, the table where no candidate fits."""
    _, title, table = said.partition(f"\n{TABLE}")
    if code != WRONG_INPUT and title:
        return f"{TABLE}{table}".strip()
    lines = [line for line in said.splitlines() if line.strip()]
    if not lines:
        return f"python -m convert ended with {code} and said nothing"
    return lines[-1] if code == WRONG_INPUT else "\n".join(lines[-LAST_LINES:])
