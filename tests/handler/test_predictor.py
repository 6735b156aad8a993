"""What a model is asked, row by row and dtype by dtype."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from handler.errors import BadRequestError, DeadlineError
from handler.manifest import Manifest, Signature
from handler.predictor import Predictor
from handler.service import Request, Service
from handler.tensor import Tensor
from tests.handler.tiny import Graph, Port, Step, write_model

Open = Callable[[Path], Service]
NEGATIVE = Graph(
    "negative",
    (Port("n", "float32", (-1, 2)),),
    (Port("minus", "float32", (-1, 2)),),
    (Step("NEG", ("n",), "minus"),),
)


def _floats(rows: int, width: int = 2) -> Tensor:
    return Tensor.of("float32", (rows, width), map(float, range(rows * width)))


def _fixed(folder: Path, batch: int) -> Path:
    """Three numbers a row, doubled, `batch` rows at a time."""
    shape = (batch, 2)
    return write_model(
        folder,
        inputs=(Port("a", "float32", shape), Port("b", "float32", shape)),
        outputs=(Port("y", "float32", shape),),
        steps=(Step("ADD", ("a", "b"), "y"),),
        others=(NEGATIVE,),
    )


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 5, 6])
def test_a_fixed_batch_takes_any_number_of_rows(
    tmp_path: Path, open_model: Open, batch: int, rows: int
) -> None:
    """Rows go through in groups; the last is filled up and what filled it does not come out."""
    predictor = open_model(_fixed(tmp_path, batch)).predictor

    answer = predictor.predict({"a": _floats(rows), "b": _floats(rows)})["y"]

    assert ((rows, 2), [2.0 * i for i in range(2 * rows)]) == (answer.shape, answer.tolist())


def test_a_fixed_batch_is_free_to_clients(tmp_path: Path, open_model: Open) -> None:
    """What they are told is -1; what the file has stays 3."""
    manifest = open_model(_fixed(tmp_path, 3)).manifest

    assert [(3, 2), (-1, 2)] == [manifest.inputs[0].shape, manifest.inputs[0].client_shape]
    assert 3 == manifest.signatures["serving_default"].batch


def test_inputs_of_a_fixed_batch_have_equal_rows(tmp_path: Path, open_model: Open) -> None:
    """Rows that cannot be paired are refused."""
    predictor = open_model(_fixed(tmp_path, 2)).predictor

    with pytest.raises(BadRequestError, match="differ in their number of rows: 'a' 2, 'b' 4"):
        predictor.predict({"a": _floats(2), "b": _floats(4)})


def test_every_signature_is_called_by_name(tmp_path: Path, open_model: Open) -> None:
    """Without a name it is model.json's `signature`; the others have inputs of their own."""
    predictor = open_model(_fixed(tmp_path, 1)).predictor
    both = {"a": _floats(2), "b": _floats(2)}

    for _ in range(2):
        assert [0.0, 2.0, 4.0, 6.0] == predictor.predict(both)["y"].tolist()
        answer = predictor.predict({"n": _floats(2)}, "negative")["minus"]
        assert [0.0, -1.0, -2.0, -3.0] == answer.tolist()


def test_an_unknown_signature_is_refused_with_those_there_are(
    tmp_path: Path, open_model: Open
) -> None:
    """The message names them."""
    with pytest.raises(
        BadRequestError, match="unknown signature 'train'; expected serving_default, negative"
    ):
        open_model(_fixed(tmp_path, 1)).predictor.predict({}, "train")


def test_who_sends_integers_to_a_quantized_model_gets_integers(
    quantized: Path, open_model: Open
) -> None:
    """The model's own numbers go in and out untouched; floats are converted both ways."""
    predictor = open_model(quantized).predictor

    raw = predictor.predict({"x": Tensor.of("int8", (1, 4), [0, 20, -20, 127])})["y"]
    floats = predictor.predict({"x": Tensor.of("float32", (1, 4), [0.0, 1.0, -1.0, 9.0])})["y"]

    assert ("int8", [0, 59, -59, 127]) == (raw.dtype, raw.tolist())
    assert ("float32", [0.5, 0.73046875, 0.26953125, 0.99609375]) == (
        floats.dtype,
        floats.tolist(),
    )


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (Tensor("float64", (1, 2), bytes(16)), r"expected float32 of shape \[-1, 2\]\): got float"),
        (Tensor("float32", (0, 2), b""), r"got an empty batch, shape \[0, 2\]"),
        (Tensor("float32", (1, 3), bytes(12)), r"got shape \[1, 3\]"),
        (Tensor("float32", (2, 2), bytes(15)), r"got 15 bytes, shape \[2, 2\] needs 16"),
        (Tensor("float32", (1, 2), b"\0\0\x80\x7f" * 2), "flat position 0 is outside the range"),
    ],
    ids=["dtype", "empty", "shape", "bytes", "infinity"],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, open_model: Open, tensor: Tensor, message: str
) -> None:
    """The message names the input, what it takes and what came."""
    predictor = open_model(_fixed(tmp_path, 1)).predictor

    with pytest.raises(BadRequestError, match=message):
        predictor.predict({"n": tensor}, "negative")


