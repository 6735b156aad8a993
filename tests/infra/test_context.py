"""The build context: the same name for the same contents, on every machine."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from infra import context, runtime
from infra.card import Card
from infra.errors import ContextError
from infra.model import OptimizedModelProps, build

BASE = "public.ecr.aws/lambda/python:3.13"


def assemble(base: str = BASE, platform: str = "linux/arm64") -> Path:
    """The context of the project as it is now."""
    card = Card.load("models/digits")
    props = {
        field: getattr(OptimizedModelProps.of(card, "auto"), field)
        for field in OptimizedModelProps.__dataclass_fields__
    }
    libraries = runtime.install("arm64", "3.13", pillow=card.picture is not None)
    return context.assemble(card, build(props)["artifact"], libraries, base, platform)


def names(folder: Path) -> list[str]:
    """Every file in a folder."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def edit_card(old: str, new: str) -> None:
    """Replace a text in the card."""
    card = Path("models/digits/model.yaml")
    card.write_text(card.read_text().replace(old, new))


def test_layout(project: Path) -> None:
    """Dockerfile on top, the handler, the model, the C library, the server's; no numpy."""
    assert project.is_dir()
    assert [
        "Dockerfile",
        "handler/app.py",
        "handler/entrypoint.sh",
        "lib/libLiteRt.so",
        "model/model.json",
        "model/model.tflite",
        "site/click-8.5.1.dist-info/licenses/LICENSE.txt",
        "site/click/core.py",
        "site/httptools/parser/parser.cpython-313-x86_64-linux-gnu.so",
        "site/orjson/__init__.py",
        "site/pybase64/__init__.py",
        "site/uvicorn/server.py",
    ] == names(assemble())


def test_picture_brings_pillow(project: Path) -> None:
    """A model with a picture gets Pillow, without the parts that no served picture needs."""
    card = project / "models/digits/model.yaml"
    card.write_text(card.read_text() + "picture: {width: 1, height: 2, color: gray}\n")

    assert [
        "site/PIL/Image.py",
        "site/PIL/_imaging.cpython-313-x86_64-linux-gnu.so",
        "site/pillow-13.0.0.dist-info/licenses/LICENSE",
        "site/pillow.libs/libjpeg-1.so",
    ] == [name for name in names(assemble()) if "pil" in name.lower()]


def test_same_contents_same_name(project: Path) -> None:
    """Assembling twice gives one folder."""
    assert assemble() == assemble()
    assert 1 == len(list((project / ".build/image").iterdir()))


def test_modes_and_times_do_not_matter(project: Path) -> None:
    """Another umask or checkout time does not publish a new version."""
    before = assemble()
    (project / "handler/app.py").chmod(0o600)
    os.utime(project / "handler/app.py", (0, 0))

    assert before == assemble()


def test_modes_are_readable(project: Path) -> None:
    """Lambda's user can read all of it, and run what is a script."""
    (project / "handler/app.py").chmod(0o600)
    folder = assemble()

    assert (0o644, 0o755, 0o755) == tuple(
        (folder / name).stat().st_mode & 0o777
        for name in ("handler/app.py", "handler/entrypoint.sh", "handler")
    )


@pytest.mark.parametrize(
    "path", ["handler/app.py", "handler/Dockerfile", "models/digits/model.keras"]
)
def test_contents_matter(path: str, project: Path) -> None:
    """An edit to the handler, the Dockerfile or the model makes another image."""
    before = assemble()
    (project / path).write_text("edited")

    assert before != assemble()


def test_base_and_platform_matter(project: Path) -> None:
    """Another base or platform is another image, so another folder."""
    assert project.is_dir()

    assert 3 == len({assemble(), assemble(base="other"), assemble(platform="linux/amd64")})


def test_labels_need_no_conversion(project: Path) -> None:
    """A new label changes the image's model.json, and the model is not converted again."""
    before = assemble()
    edit_card('"a"', '"zero"')
    after = assemble()

    assert before != after
    assert ["zero", "b", "c"] == json.loads((after / "model/model.json").read_text())["labels"]
    assert 1 == len((project / "conversions.log").read_text().splitlines())


def test_name_is_the_card_s(project: Path) -> None:
    """The name in URLs is the card's of today."""
    assert project.is_dir()

    assert "digits" == json.loads((assemble() / "model/model.json").read_text())["name"]


def test_wrong_number_of_labels(project: Path) -> None:
    """Labels that do not fit the scores are refused, with both numbers."""
    assert project.is_dir()
    edit_card('["a", "b", "c"]', '["a"]')

    with pytest.raises(ContextError, match=r"1 entries .* last output dimension is 3"):
        assemble()


def test_free_last_dimension_takes_any_labels(project: Path) -> None:
    """Where the model does not fix its scores' number, labels cannot be counted."""
    assert project.is_dir()
    described: dict[str, Any] = {"signature": {"outputs": [{"shape": [-1, -1]}]}}

    assert ["a", "b", "c"] == context.present(described, Card.load("models/digits"))["labels"]


def test_lone_score_has_two_labels(project: Path) -> None:
    """What the converter takes, a probability and two labels, goes into the image as well."""
    assert project.is_dir()
    edit_card('["a", "b", "c"]', '["ham", "spam"]')
    described: dict[str, Any] = {"signature": {"outputs": [{"shape": [-1, 1]}]}}

    assert ["ham", "spam"] == context.present(described, Card.load("models/digits"))["labels"]


def test_labels_beside_several_outputs(project: Path) -> None:
    """Of which output they are nobody says, so that they cannot be counted."""
    assert project.is_dir()
    described: dict[str, Any] = {"signature": {"outputs": [{"shape": [-1, 4]}, {"shape": [-1, 3]}]}}

    assert ["a", "b", "c"] == context.present(described, Card.load("models/digits"))["labels"]


def test_no_model(project: Path) -> None:
    """Without the artifact the error says how to get it, and nothing half-made stays."""
    libraries = runtime.install("arm64", "3.13", pillow=False)

    with pytest.raises(ContextError, match=r"run pulumi up again"):
        context.assemble(Card.load("models/digits"), ".build/models/none", libraries, BASE, "x")
    assert [] == list((project / ".build/image").iterdir())
