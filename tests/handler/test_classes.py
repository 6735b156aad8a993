"""Scores and their labels, as :image and :classify pair them, and for which models."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from handler.openapi import describe
from handler.prove import prove
from handler.service import Request, Service
from tests.handler.tiny import Port, Step, write_model

Open = Callable[[Path], Service]
PICTURE = {"width": 1, "height": 1, "color": "gray", "range": [0, 0.5]}


def write_double(folder: Path, row: tuple[int, ...] = (1,), **extra: Any) -> Path:
    """A model that answers x + x; of one number, a picture of one pixel."""
    return write_model(
        folder,
        inputs=(Port("x", "float32", (-1, *row)),),
        outputs=(Port("y", "float32", (-1, *row)),),
        steps=(Step("ADD", ("x", "x"), "y"),),
        **{"labels": ["cat", "dog"], "picture": PICTURE, **extra},
    )


def png(pixels: bytes) -> bytes:
    """Gray pixels in a row."""
    file = io.BytesIO()
    Image.frombytes("L", (len(pixels), 1), pixels).save(file, "png")
    return file.getvalue()


def send(service: Service, verb: str, body: bytes) -> tuple[int, Any]:
    """Status and document."""
    answer = service.answer(Request("POST", f"/v1/models/tiny:{verb}", {}, body))
    return answer.status, json.loads(answer.body)


def test_a_lone_score_of_two_labels_is_the_probability_of_the_second(
    tmp_path: Path, open_model: Open
) -> None:
    """So that a sigmoid's answer reads like that of a softmax."""
    service = open_model(write_double(tmp_path))

    examples = json.dumps({"examples": [{"x": 0.375}, {"x": 0.05}]}).encode()
    expected = [[["cat", 0.25], ["dog", 0.75]], [["cat", 0.9], ["dog", 0.1]]]
    assert (200, {"results": expected}) == send(service, "classify", examples)
    best = [{"label": "cat", "score": 0.8}, {"label": "dog", "score": 0.2}]
    assert (200, {"predictions": best}) == send(service, "image", png(bytes([51])))


@pytest.mark.parametrize(
    ("verb", "status", "body"),
    [("classify", 400, b'{"examples": [{"x": 1.5}]}'), ("image", 404, png(bytes([255])))],
)
def test_a_lone_score_that_is_no_probability_has_no_labels(
    tmp_path: Path, open_model: Open, verb: str, status: int, body: bytes
) -> None:
    """Of a logit nobody here knows what it stands for."""
    service = open_model(write_double(tmp_path, picture={**PICTURE, "range": [0, 3.0]}))

    found, answer = send(service, verb, body)

    assert status == found
    assert "gives [1, 1] for 2 labels, not a row of scores or one probability" in answer["error"]


def test_a_model_that_gives_no_scores_takes_pictures_as_rows(
    tmp_path: Path, open_model: Open, library: str
) -> None:
    """A grid of numbers has no best label, which is no reason to refuse the picture."""
    picture = {**PICTURE, "width": 2}
    folder = write_double(tmp_path, (1, 2, 1), picture=picture, labels=None)
    service = open_model(folder)
    row = base64.b64encode(png(bytes([255, 0]))).decode()

    rows = json.dumps({"instances": [{"b64": row}]}).encode()
    assert (200, {"predictions": [[[[1.0], [0.0]]]]}) == send(service, "predict", rows)
    status, answer = send(service, "image", png(bytes([255, 0])))
    assert 404 == status
    assert "model 'tiny' gives [1, 1, 2, 1], not a row of scores" in answer["error"]
    assert prove({"MODEL_DIR": str(folder), "LITERT_LIBRARY": library}).endswith("y [1, 1, 2, 1]")


@pytest.mark.parametrize(
    ("row", "offered"), [((1,), ["classify", "image", "predict", "regress"]), ((2,), ["predict"])]
)
def test_labels_are_offered_where_they_fit(
    tmp_path: Path, open_model: Open, row: tuple[int, ...], offered: list[str]
) -> None:
    """One score with two labels fits; two scores with three do not."""
    labels = ["cat", "dog"] if row == (1,) else ["cat", "dog", "cow"]
    picture = PICTURE if row == (1,) else {**PICTURE, "width": 2}
    service = open_model(write_double(tmp_path, row, labels=labels, picture=picture))

    paths: Any = describe(service.manifest)["paths"]

    prefix = "/v1/models/tiny:"
    assert offered == sorted(path[len(prefix) :] for path in paths if path.startswith(prefix))
