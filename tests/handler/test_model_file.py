"""model.tflite in memory."""

import hashlib
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from handler.errors import StartupError
from handler.model_file import ModelFile

OPENSSL = "libcrypto.so.3"


@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
def test_a_file_is_known_by_its_sha256(tmp_path: Path, size: int) -> None:
    """Small or large, it is mapped as it is and passes the check of its own digest."""
    content = bytes(range(256)) * (size // 256) + b"end"
    (tmp_path / "model.tflite").write_bytes(content)

    file = ModelFile(f"{tmp_path}/model.tflite")

    file.check(hashlib.sha256(content).hexdigest())
    assert content == file.memory.view
    with pytest.raises(StartupError, match=r"has sha256 [0-9a-f]{64}, model.json expects 00"):
        file.check("00")


@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_without_openssl_3_a_file_is_hashed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Where there is no such library, Python has a sha256 of its own, and hashlib another."""

    def missing(path: str, *, present: bool = False) -> None:
        del present
        raise OSError(f"{path}: cannot open shared object file")

    content = bytes(size)
    (tmp_path / "model.tflite").write_bytes(content)
    monkeypatch.setattr("handler.model_file.Library", missing)

    ModelFile(f"{tmp_path}/model.tflite").check(hashlib.sha256(content).hexdigest())


@pytest.mark.skipif(find_library("crypto") != OPENSSL, reason=f"there is no {OPENSSL} here")
@pytest.mark.parametrize(("before", "builtin"), [("", True), (f"CDLL('{OPENSSL}')", False)])
def test_a_small_file_does_not_wait_for_openssl(
    tmp_path: Path, before: str, *, builtin: bool
) -> None:
    """OpenSSL hashes it where the process has that already; else it is not loaded for it."""
    (tmp_path / "model.tflite").write_bytes(bytes(100_000))
    script = f"""
import sys
from ctypes import CDLL
{before}
from handler.model_file import ModelFile
ModelFile({str(tmp_path / "model.tflite")!r}).check({hashlib.sha256(bytes(100_000)).hexdigest()!r})
print("_sha256" in sys.modules or "_sha2" in sys.modules)
"""

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert f"{builtin}\n" == done.stdout


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_a_file_that_cannot_be_read_says_so_when_asked(
    tmp_path: Path, content: bytes | None
) -> None:
    """Not before: model.json is read in between, and may have the better reason."""
    if content is not None:
        (tmp_path / "model.tflite").write_bytes(content)

    file = ModelFile(f"{tmp_path}/model.tflite")

    with pytest.raises(StartupError, match=r"cannot read .*model\.tflite.*MODEL_DIR names"):
        file.check("00")