def test_a_boolean_is_one_of_two_bytes(tmp_path: Path, open_model: Open) -> None:
    """Raw bytes other than 0 and 1 never reach the model."""
    port = Port("x", "bool", (-1, 2))
    step = Step("RESHAPE", ("x",), "y")
    write_model(tmp_path, (port,), (Port("y", "bool", (-1, 2)),), (step,))
    predictor = open_model(tmp_path).predictor

    assert [True, False] == predictor.predict({"x": Tensor("bool", (1, 2), b"\1\0")})["y"].tolist()
    with pytest.raises(BadRequestError, match=r"neither 0 \(false\) nor 1 \(true\)"):
        predictor.predict({"x": Tensor("bool", (1, 2), b"\1\2")})


class _Slow:
    """A backend that takes a tenth of a second a run."""

    runs = 0

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        self.runs += 1
        time.sleep(0.1)
        return {signature.outputs[0].name: tensors["a"]}


def _slow(document: dict[str, Any]) -> tuple[Predictor, _Slow]:
    backend = _Slow()
    return Predictor(Manifest(document), backend), backend


def _document(batch: int) -> dict[str, Any]:
    entry = {"dtype": "float32", "shape": [batch, 2]}
    return {
        "schema": 1,
        "name": "slow",
        "sha256": "",
        "recipe": "float32",
        "signature": {
            "name": "serving_default",
            "inputs": [{"name": "a", **entry}],
            "outputs": [{"name": "y", **entry}],
        },
    }


def test_a_run_that_would_end_too_late_is_not_begun() -> None:
    """Known from runs before; the answer comes at once and says so."""
    predictor, backend = _slow(_document(-1))
    predictor.predict({"a": _floats(1)})

    with pytest.raises(DeadlineError, match="left, which is not enough for 50 rows"):
        predictor.predict({"a": _floats(50)}, deadline=time.monotonic() + 1)
    assert 1 == backend.runs
    predictor.predict({"a": _floats(1)}, deadline=time.monotonic() + 10)


class _Together:
    """A backend that takes a tenth of a second a run, and nothing for a row."""

    rows: list[int]

    def __init__(self) -> None:
        self.rows = []

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        if len(tensors["a"].data) == 8 * 7:
            raise BadRequestError("not seven")
        self.rows.append(tensors["a"].shape[0])
        time.sleep(0.1)
        return {signature.outputs[0].name: tensors["a"]}


def test_one_row_does_not_speak_for_many() -> None:
    """Where one at a time would take too long some are run, to see what many take."""
    backend = _Together()
    predictor = Predictor(Manifest(_document(-1)), backend)
    predictor.predict({"a": _floats(1)})

    answer = predictor.predict({"a": _floats(2000)}, deadline=time.monotonic() + 10)

    assert (2000, 2) == answer["y"].shape
    first, *trials, last = backend.rows
    assert (1, 2000) == (first, last)
    assert 1 <= len(trials) <= 3
    assert sorted(set(trials)) == trials


def test_rows_that_cannot_be_tried_are_run() -> None:
    """A model that takes no fewer says nothing about more: nobody is refused for that."""
    backend = _Together()
    predictor = Predictor(Manifest(_document(-1)), backend)
    predictor.predict({"a": _floats(1)})
    pace = predictor._paces["serving_default"][0]

    # An eighth of that time is seven rows'.
    deadline = time.monotonic() + 0.05 + 7.5 * 8 * pace
    predictor.predict({"a": _floats(100)}, deadline=deadline)

    assert [1, 100] == backend.rows


def test_the_deadline_is_looked_at_between_groups() -> None:
    """Of fifty runs only those that fit are made."""
    predictor, backend = _slow(_document(1))

    with pytest.raises(DeadlineError):
        predictor.predict({"a": _floats(50)}, deadline=time.monotonic() + 0.5)
    assert 1 <= backend.runs <= 5


def test_lambdas_deadline_is_a_503(
    environment: Mapping[str, str],
    load_event: Callable[[str], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With no time left the client hears it from us, as JSON."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    import handler.app

    context = SimpleNamespace(aws_request_id="r", get_remaining_time_in_millis=lambda: 20)
    answer = handler.app.handler(load_event("predict"), context)

    assert 503 == answer["statusCode"]
    assert "0.02 s are left" in str(answer["body"])


def test_a_request_without_deadline_waits(tiny_service: Service) -> None:
    """A server has none unless it sets one."""
    body = b'{"inputs": {"a": [[1]], "b": [[1]], "ids": [1]}}'

    request = Request("POST", "/v1/models/tiny:predict", {}, body)

    assert (None, 200) == (request.deadline, tiny_service.answer(request).status)
