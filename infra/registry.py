"""Copies one image from a registry to another without changing a byte, by the registry HTTP API.

An image is its manifest, and the manifest's SHA-256 is its digest: as long as manifest and blobs
arrive unchanged, what runs in production is what was tested. `docker pull`, `tag` and `push` give
no such promise, and Lambda refuses the index that other tools like to wrap around an image.
"""

import base64
import hashlib
import http.client
import json
import re
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any

from infra.errors import CopyError

MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
REFERENCE = re.compile(
    r"(?P<host>[a-z0-9.-]+(?::\d+)?)/(?P<repository>[a-z0-9._/-]+)@(?P<digest>sha256:[0-9a-f]{64})"
)
TIMEOUT = 60  # seconds without a byte, not for a whole layer
CHUNK = 1 << 20

Credentials = Callable[[str], tuple[str, str] | None]


@dataclass(frozen=True, slots=True)
class Reference:
    """One image in one registry: HOST/REPOSITORY@sha256:..."""

    host: str
    repository: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Raises CopyError for anything but a reference by digest."""
        found = REFERENCE.fullmatch(text)
        if not found:
            raise CopyError(
                f"{text!r} is not an image by digest; expected HOST/REPOSITORY@sha256:... as the "
                "stack promoted from exports in image_uri (run pulumi up there first)"
            )
        return cls(found["host"], found["repository"], found["digest"])

    @property
    def tag(self) -> str:
        """The tag a copy gets: the digest's first 16 digits, so never that of another image."""
        return self.digest.removeprefix("sha256:")[:16]


def exists(image: Reference, credentials: Credentials) -> bool:
    """Whether the registry holds this image."""
    return _Registry(image.host, image.repository, credentials).has("manifests", image.digest)


def copy(source: Reference, target: Reference, credentials: Credentials) -> None:
    """Copy an image with everything it consists of; nothing to do when it is there.

    Args:
        source: Where it is.
        target: Where it shall be; of the same digest.
        credentials: User and password for a host, or None for a registry that asks for none.

    Raises:
        CopyError: It cannot be read or written, is an index, or arrived with another digest.
    """
    if exists(target, credentials):
        return
    old = _Registry(source.host, source.repository, credentials)
    new = _Registry(target.host, target.repository, credentials)
    body, kind = old.manifest(source.digest)
    manifest: dict[str, Any] = json.loads(body)
    for blob in (manifest["config"], *manifest["layers"]):
        if not new.has("blobs", blob["digest"]) and not new.mount(blob["digest"], old):
            with tempfile.TemporaryFile() as file:
                old.download(blob["digest"], file)
                new.upload(blob["digest"], file)
    arrived = new.put_manifest(target.tag, body, kind)
    if arrived != target.digest or not exists(target, credentials):
        raise CopyError(
            f"{target.host}/{target.repository} holds {arrived} after copying {source.digest}; "
            "the registry changed the image, so do not deploy it"
        )


class _Registry:
    """One repository's corner of the registry HTTP API."""

    def __init__(self, host: str, repository: str, credentials: Credentials) -> None:
        self.host = host
        self.repository = repository
        # Docker's own rule: a registry on this machine speaks plain HTTP, every other one TLS.
        local = host.partition(":")[0] in {"localhost", "127.0.0.1"}
        self.base = f"{'http' if local else 'https'}://{host}/v2/{repository}/"
        self.credentials = credentials(host)

    def has(self, what: str, digest: str) -> bool:
        try:
            self._send("HEAD", f"{what}/{digest}").close()
        except _MissingError:
            return False
        return True

    def manifest(self, digest: str) -> tuple[bytes, str]:
        """A manifest's bytes and media type, verified."""
        try:
            with self._send("GET", f"manifests/{digest}") as answer:
                body, kind = answer.read(), str(answer.headers["Content-Type"])
        except _MissingError:
            raise CopyError(
                f"{self.host}/{self.repository} has no image {digest}; it expired or was deleted: "
                "run pulumi up in the stack it is promoted from"
            ) from None
        if kind not in MANIFESTS:
            raise CopyError(
                f"{self.host}/{self.repository}@{digest} is {kind}, and Lambda takes single "
                "images only; build it without attestations (BUILDX_NO_DEFAULT_ATTESTATIONS=1)"
            )
        if _sha256(body) != digest:
            raise CopyError(f"{self.host} sent {_sha256(body)} when asked for {digest}; try again")
        return body, kind

    def mount(self, digest: str, source: "_Registry") -> bool:
        """Take a blob over inside one registry, which may decline."""
        if source.host != self.host:
            return False
        query = urllib.parse.urlencode({"mount": digest, "from": source.repository})
        with self._send("POST", f"blobs/uploads/?{query}", data=b"") as answer:
            return bool(answer.status == http.client.CREATED)

    def download(self, digest: str, file: IO[bytes]) -> None:
        total = hashlib.sha256()
        with self._send("GET", f"blobs/{digest}") as answer:
            while chunk := answer.read(CHUNK):
                total.update(chunk)
                file.write(chunk)
        if f"sha256:{total.hexdigest()}" != digest:
            raise CopyError(f"{self.host} sent other bytes than {digest} for it; try again")

    def upload(self, digest: str, file: IO[bytes]) -> None:
        """Start, one chunk, commit: the way every registry takes, ECR included."""
        with self._send("POST", "blobs/uploads/", data=b"") as answer:
            place = self._place(answer)
        size = file.tell()
        file.seek(0)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        with self._send("PATCH", place, data=file, headers=headers) as answer:
            place = self._place(answer)
        glue = "&" if "?" in place else "?"
        self._send("PUT", f"{place}{glue}digest={urllib.parse.quote(digest)}", data=b"").close()

    def put_manifest(self, tag: str, body: bytes, kind: str) -> str:
        headers = {"Content-Type": kind}
        with self._send("PUT", f"manifests/{tag}", data=body, headers=headers) as answer:
            return str(answer.headers.get("Docker-Content-Digest") or _sha256(body))

    def _place(self, answer: http.client.HTTPResponse) -> str:
        return str(urllib.parse.urljoin(self.base, answer.headers["Location"]))

    def _send(
        self,
        method: str,
        path: str,
        *,
        data: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        request = urllib.request.Request(  # noqa: S310 (http only for this machine, see above)
            urllib.parse.urljoin(self.base, path),
            data=data,
            method=method,
            headers={"Accept": ", ".join(MANIFESTS), **(headers or {})},
        )
        if self.credentials:
            user, password = self.credentials
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            # Unredirected: a blob's GET leads to S3, which refuses a second kind of credentials.
            request.add_unredirected_header("Authorization", f"Basic {token}")
        try:
            answer = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.client.NOT_FOUND:
                    raise _MissingError from None
                raise CopyError(self._refused(method, error)) from None
        except OSError as error:
            raise CopyError(f"{self.host} cannot be reached: {error}") from error
        assert isinstance(answer, http.client.HTTPResponse)  # noqa: S101 (urllib's own type)
        return answer

    def _refused(self, method: str, error: urllib.error.HTTPError) -> str:
        said = " ".join(error.read(500).decode(errors="replace").split())
        if error.code in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
            account = self.host.partition(".")[0]
            return (
                f"{self.host} denies {method} on {self.repository} ({error.code}): {said}; name "
                f"this stack's account in image.sharedWith of the stack that account {account} "
                "belongs to, and allow this role ecr:BatchGetImage and ecr:GetDownloadUrlForLayer"
            )
        return f"{self.host} refuses {method} on {self.repository} ({error.code}): {said}"


class _MissingError(Exception):
    """Strictly private. The registry answered 404."""


def _sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
