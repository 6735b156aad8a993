"""Copying an image between two registries, over real HTTP."""

import hashlib
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from infra import promoted
from infra.errors import CopyError
from infra.promoted import PromotedImageProvider
from infra.registry import MANIFESTS, Reference, copy, exists

DOCKER, OCI = MANIFESTS
INDEX = "application/vnd.oci.image.index.v1+json"


def sha256(body: bytes) -> str:
    """A registry's name for these bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass
class Registry:
    """An in-memory registry that behaves as ECR does: redirects blobs, refuses to move a tag."""

    host: str = ""
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    authorization: str | None = None
    broken: bool = False

    def push(self, repository: str, kind: str = OCI) -> str:
        """Put a small image there and return its reference."""
        config, layer = b'{"os": "linux"}', b"layer" * 1000
        for blob in (config, layer):
            self.blobs[repository, sha256(blob)] = blob
        manifest = json.dumps(
            {
                "mediaType": kind,
                "config": {"digest": sha256(config)},
                "layers": [{"digest": sha256(layer)}],
            }
        ).encode()
        self.manifests[repository, sha256(manifest)] = (manifest, kind)
        return f"{self.host}/{repository}@{sha256(manifest)}"

    def uploads(self) -> int:
        """How many blobs were sent here."""
        return len([line for line in self.requests if line.startswith("PATCH")])


class Handler(BaseHTTPRequestHandler):
    """Speaks the registry HTTP API to one client at a time."""

    registry: ClassVar[Registry]

    def do_any(self) -> None:
        """Answer any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urllib.parse.urlsplit(self.path)
        self.registry.requests.append(f"{self.command} {self.path}")
        if url.path.startswith("/s3/"):
            # S3 answers 400 to a presigned URL that comes with another authorization.
            found = None if self.headers["Authorization"] else self._blob(url.path)
            return self._answer(400 if found is None else 200, found or b"")
        if self.headers["Authorization"] != self.registry.authorization:
            return self._answer(403, b'{"errors":[{"code":"DENIED"}]}')
        matched = re.fullmatch(r"/v2/(.+?)/(manifests|blobs/uploads|blobs)/(.*)", url.path)
        assert matched, self.path
        repository, what, name = matched.groups()
        query = dict(urllib.parse.parse_qsl(url.query))
        answer: Any = getattr(self, f"_{what.replace('/', '_')}")
        return self._answer(*answer(repository, name, query, body))

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_any  # noqa: N815 (the base class's names)

    def log_message(self, *_: Any) -> None:
        """Tests read requests, not a log."""

    def _manifests(self, repository: str, name: str, _: Any, body: bytes) -> tuple[Any, ...]:
        store = self.registry.manifests
        if self.command != "PUT":
            found = store.get((repository, name))
            return (200, found[0], {"Content-Type": found[1]}) if found else (404, b"")
        if (repository, name) in store:
            return 400, b'{"errors":[{"code":"TAG_INVALID"}]}'
        stored = body + b" " if self.registry.broken else body
        entry = (stored, str(self.headers["Content-Type"]))
        store[repository, name] = store[repository, sha256(stored)] = entry
        return 201, b"", {"Docker-Content-Digest": sha256(stored)}

    def _blobs(self, repository: str, name: str, *_: Any) -> tuple[Any, ...]:
        if (repository, name) not in self.registry.blobs:
            return 404, b""
        if self.command == "HEAD":
            return 200, b""
        return 307, b"", {"Location": f"/s3/{repository}/{name}"}

    def _blobs_uploads(
        self, repository: str, name: str, query: dict[str, str], body: bytes
    ) -> tuple[Any, ...]:
        blobs = self.registry.blobs
        if self.command == "POST":
            mounted = blobs.get((query.get("from", ""), query.get("mount", "")))
            if mounted is not None:
                blobs[repository, query["mount"]] = mounted
                return 201, b""
            return 202, b"", {"Location": f"/v2/{repository}/blobs/uploads/1?state=a"}
        if self.command == "PATCH":
            blobs[repository, name] = body
            return 202, b"", {"Location": f"/v2/{repository}/blobs/uploads/{name}?state=b"}
        content = blobs.pop((repository, name))
        assert query["digest"] == sha256(content)
        blobs[repository, query["digest"]] = content
        return 201, b""

    def _blob(self, path: str) -> bytes | None:
        _, _, rest = path.partition("/s3/")
        repository, _, name = rest.rpartition("/")
        return self.registry.blobs.get((repository, name))

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def serve() -> Iterator[Registry]:
    """A registry that answers on this machine until the test is over."""
    registry = Registry()
    handler = type("Served", (Handler,), {"registry": registry})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        registry.host = f"localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield registry
        server.shutdown()
        thread.join()


