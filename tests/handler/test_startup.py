"""What a start costs: measured in fresh interpreters, as Lambda starts them."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).parents[2]
EVENT = (PROJECT / "tests" / "events" / "predict.json").as_posix()
SCRIPT = f"""
import sys
bare = set(sys.modules)
import handler.app
import json
with open({EVENT!r}, encoding="utf-8") as file:
    answer = handler.app.handler(json.load(file), None)
assert answer["statusCode"] == 200, answer
loaded = set(sys.modules) - bare
print(" ".join(sorted({{name.partition(".")[0] for name in loaded}})))
"""


def _run(script: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # -S: site-packages are out of reach, so that nothing but the standard library can be meant.
        [sys.executable, "-S", "-c", script],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_prediction_needs_the_standard_library_alone(environment: Mapping[str, str]) -> None:
    """From start to first prediction nothing is imported but handler and the standard library."""
    done = _run(SCRIPT, environment)

    assert 0 == done.returncode, done.stderr
    foreign = set(done.stdout.splitlines()[-1].split()) - set(sys.stdlib_module_names)
    assert {"handler"} == foreign


def test_a_start_leaves_the_slow_parts_of_the_standard_library_alone(
    environment: Mapping[str, str],
) -> None:
    """Modules that each cost milliseconds are not pulled in by accident."""
    done = _run(SCRIPT, environment)

    loaded = set(done.stdout.splitlines()[-1].split())
    slow = {"asyncio", "dataclasses", "inspect", "logging", "pathlib", "typing", "urllib", "http"}
    assert set() == loaded & slow


def test_litert_says_nothing_but_its_one_line(environment: Mapping[str, str]) -> None:
    """LiteRT's own INFO lines are silenced; TensorFlow Lite's one cannot be."""
    done = _run(SCRIPT, environment)

    assert "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." == done.stderr.strip()


def test_a_start_that_fails_says_why(environment: Mapping[str, str], tmp_path: Path) -> None:
    """The last line of a failed initialisation is the reason."""
    done = _run("import handler.app", {**environment, "MODEL_DIR": str(tmp_path)})

    assert 1 == done.returncode
    assert "StartupError: cannot read" in done.stderr.splitlines()[-1]
