"""What can be set, and how many cores there are."""

from pathlib import Path

import pytest

from handler.server import options


def test_the_environment_sets_what_the_command_line_does_not() -> None:
    """SageMaker gives a container variables; a command line goes before them."""
    found = options.read(["--queue", "3"], {"SERVE_QUEUE": "5", "SERVE_GRACE": "7"})

    assert (3, 7, 8080) == (found.queue, found.grace, found.port)


@pytest.mark.parametrize("port", ["65536", "9" * 5000, "-1", "٣", "80.0"])
def test_a_port_that_is_none_is_refused_before_anything_starts(
    capfd: pytest.CaptureFixture[str], port: str
) -> None:
    """The socket would raise what nobody catches; the line says what a port is."""
    with pytest.raises(SystemExit) as ended:
        options.read(["--port", port], {})

    assert 2 == ended.value.code
    assert f"'{port:.32}' is not a whole number from 0 to 65535" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({}, None),
    ],
    ids=["v2-free", "v2-half", "v1-free", "v1-one", "none"],
)
def test_a_container_has_the_cores_it_was_given(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    expected: int | None,
) -> None:
    """A container's share of the machine counts, not the machine; a part of a core is one."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="ascii")

    assert (expected or 4) == options.cores(tmp_path)