@pytest.fixture
def dev() -> Iterator[Registry]:
    """The registry promoted from."""
    yield from serve()


@pytest.fixture
def prod() -> Iterator[Registry]:
    """The registry promoted to."""
    yield from serve()


def nobody(_: str) -> None:
    """Credentials for a registry that asks for none."""


def target(prod: Registry, source: str) -> str:
    """Where a source's image goes."""
    return f"{prod.host}/prod/digits@{source.rpartition('@')[2]}"


def promote(source: str, uri: str, credentials: Any = nobody) -> None:
    """Copy by text."""
    copy(Reference.parse(source), Reference.parse(uri), credentials)


@pytest.mark.parametrize("kind", [DOCKER, OCI])
def test_same_bytes_arrive(kind: str, dev: Registry, prod: Registry) -> None:
    """Manifest and blobs arrive unchanged, so the digest is the same."""
    source = dev.push("dev/digits", kind)
    digest = source.rpartition("@")[2]
    promote(source, target(prod, source))

    assert dev.manifests["dev/digits", digest] == prod.manifests["prod/digits", digest]
    assert sorted(dev.blobs.values()) == sorted(prod.blobs.values())


def test_nothing_to_do(dev: Registry, prod: Registry) -> None:
    """An image that is there already is not sent again, and its tag is not moved."""
    source = dev.push("dev/digits")
    promote(source, target(prod, source))
    prod.requests.clear()
    promote(source, target(prod, source))

    assert [f"HEAD /v2/prod/digits/manifests/{source.rpartition('@')[2]}"] == prod.requests


def test_layers_that_are_there_stay(dev: Registry, prod: Registry) -> None:
    """Only layers that the target lacks travel: releases share most of theirs."""
    source = dev.push("dev/digits")
    layer = next(key for key in dev.blobs if len(dev.blobs[key]) > 100)
    prod.blobs["prod/digits", layer[1]] = dev.blobs[layer]
    promote(source, target(prod, source))

    assert 1 == prod.uploads()


def test_mounted_inside_one_registry(dev: Registry) -> None:
    """Between repositories of one registry nothing travels at all."""
    source = dev.push("dev/digits")
    promote(source, source.replace("dev/digits", "staging/digits"))

    assert 0 == dev.uploads()


def test_token_stays_with_the_registry(dev: Registry, prod: Registry) -> None:
    """The redirect to storage carries no token, which S3 would refuse."""
    dev.authorization = "Basic QVdTOnRva2Vu"
    source = dev.push("dev/digits")
    promote(
        source,
        target(prod, source),
        lambda host: ("AWS", "token") if host == dev.host else None,
    )

    assert 2 == len([line for line in dev.requests if line.startswith("GET /s3/")])


def test_denied(dev: Registry, prod: Registry) -> None:
    """A registry that says no is quoted, with the setting that lets this account in."""
    dev.authorization = "Basic other"
    source = dev.push("dev/digits")

    with pytest.raises(CopyError, match=r"denies GET .*DENIED.*image\.sharedWith"):
        promote(source, target(prod, source))


def test_index_is_refused(dev: Registry, prod: Registry) -> None:
    """Lambda takes single images, so an index is refused before anything is copied."""
    source = dev.push("dev/digits", INDEX)

    with pytest.raises(CopyError, match="single images only"):
        promote(source, target(prod, source))
    assert {} == prod.blobs


