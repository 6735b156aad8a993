"""One tensor without JSON around it: bare bytes and .npy files, in and out."""

import io
import json
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.errors import BadRequestError
from handler.messages import Request, Response
from handler.negotiation import choose
from handler.protocols import npy
from handler.service import Service
from handler.tensor import FLOATS, TYPECODES, Tensor, TensorSpec
from tests.handler.tiny import Port, Step, write_model

RAW = "application/octet-stream"
NPY = "application/x-npy"
SQUARE = TensorSpec("x", "float32", (-1, -1))


@pytest.fixture(scope="module")
def square(
    tmp_path_factory: pytest.TempPathFactory, open_model: Callable[[Path], Service]
) -> Service:
    """One input of two free dimensions, one output: x + x."""
    folder = write_model(
        tmp_path_factory.mktemp("square"),
        inputs=(Port("x", "float32", (-1, -1)),),
        outputs=(Port("y", "float32", (-1, -1)),),
        steps=(Step("ADD", ("x", "x"), "y"),),
    )
    return open_model(folder)


def _send(service: Service, body: bytes, query: str = "", **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"/v1/models/{service.manifest.name}:predict"
    return service.answer(Request("POST", path, names, body, query=query))


def _error(response: Response, status: int = 400) -> str:
    assert status == response.status, response.body
    document = json.loads(response.body)
    assert ["error"] == list(document)
    return str(document["error"])


def _save(array: Any, version: tuple[int, int] | None = None) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version)
    return out.getvalue()


def test_the_signature_gives_the_shape(digits_service: Service) -> None:
    """With one free dimension the number of bytes says how long it is."""
    response = _send(digits_service, bytes(3 * 256), content_type=RAW)

    assert [3, 10] == list(np.shape(json.loads(response.body)["outputs"]))


@pytest.mark.parametrize("query", ["shape=2,3", "shape=2%2C3", "x=y&shape=2,3"])
def test_the_caller_gives_a_shape_that_is_free(square: Service, query: str) -> None:
    """Where more than one dimension is free, the query says what they are."""
    response = _send(square, struct.pack("<6f", *range(6)), query, content_type=RAW)

    assert [[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]] == json.loads(response.body)["outputs"]


def test_bytes_may_come_back(square: Service) -> None:
    """Accept decides what goes out, and headers say how to read it."""
    body = struct.pack("<2f", 1, 2)

    response = _send(square, body, "shape=1,2", content_type=RAW, accept=RAW)

    assert struct.pack("<2f", 2, 4) == response.body
    assert (RAW, "float32", "1,2") == tuple(
        response.headers[name] for name in ("content-type", "x-tensor-dtype", "x-tensor-shape")
    )


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_what_numpy_saves_is_read_and_read_again(square: Service, version: Any) -> None:
    """A .npy file of any version goes in, one that numpy loads comes out."""
    array = np.arange(6, dtype=np.float32).reshape(2, 3)

    response = _send(square, _save(array, version), content_type=NPY, accept=NPY)

    assert NPY == response.headers["content-type"]
    np.testing.assert_array_equal(2 * array, np.load(io.BytesIO(response.body)))


@pytest.mark.parametrize(
    "header",
    [
        "{'shape': (1, 2), 'fortran_order': False, 'descr': '<f4'}",
        '{"descr": "<f4", "fortran_order": False, "shape": (1, 2)}\n',
        "{ 'descr' : '<f4' ,'fortran_order':False,\t'shape':( 1 , 2 , ) , }   \n",
    ],
)
def test_a_header_is_read_however_it_is_written(square: Service, header: str) -> None:
    """Any order, either quotes, free blanks: numpy reads those files, and others write them."""
    file = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    body = file + struct.pack("<2f", 1, 2)

    response = _send(square, body, content_type=NPY)

    assert [[1.0, 2.0]] == np.load(io.BytesIO(body)).tolist()
    assert [[2.0, 4.0]] == json.loads(response.body)["outputs"]


@pytest.mark.parametrize(
    "header",
    ["(" * 9_000, "-" * 9_000 + "1", "{'descr': '\\d'}", "9" * 9_000, "{1: 2, **{}}", "[1 is 2]"],
)
def test_no_header_whatever_breaks_the_reader(square: Service, header: str) -> None:
    """Nor does it get a word into the log."""
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()

    with catch_warnings(record=True) as found:
        simplefilter("always")
        message = _error(_send(square, body, content_type=NPY))

    assert "header is not what numpy.save writes" in message
    assert [] == found


def test_json_may_be_answered_bare(square: Service) -> None:
    """Accept counts whatever came in."""
    response = _send(square, b'{"inputs": [[1, 2]]}', accept=NPY)

    assert [[2.0, 4.0]] == np.load(io.BytesIO(response.body)).tolist()


def test_one_of_several_outputs_is_named(tiny_service: Service) -> None:
    """Without JSON around them only one output fits, and a query says which."""
    body = b'{"inputs": {"a": [[1]], "b": [[2]], "ids": [3]}}'

    response = _send(tiny_service, body, "output=twice", accept=RAW)

    assert ("int32", 6) == (response.headers["x-tensor-dtype"], *struct.unpack("<i", response.body))
    assert "several outputs; add ?output= with one of log, sum, twice" in _error(
        _send(tiny_service, body, accept=RAW)
    )
    for accept in (RAW, "*/*"):
        assert "no output 'x'" in _error(_send(tiny_service, body, "output=x", accept=accept))


