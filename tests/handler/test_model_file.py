"""model.tflite in memory."""

import hashlib
from pathlib import Path

import pytest

from handler.errors import StartupError
from handler.model_file import ModelFile


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


def test_without_openssl_3_a_large_file_is_hashed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no such library, hashlib takes the one that Python was built with."""

    def missing(path: str) -> None:
        raise OSError(f"{path}: cannot open shared object file")

    content = bytes(3_000_000)
    (tmp_path / "model.tflite").write_bytes(content)
    monkeypatch.setattr("handler.model_file.Library", missing)

    ModelFile(f"{tmp_path}/model.tflite").check(hashlib.sha256(content).hexdigest())


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