def test_expired(dev: Registry, prod: Registry) -> None:
    """An image that expired at its source is told as such."""
    source = f"{dev.host}/dev/digits@sha256:{'0' * 64}"

    with pytest.raises(CopyError, match="expired or was deleted"):
        promote(source, target(prod, source))


def test_damaged_on_the_way(dev: Registry, prod: Registry) -> None:
    """A layer that is not what its digest says is not passed on."""
    source = dev.push("dev/digits")
    dev.blobs = dict.fromkeys(dev.blobs, b"damaged")

    with pytest.raises(CopyError, match="sent other bytes"):
        promote(source, target(prod, source))
    assert {} == prod.manifests


def test_changed_by_the_target(dev: Registry, prod: Registry) -> None:
    """A registry that rewrites the manifest is caught: it would be another image."""
    prod.broken = True
    source = dev.push("dev/digits")

    with pytest.raises(CopyError, match="do not deploy it"):
        promote(source, target(prod, source))


def test_unreachable(prod: Registry) -> None:
    """A registry that does not answer is named."""
    source = f"localhost:9/dev/digits@sha256:{'0' * 64}"

    with pytest.raises(CopyError, match="localhost:9 cannot be reached"):
        promote(source, target(prod, source))


@pytest.mark.parametrize("text", ["", "digits", "host/digits:latest", "host/digits@sha256:abc"])
def test_only_by_digest(text: str) -> None:
    """A tag may come to mean another image, so only digests are accepted."""
    with pytest.raises(CopyError, match="is not an image by digest"):
        Reference.parse(text)


def test_resource_lifecycle(dev: Registry, prod: Registry) -> None:
    """Create copies, a second diff finds nothing, refresh finds it, and then finds it gone."""
    provider = PromotedImageProvider()
    source = dev.push("dev/digits")
    inputs = {"source": source, "uri": target(prod, source)}
    created = provider.create(inputs)

    assert inputs == created.outs
    assert exists(Reference.parse(inputs["uri"]), nobody)
    assert provider.diff(created.id, inputs, inputs).changes is False
    assert created.id == provider.read(created.id, inputs).id
    prod.manifests.clear()
    assert "" == provider.read(created.id, inputs).id


def test_another_digest_is_an_update(dev: Registry, prod: Registry) -> None:
    """A new image joins the old one, which published versions still use."""
    provider = PromotedImageProvider()
    old = dev.push("dev/digits", OCI)
    new = dev.push("dev/digits", DOCKER)
    before = {"source": old, "uri": target(prod, old)}
    after = {"source": new, "uri": target(prod, new)}
    provider.create(before)
    found = provider.diff("id", before, after)
    provider.update("id", before, after)

    assert (True, []) == (found.changes, found.replaces)
    assert all(exists(Reference.parse(uri), nobody) for uri in (before["uri"], after["uri"]))


def test_preview_refuses_a_tag() -> None:
    """A source by tag fails the check, which runs in preview."""
    found = PromotedImageProvider().check({}, {"source": "host/digits:1", "uri": object()})

    assert ["source"] == [failure.property for failure in found.failures]


def test_credentials_are_for_ecr() -> None:
    """A registry that is neither ECR nor on this machine gets no token of ours."""
    with pytest.raises(CopyError, match=r"example\.com is not an ECR registry"):
        promoted.credentials("example.com")


def test_token_is_asked_of_the_registry_s_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token comes from ECR in the region of the registry, and is asked for once."""
    asked = []

    class Ecr:
        def get_authorization_token(self) -> dict[str, Any]:
            return {"authorizationData": [{"authorizationToken": "QVdTOnRva2Vu"}]}

    def client(service: str, region_name: str) -> Ecr:
        asked.append((service, region_name))
        return Ecr()

    promoted._token.cache_clear()
    monkeypatch.setattr("boto3.client", client)
    host = "111111111111.dkr.ecr.eu-west-1.amazonaws.com"

    assert ("AWS", "token") == promoted.credentials(host) == promoted.credentials(host)
    assert [("ecr", "eu-west-1")] == asked
    promoted._token.cache_clear()
