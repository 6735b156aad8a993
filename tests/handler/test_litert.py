"""The LiteRT C library as we call it, against Google's own Python binding."""

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.backends.litert import thread_count
from handler.errors import LiteRtError, StartupError
from handler.litert import Model
from handler.litert_library import Library
from handler.model_file import ModelFile
from handler.server.bodies import Body
from handler.service import Service, open_service
from handler.tensor import Tensor
from tests.handler.tiny import Port, Step, write_model


def _reference(path: Path, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ai_edge_litert.interpreter import Interpreter
    runner = Interpreter(model_path=str(path)).get_signature_runner()
    scores: np.ndarray[Any, Any] = runner(image=images)["scores"]
    return scores


def _open(library: str, folder: Path, signatures: list[str]) -> Model:
    return Model(Library(library), ModelFile(f"{folder}/model.tflite").memory, signatures)


def _run(model: Model, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    tensor = Tensor("float32", images.shape, images.tobytes())
    scores = model.run("serving_default", {"image": tensor})["scores"]
    return np.frombuffer(scores.data, np.float32).reshape(scores.shape)


@pytest.mark.parametrize("batch", [1, 2, 7, 500])
def test_numbers_equal_those_of_the_stock_runtime(digits: Path, library: str, batch: int) -> None:
    """For any batch, every row comes back, with the numbers Google's own binding gives."""
    images = np.random.default_rng(66).random((batch, 8, 8, 1), dtype=np.float32)
    model = _open(library, digits, ["serving_default"])

    scores = _run(model, images)

    assert (batch, 10) == scores.shape
    expected = _reference(digits / "model.tflite", images)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_a_batch_that_changes_size_never_leaks_rows(digits: Path, library: str) -> None:
    """Growing and shrinking batches give each image the scores it has on its own."""
    images = np.random.default_rng(7).random((9, 8, 8, 1), dtype=np.float32)
    model = _open(library, digits, ["serving_default"])
    alone = _reference(digits / "model.tflite", images)

    for batch in (9, 1, 3, 3, 1, 9):
        scores = _run(model, images[:batch])

        assert (batch, 10) == scores.shape
        np.testing.assert_allclose(scores, alone[:batch], atol=1e-6)


def test_shapes_that_clash_are_the_clients_fault_and_leave_no_trace(
    tiny_service: Service, post: Callable[[Service, object], tuple[int, dict[str, Any]]]
) -> None:
    """Inputs that fit the signature one by one but not together are a 400; the next call works."""
    good = {"a": [[1, 2]], "b": [[3, 4]], "ids": [5]}

    status, answer = post(tiny_service, {"inputs": {**good, "b": [[1, 2, 3]]}})

    assert (400, {"error"}) == (status, set(answer))
    assert "'a' [1, 2], 'b' [1, 3], 'ids' [1]" in answer["error"]
    status, answer = post(tiny_service, {"inputs": good})
    assert (200, [[4.0, 6.0]]) == (status, answer["outputs"]["sum"])


@pytest.mark.parametrize("before", [[0, 1], [0]], ids=["new shape", "same shape"])
@pytest.mark.parametrize("number", [4, -1])
def test_an_index_outside_a_table_is_the_clients_fault(
    table: Path,
    open_model: Callable[[Path], Service],
    post: Callable[[Service, object], tuple[int, dict[str, Any]]],
    before: list[int],
    number: int,
) -> None:
    """Numbers that the model itself refuses are a 400 that names them; the next call works."""
    service = open_model(table)
    post(service, {"inputs": before})

    status, answer = post(service, {"inputs": [number]})

    assert 400 == status
    assert f"'ids' int32 [1] from {number} to {number}" in answer["error"]
    assert (200, {"outputs": [[6.0, 7.0]]}) == post(service, {"inputs": [3]})


def test_quantized_tensors_are_floats_outside(
    quantized: Path,
    open_model: Callable[[Path], Service],
    post: Callable[[Service, object], tuple[int, dict[str, Any]]],
) -> None:
    """An int8 model takes and gives floats; what is out of its range saturates."""
    status, answer = post(open_model(quantized), {"instances": [[0, 1, -1, 100]]})

    assert 200 == status
    # int8 holds 6.35 at most here: 100 saturates, and sigmoid(6.35) is 255/256 at this scale.
    assert [[0.5, 0.73046875, 0.26953125, 0.99609375]] == answer["predictions"]


def test_inputs_are_matched_by_name_not_by_order(
    tiny: Path, tmp_path: Path, open_model: Callable[[Path], Service]
) -> None:
    """A model.json that lists the inputs in another order than the file serves the same."""
    folder = shutil.copytree(tiny, tmp_path / "model")
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    document["signature"]["inputs"].reverse()
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")

    assert ("ids", "b", "a") == tuple(spec.name for spec in open_model(folder).manifest.inputs)


def test_a_file_that_is_not_the_one_described_fails_the_start(
    tiny: Path, tmp_path: Path, library: str
) -> None:
    """One changed byte of model.tflite stops the start, with both digests named."""
    folder = shutil.copytree(tiny, tmp_path / "model")
    data = bytearray((folder / "model.tflite").read_bytes())
    data[-1] ^= 1
    (folder / "model.tflite").write_bytes(data)

    with pytest.raises(StartupError, match=r"has sha256 [0-9a-f]{64}, model.json expects"):
        open_service({"MODEL_DIR": str(folder), "LITERT_LIBRARY": library})


def test_a_signature_the_file_lacks_is_named(tiny: Path, library: str) -> None:
    """An unknown signature is refused with those that exist."""
    with pytest.raises(LiteRtError, match="no signature 'train', it has serving_default"):
        _open(library, tiny, ["train"])


def test_a_library_that_is_not_there_fails_the_start(tiny: Path) -> None:
    """A wrong LITERT_LIBRARY is an init failure that names the setting."""
    with pytest.raises(StartupError, match="LITERT_LIBRARY names libLiteRt"):
        open_service({"MODEL_DIR": str(tiny), "LITERT_LIBRARY": "/nowhere/libLiteRt.so"})


def test_a_file_that_is_no_model_is_refused(tmp_path: Path, library: str) -> None:
    """Rubbish in place of a model is an error with LiteRT's status, not a crash."""
    (tmp_path / "model.tflite").write_bytes(b"TFL3" * 100)

    with pytest.raises(LiteRtError, match="LiteRtCreateModelFromBuffer"):
        _open(library, tmp_path, ["serving_default"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float64"}, "are not model.tflite's"),
        ({"shape": [-1, 3]}, "are not model.tflite's"),
        ({"name": "c"}, "are not model.tflite's"),
        ({"dtype": "string"}, "string, which cannot be served"),
    ],
    ids=["dtype", "shape", "name", "unservable"],
)
def test_a_description_at_odds_with_the_file_fails_the_start(
    tiny: Path, tmp_path: Path, library: str, change: dict[str, Any], message: str
) -> None:
    """model.json must say of each input what the file itself says."""
    folder = shutil.copytree(tiny, tmp_path / "model")
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    document["signature"]["inputs"][0].update(change)
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")

    with pytest.raises(StartupError, match=message):
        open_service({"MODEL_DIR": str(folder), "LITERT_LIBRARY": library})


@pytest.mark.parametrize(
    ("dtype", "numbers"),
    [
        ("float16", [0.5, -65504.0, 6.103515625e-05]),
        ("float32", [0.5, -3.0, 2.0**-100]),
        ("float64", [0.1, -1e300, 1e-300]),
        ("int8", [1, -128, 127]),
        ("uint8", [1, 0, 255]),
        ("int16", [1, -32768, 32767]),
        ("uint16", [1, 0, 65535]),
        ("int32", [1, -(2**31), 2**31 - 1]),
        ("uint32", [1, 0, 2**32 - 1]),
        ("int64", [1, -(2**63), 2**63 - 1]),
        ("uint64", [1, 0, 2**64 - 1]),
        ("bool", [True, False, True]),
    ],
)
def test_every_dtype_of_fixed_width_goes_through(
    tmp_path: Path, library: str, dtype: str, numbers: list[Any]
) -> None:
    """The least and the greatest come out as they went in, for one row, two, and one again."""
    step = Step("RESHAPE", ("x",), "y")
    write_model(tmp_path, (Port("x", dtype, (-1, 3)),), (Port("y", dtype, (-1, 3)),), (step,))
    model = _open(library, tmp_path, ["serving_default"])

    for rows in (1, 2, 1):
        tensor = Tensor.of(dtype, (rows, 3), numbers * rows)
        answer = model.run("serving_default", {"x": tensor})["y"]

        assert (dtype, (rows, 3), numbers * rows) == (answer.dtype, answer.shape, answer.tolist())


@pytest.mark.parametrize("dtype", ["string", "complex64"])
def test_other_dtypes_are_refused_by_name(tmp_path: Path, library: str, dtype: str) -> None:
    """The message names the tensor, what it is and what can be served."""
    step = Step("RESHAPE", ("x",), "y")
    write_model(tmp_path, (Port("x", dtype, (-1, 3)),), (Port("y", dtype, (-1, 3)),), (step,))

    with pytest.raises(LiteRtError, match=f"input 'x' is {dtype}, which cannot be served; exp"):
        _open(library, tmp_path, ["serving_default"])


def test_an_answer_outlives_the_next_run(tiny: Path, library: str) -> None:
    """Whoever still renders one answer is not disturbed by the next."""
    model = _open(library, tiny, ["serving_default"])

    def run(number: float) -> dict[str, Tensor]:
        grid = Tensor.of("float32", (1, 1), [number])
        ids = Tensor.of("int32", (1,), [int(number)])
        return model.run("serving_default", {"a": grid, "b": grid, "ids": ids})

    first = run(1)
    run(2)

    assert ([2.0], [2]) == (first["sum"].tolist(), first["twice"].tolist())


def _image(number: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(number).random((1, 8, 8, 1), dtype=np.float32)


def _in_body(image: np.ndarray[Any, Any]) -> Tensor:
    body = Body(image.nbytes)
    body[:] = image.tobytes()
    return Tensor("float32", image.shape, body)


def test_inputs_in_memory_of_their_own_each_get_their_answer(digits: Path, library: str) -> None:
    """Many bodies, one after the other and again, between inputs that are copied."""
    images = [_image(number) for number in range(40)]
    model = _open(library, digits, ["serving_default"])
    expected = [bytes(_run(model, image)) for image in images]
    tensors = [_in_body(image) for image in images]

    for number, tensor in (*enumerate(tensors), *enumerate(tensors)):
        scores = model.run("serving_default", {"image": tensor})["scores"]
        assert expected[number] == bytes(scores.data)
        assert expected[0] == bytes(_run(model, images[0]))


def test_an_input_that_says_where_it_is_is_read_there(digits: Path, library: str) -> None:
    """No copy is made of it: what counts is the memory at its address."""
    model = _open(library, digits, ["serving_default"])
    other = Body(256)
    other[:] = _image(1).tobytes()
    body = Body(256)
    body.address = other.address

    scores = model.run("serving_default", {"image": Tensor("float32", (1, 8, 8, 1), body)})

    assert bytes(_run(model, _image(1))) == bytes(scores["scores"].data)


def test_a_row_of_a_body_is_copied(digits: Path, library: str) -> None:
    """It begins somewhere else than the body does, and hardly ever where LiteRT can read it."""
    model = _open(library, digits, ["serving_default"])
    body = Body(512)
    body[:] = _image(1).tobytes() + _image(2).tobytes()
    row = Tensor("float32", (1, 8, 8, 1), memoryview(body)[256:])

    scores = model.run("serving_default", {"image": row})["scores"]

    assert bytes(_run(model, _image(2))) == bytes(scores.data)


def test_opening_and_closing_leaves_nothing_behind(digits: Path, library: str) -> None:
    """A hundred models later the process has as much memory, as many maps, files and threads."""
    loaded = Library(library)

    def once(number: int) -> None:
        file = ModelFile(f"{digits}/model.tflite")
        model = Model(loaded, file.memory, ["serving_default"], threads=1 + number % 2)
        _run(model, np.zeros((1 + number % 3, 8, 8, 1), np.float32))
        model.close()
        model.close()

    def held() -> tuple[int, ...]:
        folders = ("/proc/self/fd", "/proc/self/task")
        counts = [len(list(Path(folder).iterdir())) for folder in folders]
        maps = Path("/proc/self/maps").read_text(encoding="utf-8").count("\n")
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
        return (*counts, maps, pages)

    for number in range(20):
        once(number)
    *before, pages = held()
    for number in range(100):
        once(number)
    *after, more = held()

    assert all(late <= early + 5 for early, late in zip(before, after, strict=True))
    assert (more - pages) * 4096 < 2_000_000


@pytest.mark.parametrize(
    ("settings", "threads"),
    [
        ({}, 1),
        ({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}, 1),
        ({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}, 1),
        ({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3538"}, 2),
        ({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "10240"}, 4),
        ({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "10240", "MODEL_THREADS": "3"}, 3),
    ],
)
def test_threads_follow_the_processors_that_memory_buys(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], threads: int
) -> None:
    """One for each 1,769 MB, at least one, and no more than there are cores (four here)."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})

    assert threads == thread_count(settings)


def test_a_wrong_number_of_threads_fails_the_start() -> None:
    """The reason names the setting."""
    with pytest.raises(StartupError, match="MODEL_THREADS is 'many', expected a number"):
        thread_count({"MODEL_THREADS": "many"})
