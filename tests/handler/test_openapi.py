"""The document at /openapi.json: valid, and what it says is so."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from handler.messages import Request
from handler.service import Service
from tests.handler.tiny import Port, Step, write_model


def _document(service: Service) -> dict[str, Any]:
    response = service.answer(Request("GET", "/openapi.json", {}))
    assert 200 == response.status
    document: dict[str, Any] = json.loads(response.body)
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path with its parameters filled in, and operation."""
    for template, item in document["paths"].items():
        path = template
        for parameter in item.get("parameters", ()):
            path = path.replace(f"{{{parameter['name']}}}", parameter["schema"]["enum"][0])
        for method in item.keys() & {"get", "post"}:
            yield method.upper(), path, item[method]


@pytest.fixture
def documents(digits_service: Service, tiny_service: Service) -> list[tuple[Service, Any]]:
    """A model with a picture, and one with several inputs and free dimensions."""
    return [(service, _document(service)) for service in (digits_service, tiny_service)]


def test_the_document_is_openapi(documents: list[tuple[Service, Any]]) -> None:
    """Version 3.1, by the specification's own schema."""
    for _, document in documents:
        validate(document)


def test_every_operation_has_a_name_of_its_own(documents: list[tuple[Service, Any]]) -> None:
    """Client generators make functions of them."""
    for _, document in documents:
        names = [operation["operationId"] for _, _, operation in _operations(document)]
        assert len(names) == len(set(names))


def test_every_get_answers_as_described(documents: list[tuple[Service, Any]]) -> None:
    """Each path that is read exists, and its answer fits its schema."""
    for service, document in documents:
        for method, path, operation in _operations(document):
            if method == "GET":
                response = service.answer(Request(method, path, {}))
                schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
                assert 200 == response.status, path
                jsonschema.validate(json.loads(response.body), schema)


def test_every_example_is_answered_as_described(digits_service: Service) -> None:
    """What the document offers to try works as it stands, and the answer fits its schema."""
    tried = set()
    for method, path, operation in _operations(_document(digits_service)):
        for media, content in operation.get("requestBody", {"content": {}})["content"].items():
            if "example" not in content:
                continue
            example = content["example"]
            body = example if isinstance(example, str) else json.dumps(example)
            headers = {"content-type": media}

            response = digits_service.answer(Request(method, path, headers, body.encode()))

            if media == "application/json":
                jsonschema.validate(example, content["schema"])
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert 200 == response.status, (path, response.body)
            jsonschema.validate(json.loads(response.body), schema)
            tried.add(operation["operationId"])
    assert {"predict", "image", "v2_infer"} <= tried


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/models/digits:predict", {}),
        ("/v2/models/digits/infer", {"inference-header-content-length": "0"}),
    ],
)
def test_what_says_how_bytes_are_read_is_described(
    digits_service: Service, path: str, headers: dict[str, str]
) -> None:
    """Without these headers nobody can read a raw answer, and generated clients know no others."""
    raw = "application/octet-stream"
    sent = {"content-type": raw, "accept": raw, **headers}

    response = digits_service.answer(Request("POST", path, sent, bytes(256)))

    described = _document(digits_service)["paths"][path]["post"]["responses"]["200"]["headers"]
    own = {name for name in response.headers if name.startswith(("x-", "inference-"))}
    assert raw == response.headers["content-type"]
    assert own == {name.lower() for name in described}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (":predict", {"instances": [{"a": [1], "b": [2], "ids": 3}]}),
        (":predict", {"inputs": {"a": [[1]], "b": [[2]], "ids": [3]}, "signature_name": ""}),
    ],
)
def test_requests_and_answers_fit_their_schemas(
    tiny_service: Service, path: str, body: object
) -> None:
    """Several inputs go by name, in rows and in columns."""
    operation = _document(tiny_service)["paths"][f"/v1/models/tiny{path}"]["post"]
    request = Request("POST", f"/v1/models/tiny{path}", {}, json.dumps(body).encode())

    answer = json.loads(tiny_service.answer(request).body)

    content = operation["requestBody"]["content"]
    jsonschema.validate(body, content["application/json"]["schema"])
    jsonschema.validate(
        answer, operation["responses"]["200"]["content"]["application/json"]["schema"]
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (":predict", {"instances": []}),
        (":predict", {"instances": [[[[1]] * 8] * 7]}),
        (":predict", {"inputs": [[[["1"]] * 8] * 8]}),
        (":predict", {"inputs": [[[[1e39]] * 8] * 8]}),
        (":predict", {"instances": [[[[1]] * 8] * 8], "more": 1}),
        (":classify", {"examples": [{"image": [0.5] * 63}]}),
        (":image", {"image": 3}),
        (":image", {"image": "", "top": 0}),
    ],
)
def test_what_the_schema_refuses_the_service_refuses(
    digits_service: Service, path: str, body: object
) -> None:
    """The document promises no more, and no less, than is checked."""
    full = f"/v1/models/digits{path}"
    content = _document(digits_service)["paths"][full]["post"]["requestBody"]["content"]

    response = digits_service.answer(
        Request("POST", full, {"content-type": "application/json"}, json.dumps(body).encode())
    )

    assert 400 == response.status
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, content["application/json"]["schema"])


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        ({"examples": [{"a": [1, 2], "b": [3, 4]}]}, True),
        ({"examples": [{"a": [1, 2], "b": [3, 4]}], "context": {}}, True),
        ({"examples": [{"a": [1, 2]}] * 2, "context": {"b": [3, 4]}}, True),
        ({"examples": [{}], "context": {"a": [1, 2], "b": [3, 4]}}, True),
        ({"examples": [{}], "context": {}}, False),
        ({"examples": [{}]}, False),
        ({"examples": [{"a": [1, 2]}], "context": {}}, False),
        ({"examples": [{"a": [1, 2]}, {}], "context": {"b": [3, 4]}}, False),
        ({"examples": [{"a": [1, 2], "b": [3, 4]}], "context": {"b": [3, 4]}}, False),
        ({"examples": [{"a": [1, 2], "b": [3, 4], "c": 1}]}, False),
        ({"examples": [{"a": [1, 2], "b": [3]}]}, False),
        ({"examples": []}, False),
    ],
)
def test_examples_and_context(
    tmp_path: Path, open_model: Callable[[Path], Service], body: object, *, taken: bool
) -> None:
    """Each feature in every example or in the context: the document and the service agree."""
    folder = write_model(
        tmp_path,
        inputs=(Port("a", "float32", (-1, 2)), Port("b", "float32", (-1, 2))),
        outputs=(Port("y", "float32", (-1, 2)),),
        steps=(Step("ADD", ("a", "b"), "y"),),
    )
    service, path = open_model(folder), "/v1/models/tiny:classify"
    content = _document(service)["paths"][path]["post"]["requestBody"]["content"]
    schema = jsonschema.Draft202012Validator(content["application/json"]["schema"])

    response = service.answer(Request("POST", path, {}, json.dumps(body).encode()))

    assert (200 if taken else 400, taken) == (response.status, schema.is_valid(body))


