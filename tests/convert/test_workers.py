"""The processes that do the work: crashes, hangs, and what they get to see."""

import errno
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from convert import worker, workers
from convert.workers import Workers

# A worker as far as the protocol goes, doing what the job says.
FAKE = """
import json, os, sys, time
for line in sys.stdin:
    job = json.loads(line)
    if "signal" in job:
        os.kill(os.getpid(), job["signal"])
    if "exit" in job:
        sys.exit(job["exit"])
    time.sleep(job.get("sleep", 0))
    print(json.dumps({"pid": os.getpid(), "said": job.get("say"),
        "environment": dict(os.environ)} | job.get("answer", {})), flush=True)
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in; workers run the script above instead of the real one."""
    (tmp_path / "convert").mkdir()
    (tmp_path / "convert" / "worker.py").write_text(FAKE)

    monkeypatch.setitem(workers._OWN, "PYTHONPATH", str(tmp_path))
    return tmp_path


def test_answers_come_in_the_order_of_the_jobs(fake: Path) -> None:
    """What finishes first is told first, and the answers stay in order."""
    told: list[int] = []
    jobs: list[dict[str, Any]] = [{"say": "slow", "sleep": 0.8}, {"say": "quick"}]
    with Workers(fake, count=2) as pool:
        answers = pool.run(jobs, lambda place, _: told.append(place))
    assert ["slow", "quick"] == [answer["said"] for answer in answers]
    assert [1, 0] == told


def test_crash_costs_one_job(fake: Path) -> None:
    """A worker that dies of a signal fails its own job; the next one has a new process."""
    with Workers(fake, count=1) as pool:
        jobs: list[dict[str, Any]] = [{"signal": signal.SIGSEGV}, {"exit": 3}, {"say": "alive"}]
        segv, code, alive = pool.run(jobs)
    assert {"error": "crashed: ended by SIGSEGV"} == segv
    assert {"error": "crashed: ended with exit code 3"} == code
    assert "alive" == alive["said"]


def test_hang_costs_one_job(fake: Path) -> None:
    """A job that takes too long is ended and says so; the next one has a new process."""
    with Workers(fake, count=1, limit_s=0.5) as pool:
        [hung] = pool.run([{"sleep": 60}])
        assert {"error": "took more than 0.5 s, and was ended"} == hung


def test_full_disk_is_no_candidates_fault(fake: Path) -> None:
    """Where a worker has no room the run ends: with a candidate less, another one would win."""
    answer = worker.failure(OSError(errno.ENOSPC, "No space left on device"))
    with Workers(fake, count=1) as pool, pytest.raises(OSError, match="No space left") as caught:
        pool.run([{"answer": answer}])
    assert errno.ENOSPC == caught.value.errno


def test_leaving_ends_everything(fake: Path) -> None:
    """No process outlives the block, and nobody waits for what it was doing."""
    with Workers(fake, count=1) as pool:
        [answer] = pool.run([{}])
        start = time.monotonic()
        pool._threads.submit(pool._do, {"sleep": 60})
    assert time.monotonic() - start < 10
    with pytest.raises(ProcessLookupError):
        os.kill(answer["pid"], 0)


def test_jobs_see_no_credentials(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker, which may run a metric of the user's own, has nothing to give away."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with Workers(fake, count=1) as pool:
        [answer] = pool.run([{}])
    assert str(fake) == answer["environment"]["HOME"]
    assert "secret" not in answer["environment"].values()
