"""The model's card as the cloud side needs it: where its files are, and how it presents itself.

Whether the card makes sense as a conversion is `python -m convert --check`'s to say (OptimizedModel
asks it in preview); this module refuses only what would leave the program without a name or a path.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import yaml

from infra.errors import CardError

REMOTE = "s3://"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """models/<name>/model.yaml.

    Attributes:
        path: The card itself, relative to the project.
        name: The {model} in URLs.
        model: The trained model, a file or a SavedModel folder: relative to the project, or
            s3://BUCKET/KEY, as all data may be.
        calibration: Data for static recipes, relative to the project, or None.
        evaluation: Data for the metric, relative to the project, or None.
        training: Data to fine-tune a pruned model on, relative to the project, or None.
        scorer: The Python file of a metric of the user's own, relative to the project, or None.
        conversion: What else decides the bytes of model.tflite: task, metric, budget and such.
        picture: How a picture becomes the input, or None.
        labels: Names of the last output dimension, or None.
    """

    path: str
    name: str
    model: str
    calibration: str | None
    evaluation: str | None
    training: str | None
    scorer: str | None
    conversion: Mapping[str, Any]
    picture: Mapping[str, Any] | None
    labels: tuple[str, ...] | None

    @property
    def remote(self) -> bool:
        """Whether anything that decides model.tflite lies on S3."""
        return any(
            place is not None and place.startswith(REMOTE)
            for place in (self.model, self.calibration, self.evaluation, self.training)
        )

    @classmethod
    def load(cls, where: str) -> "Card":
        """Read a card.

        Args:
            where: The card or the folder that holds it, relative to the project.

        Raises:
            CardError: There is no card, it is not YAML, lacks a name or a model, or holds what this
                program can neither open nor hand on.
        """
        if Path(where).is_absolute():
            raise CardError(
                f"model is {where!r}, an absolute path; state must not depend on one machine: "
                "give it relative to the project (pulumi config set model models/digits)"
            )
        path = Path(where) if where.endswith((".yaml", ".yml")) else Path(where) / "model.yaml"
        content = _parse(path)
        name = content.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise CardError(
                f"{path}: name is {name!r}; expected 1 to 64 letters, digits, '-' or '_', "
                "because it becomes part of the URL"
            )
        if not isinstance(content.get("model"), str):
            raise CardError(
                f"{path}: model is {content.get('model')!r}; expected the trained model's file, "
                "relative to the card (for example model: model.keras)"
            )
        _usable(path, content)
        labels = content.get("labels")
        return cls(
            path=path.as_posix(),
            name=name,
            model=_beside(path, content["model"]),
            calibration=_beside(path, content.get("calibration")),
            evaluation=_beside(path, content.get("evaluation")),
            training=_beside(path, content.get("training")),
            scorer=_beside(path, _module_file(content.get("metric"))),
            # State drops a null inside a map, so what is absent must stay out.
            conversion={
                key: content[key]
                for key in ("signature", "task", "metric", "budget", "prefer", *_drawn(content))
                if content.get(key) is not None
            },
            picture=content.get("picture"),
            labels=None if labels is None else tuple(str(label) for label in labels),
        )


def _parse(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(
            f"no model card at {path} ({error.strerror}); write one, or point the setting `model` "
            "at a folder that holds a model.yaml (pulumi config set model models/digits)"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CardError(f"{path} is not YAML: {reason}") from error
    if not isinstance(content, dict):
        raise CardError(f"{path} holds {type(content).__name__}; expected keys such as `name:`")
    return content


def _usable(path: Path, content: Mapping[str, Any]) -> None:
    """Refuse what would end this program before the converter, which knows more, can refuse it."""
    expected = {
        **dict.fromkeys(("calibration", "evaluation", "training"), (str, "data's path, as text")),
        "labels": (list, 'a list of texts such as ["cat", "dog"]'),
        "picture": (dict, "a mapping such as {width: 8, height: 8}"),
    }
    for key, (kind, what) in expected.items():
        value = content.get(key)
        if value is not None and not isinstance(value, kind):
            raise CardError(f"{path}: {key} is {value!r}; expected {what}")
    for key in ("signature", "task", "metric", "budget", "prefer", "picture"):
        if not _plain(content.get(key)):
            raise CardError(
                f"{path}: {key} is {content[key]!r}; expected texts and numbers: put dates, and "
                "names that look like numbers, in quotes"
            )


def _plain(value: object) -> bool:
    """Whether state can hold a value: what JSON has, and YAML has more."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain(below) for key, below in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or isinstance(value, str | int | float)


@overload
def _beside(card: Path, name: str) -> str: ...


@overload
def _beside(card: Path, name: None) -> None: ...


def _beside(card: Path, name: str | None) -> str | None:
    if name is None or name.startswith(REMOTE):
        return name
    return (card.parent / name).as_posix()


def _drawn(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The key `picture`, where numbers that decide are made by it: from pictures, or made up."""
    calibration = content.get("calibration")
    if calibration is None:
        return () if content.get("evaluation") else ("picture",)
    return () if str(calibration).lower().endswith((".npz", ".csv")) else ("picture",)


def _module_file(metric: object) -> str | None:
    """The file behind `module:function`, which may stand alone or in a mapping."""
    named = metric.get("function") if isinstance(metric, dict) else metric
    if not isinstance(named, str) or ":" not in named:
        return None
    return named.partition(":")[0].replace(".", "/") + ".py"


def digest(path: str | None) -> str | None:
    """SHA-256 of a file, or of a folder's names and contents; None where there is nothing.

    A missing file is not an error here: `python -m convert --check` says it better, in preview.
    """
    if path is None or not Path(path).exists():
        return None
    root = Path(path)
    if root.is_file():
        with root.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    total = hashlib.sha256()
    for file_path in sorted(entry for entry in root.rglob("*") if entry.is_file()):
        total.update(f"{file_path.relative_to(root).as_posix()}\0".encode())
        total.update(hashlib.sha256(file_path.read_bytes()).digest())
    return total.hexdigest()
