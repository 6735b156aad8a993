"""Processes that do jobs side by side; one that dies or hangs costs its job and nothing else."""

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from convert.isolation import environment

Job = dict[str, Any]
Answer = dict[str, Any]

LIMIT_S = 900.0
_OWN = {
    "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    # One thread each: the workers share the cores among them, and sums keep their order.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class Workers:
    """Some `python -m convert.worker`, started when first needed, ended with the `with` block.

    Args:
        folder: Where the jobs' files are.
        count: How many at a time; None: one for each core.
        limit_s: How long one job may take.
    """

    def __init__(self, folder: Path, count: int | None = None, limit_s: float = LIMIT_S) -> None:
        self._folder = folder
        self._limit_s = limit_s
        count = count or len(os.sched_getaffinity(0))
        self._seats: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._workers = [_Worker(folder) for _ in range(count)]
        for worker in reversed(self._workers):
            self._seats.put(worker)
        self._threads = ThreadPoolExecutor(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Killed first: threads wait for answers, and stop at the end of them.
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.bury()

    def run(
        self, jobs: Sequence[Job], done: Callable[[int, Answer], None] = lambda *_: None
    ) -> list[Answer]:
        """Does jobs side by side.

        Args:
            jobs: What to do.
            done: Called with a job's place and its answer, in the order of finishing.

        Returns:
            The answers in the order of the jobs; {"error": ...} where one failed.

        Raises:
            OSError: A worker had no room on the disk.
        """
        places = {self._threads.submit(self._do, job): place for place, job in enumerate(jobs)}
        answers: list[Answer] = [{} for _ in jobs]
        for future in as_completed(places):
            place = places[future]
            answers[place] = future.result()
            done(place, answers[place])
        return answers

    def _do(self, job: Job) -> Answer:
        worker = self._seats.get()
        try:
            answer = worker.ask(job, self._limit_s)
        finally:
            self._seats.put(worker)
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        return answer


class _Worker:
    """One process, and another in its place after it died."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def ask(self, job: Job, limit_s: float) -> Answer:
        process = self._running()
        assert process.stdin is not None  # noqa: S101  both are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return {"error": self._end_of(process)}
        ready, _, _ = select.select([process.stdout], [], [], limit_s)
        if not ready:
            process.kill()
            self.bury()
            return {"error": f"took more than {limit_s:g} s, and was ended"}
        line = process.stdout.readline()
        if not line:
            return {"error": self._end_of(process)}
        answer: Answer = json.loads(line)
        return answer

    def kill(self) -> None:
        """Ends the process; there will be no other."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def bury(self) -> None:
        """Waits for its end; the next job has another process."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # What was not sent needs no sending any more.
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _running(self) -> "subprocess.Popen[str]":
        with self._lock:
            if self._closed:
                raise RuntimeError("the workers are closed")
            if self._process is None:
                self._process = self._start()
            return self._process

    def _start(self) -> "subprocess.Popen[str]":
        # Chatter is dropped with the file: what is worth saying comes as an answer.
        with tempfile.TemporaryFile(dir=self._folder) as chatter:
            return subprocess.Popen(
                # -P: the working directory is no place to import from.
                [sys.executable, "-P", "-m", "convert.worker", str(self._folder.resolve())],
                env=environment(self._folder.resolve()) | _OWN,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=chatter,
                encoding="utf-8",
            )

    def _end_of(self, process: "subprocess.Popen[str]") -> str:
        self.bury()
        code = process.returncode
        if code < 0:
            return f"crashed: ended by {signal.Signals(-code).name}"
        return f"crashed: ended with exit code {code}"