@pytest.mark.parametrize(
    ("datatype", "data", "taken"),
    [
        ("FP32", [0.5, -0.5, 0, 1], True),
        ("INT8", [1, -1, 127, -128], True),
        ("INT8", [1, -1, 128, -128], False),
        ("INT16", [1, -1, 127, -128], False),
    ],
)
def test_a_quantized_models_own_integers(
    quantized: Path,
    open_model: Callable[[Path], Service],
    datatype: str,
    data: list[float],
    *,
    taken: bool,
) -> None:
    """The Open Inference Protocol takes and gives them: the document and the service agree."""
    service, path = open_model(quantized), "/v2/models/tiny/infer"
    operation = _document(service)["paths"][path]["post"]
    body = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": datatype, "data": data}]}
    content = operation["requestBody"]["content"]["application/json"]

    response = service.answer(Request("POST", path, {}, json.dumps(body).encode()))

    schema = jsonschema.Draft202012Validator(content["schema"])
    assert (200 if taken else 400, taken) == (response.status, schema.is_valid(body))
    if taken:
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(json.loads(response.body), answer)


@pytest.mark.parametrize(("data", "taken"), [([2], True), (2, False)])
def test_a_lone_number(
    tmp_path: Path, open_model: Callable[[Path], Service], data: object, *, taken: bool
) -> None:
    """To the Open Inference Protocol it is a list of one: the document and the service agree."""
    folder = write_model(
        tmp_path,
        inputs=(Port("x", "float32", ()),),
        outputs=(Port("y", "float32", ()),),
        steps=(Step("ADD", ("x", "x"), "y"),),
    )
    service, path = open_model(folder), "/v2/models/tiny/infer"
    content = _document(service)["paths"][path]["post"]["requestBody"]["content"]
    schema = jsonschema.Draft202012Validator(content["application/json"]["schema"])
    body = {"inputs": [{"name": "x", "shape": [], "datatype": "FP32", "data": data}]}

    response = service.answer(Request("POST", path, {}, json.dumps(body).encode()))

    example = json.dumps(content["application/json"]["example"]).encode()
    assert (200 if taken else 400, taken) == (response.status, schema.is_valid(body))
    assert 200 == service.answer(Request("POST", path, {}, example)).status


