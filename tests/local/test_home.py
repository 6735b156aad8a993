"""The folder that holds everything."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING

import pytest

from local.errors import LocalError
from local.home import PROJECT, Home, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that is not there yet."""
    return Home(tmp_path / "home")


def test_default_is_beside_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting it is .local of the project."""
    monkeypatch.delenv("THIMBLE_HOME", raising=False)
    assert Home.default().root == PROJECT / ".local"


def test_setting_moves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """THIMBLE_HOME names another place."""
    monkeypatch.setenv("THIMBLE_HOME", str(tmp_path / "elsewhere"))
    assert Home.default().root == tmp_path / "elsewhere"


def test_stacks_are_the_folders(home: Home) -> None:
    """A stack is known once it has a folder; asking where that would be makes none."""
    home.stack("staging")
    assert home.stacks() == []
    home.stack("prod").mkdir(parents=True)
    home.stack("dev").mkdir()
    assert home.stacks() == ["dev", "prod"]


def test_second_command_gets_one_line(home: Home) -> None:
    """It names who holds the home and what to do, and the first command goes on."""
    with home.locked():
        with pytest.raises(LocalError) as caught, home.locked():
            pass
        assert str(caught.value).startswith(f"another command (pid {os.getpid()}) is working on ")
        assert "\n" not in str(caught.value)
    with home.locked():
        pass


def test_a_command_that_died_holds_nothing(home: Home) -> None:
    """The lock goes with its process, however that ends."""
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_die_holding, args=(home,))
    child.start()
    child.join(10)
    assert child.exitcode == 3
    with home.locked():
        assert str(os.getpid()) == (home.root / "lock").read_text()


def _die_holding(home: Home) -> None:
    with home.locked():
        os._exit(3)


def test_remove_leaves_nothing(home: Home) -> None:
    """Whatever it holds; and again, when it holds nothing."""
    home.stack("local").mkdir(parents=True)
    (home.stack("local") / "file").write_text("x")
    home.remove()
    home.remove()
    assert not home.root.exists()


def test_json_there_and_back(tmp_path: Path) -> None:
    """What is written is read."""
    write_json(tmp_path / "x.json", {"a": [1, None]})
    assert read_json(tmp_path / "x.json") == {"a": [1, None]}


def test_no_file_reads_as_none(tmp_path: Path) -> None:
    """Absent is None, for whoever asks first."""
    assert read_json(tmp_path / "absent.json") is None


def test_failed_writing_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither half a document nor a temporary file; the old document stays."""
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert [path] == list(tmp_path.iterdir())