def test_a_model_of_several_inputs_wants_names(tiny_service: Service) -> None:
    """A body without names cannot say which input it is."""
    for kind in (RAW, NPY):
        message = _error(_send(tiny_service, b"x", content_type=kind))
        assert "this model takes several: a, b, ids; send JSON, or /v2" in message


@pytest.mark.parametrize(
    ("body", "query", "message"),
    [
        (b"x" * 7, "shape=1,2", "got 7 bytes, expected 8"),
        (b"x" * 8, "", "2 dimensions are free; add ?shape="),
        (b"x" * 8, "shape=1,-1", "the shape is '1,-1', expected up to 8 sizes"),
        (b"x" * 8, "shape=", "the shape is ''"),
        (b"x" * 8, "shape=" + "9" * 5000, "expected up to 8 sizes"),
        (b"x" * 8, "shape=2", "got shape [2]"),
        (b"x" * 8, "shape=0,2", "expected 0"),
        (b"\0\0\xc0\x7f" * 2, "shape=1,2", "flat position 0 is NaN"),
        (b"\0\0\x80\x7f" * 2, "shape=1,2", "flat position 0 is outside the range of float32"),
        (b'{"inputs": [[1]]}', "shape=1,2", "send JSON as application/json"),
        (b"x" * 8, "shape=1,2&shape=2,1", "gives 'shape' 2 times"),
        (b"x" * 8, "&".join("a=1" for _ in range(40)), "more than 32 parameters"),
    ],
)
def test_bytes_that_do_not_fit_are_a_400(
    square: Service, body: bytes, query: str, message: str
) -> None:
    """The message names the tensor, what was expected and what came."""
    assert message in _error(_send(square, body, query, content_type=RAW))


def _header(text: str, version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text.encode("latin-1")


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"PK\x03\x04", "does not start with \\x93NUMPY"),
        (b"\x93NUMPY", "has version [], expected 1, 2 or 3"),
        (b"\x93NUMPY\x04\x00", "has version [4, 0]"),
        (b"\x93NUMPY\x01\x00\x05", "ends within its header"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "claims a header of 4294967295 bytes"),
        (_header("x" * 20_000), "claims a header of 20000 bytes"),
        (_header("(" * 9_000), "not what numpy.save writes"),
        (_header("__import__('os')"), "not what numpy.save writes"),
        (_header(GOOD.replace("(1, 2)", "(-1, 2)")), "not what numpy.save writes"),
        (_header(GOOD.replace("1, 2", "1" * 11 + ", 2")), "not what numpy.save writes"),
        (_header(GOOD.replace("(1, 2)", "(2)")), "not what numpy.save writes"),
        (_header(GOOD.replace("<f4", "|O")), "holds '|O'; save it with .astype('float32')"),
        (_header(GOOD.replace("<f4", ">f4")), "holds '>f4'; save it with .astype('float32')"),
        (_header(GOOD.replace("<f4", "<U3")), "holds '<U3'"),
        (_header(GOOD.replace("False", "True")), "numpy.ascontiguousarray"),
        (_header(GOOD) + bytes(7), "got 7 bytes, shape [1, 2] needs 8"),
        (_header(GOOD) + bytes(9), "got 9 bytes, shape [1, 2] needs 8"),
        (
            _header(GOOD.replace("f4", "f8")) + bytes(16),
            "holds '<f8'; save it with .astype('float32')",
        ),
        (_header(GOOD) + b"\0\0\xc0\x7f" * 2, "flat position 0"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_what_is_no_such_file_is_a_400(square: Service, body: bytes, message: str) -> None:
    """Nothing in a header is evaluated; pickles, strings and Fortran order are refused by name."""
    assert message in _error(_send(square, body, content_type=NPY))


@pytest.mark.parametrize("dtype", TYPECODES)
@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (3, 1, 1)])
def test_every_dtype_and_rank_is_numpys(dtype: str, shape: tuple[int, ...]) -> None:
    """A file of ours is byte for byte numpy's, and numpy's is read as it was saved."""
    size = int(np.prod(shape))
    values = [float(i) if dtype in FLOATS else i % 2 for i in range(size)]
    tensor = Tensor.of(dtype, shape, values)
    array = np.array(values, dtype).reshape(shape)

    (again,) = npy.parse(_save(array), (TensorSpec("x", dtype, shape),)).values()

    assert _save(array) == npy.render(tensor)
    assert (dtype, shape, tensor.data) == (again.dtype, again.shape, again.data)


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda b: b"\x93NUMPY\x01\x00" + b))
@settings(max_examples=200, deadline=None)
def test_no_bytes_whatever_break_the_reader(body: bytes) -> None:
    """Random files are read or refused."""
    tensors: dict[str, Tensor] = {}
    with suppress(BadRequestError):
        tensors = npy.parse(body, (SQUARE,))

    assert all(tensor.dtype in TYPECODES for tensor in tensors.values())


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", None),
        ("*/*", "a/json"),
        ("b/npy", "b/npy"),
        ("b/npy, */*", "b/npy"),
        ("b/npy;q=0.5, a/json;q=0.4", "b/npy"),
        ("b/*", "b/npy"),
        ("a/json;q=0, */*;q=0.1", "b/npy"),
        ("text/html, */*;q=0.8", "a/json"),
        ("B/NPY ; q=1.0 ; x=y", "b/npy"),
        ("a/json;q=x", None),
        (", ,;;=,", None),
    ],
)
def test_the_client_chooses(accept: str, expected: str | None) -> None:
    """Highest q-value first, then what is named expressly, then our own order."""
    assert expected == choose(accept, ("a/json", "b/npy"))