@pytest.mark.parametrize(
    ("sizes", "names"), [((-1, -1), ["output", "shape"]), ((-1, 2), ["output"])]
)
def test_a_shape_can_be_given_where_bytes_do_not_say_it(
    tmp_path: Path,
    open_model: Callable[[Path], Service],
    sizes: tuple[int, ...],
    names: list[str],
) -> None:
    """`?shape=`, where more than one size is free."""
    folder = write_model(
        tmp_path,
        inputs=(Port("x", "float32", sizes),),
        outputs=(Port("y", "float32", sizes),),
        steps=(Step("ADD", ("x", "x"), "y"),),
    )

    predict = _document(open_model(folder))["paths"]["/v1/models/tiny:predict"]["post"]

    assert names == [parameter["name"] for parameter in predict["parameters"]]


@pytest.mark.parametrize(("feature", "taken"), [(3, True), ([3, 4], True), ("3", False)])
def test_features_of_a_free_size(
    tmp_path: Path, open_model: Callable[[Path], Service], feature: object, *, taken: bool
) -> None:
    """A lone number is a list of one here: the document and the service agree."""
    folder = write_model(
        tmp_path,
        inputs=(Port("x", "float32", (-1, -1)),),
        outputs=(Port("y", "float32", (-1, -1)),),
        steps=(Step("ADD", ("x", "x"), "y"),),
    )
    service, path = open_model(folder), "/v1/models/tiny:classify"
    content = _document(service)["paths"][path]["post"]["requestBody"]["content"]
    schema = jsonschema.Draft202012Validator(content["application/json"]["schema"])
    body = {"examples": [{"x": feature}]}

    response = service.answer(Request("POST", path, {}, json.dumps(body).encode()))

    assert (200 if taken else 400, taken) == (response.status, schema.is_valid(body))


@pytest.mark.parametrize("top", [1, 190, 190.0, 0, 0.0, 1.5, -1, 1_000_001, 1e300, True, None, "1"])
def test_how_many_labels(
    digits_service: Service, sample: Callable[[int], bytes], top: object
) -> None:
    """An integer is what JSON Schema calls one: the document and the service agree."""
    path = "/v1/models/digits:image"
    content = _document(digits_service)["paths"][path]["post"]["requestBody"]["content"]
    schema = jsonschema.Draft202012Validator(content["application/json"]["schema"])
    body = {"image": base64.b64encode(sample(3)).decode(), "top": top}
    headers = {"content-type": "application/json"}

    response = digits_service.answer(Request("POST", path, headers, json.dumps(body).encode()))

    assert schema.is_valid(body) is (response.status == 200)
    assert response.status in {200, 400}


def test_only_what_the_model_can_do_is_offered(documents: list[tuple[Service, Any]]) -> None:
    """Pictures, labels, single numbers and bare tensors need the right model."""
    (_, digits), (_, tiny) = documents

    verbs = [
        sorted(path.partition(":")[2] for path in document["paths"] if path.startswith(prefix))
        for document, prefix in ((digits, "/v1/models/digits:"), (tiny, "/v1/models/tiny:"))
    ]

    assert [["classify", "image", "predict"], ["predict"]] == verbs
    predict = "/v1/models/{}:predict"
    bodies = [
        document["paths"][predict.format(name)]["post"]["requestBody"]["content"]
        for document, name in ((digits, "digits"), (tiny, "tiny"))
    ]
    npy = "application/x-npy"
    assert [True, False] == [npy in content for content in bodies]


def test_every_error_is_described(documents: list[tuple[Service, Any]]) -> None:
    """Each status that can come is there, with the one shape that errors have."""
    for service, document in documents:
        schema = document["components"]["schemas"]["Error"]
        for _, path, operation in _operations(document):
            expected = {"200", "404", "405", "500"}
            if "requestBody" in operation:
                expected |= {"400", "413", "415", "503", "504"}
                error = json.loads(service.answer(Request("POST", path, {}, b"{")).body)
                jsonschema.validate(error, schema)
            assert expected == set(operation["responses"])


def test_the_release_is_the_projects() -> None:
    """The image carries no pyproject.toml, so the number stands twice."""
    import tomllib

    from handler import VERSION

    project = Path(__file__).parents[2] / "pyproject.toml"
    assert VERSION == tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]


def test_the_example_picture_is_one(digits_service: Service) -> None:
    """What the document offers as base64 starts as a PNG does."""
    paths = _document(digits_service)["paths"]
    example = paths["/v1/models/digits:image"]["post"]["requestBody"]["content"]["text/plain"]

    assert b"\x89PNG" == base64.b64decode(example["example"])[:4]
