"""A Docker daemon: the one that runs, or one installed and started here and stopped by `down`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from local import process
from local.errors import DockerError
from local.home import Home, read_json, say, write_json

READY_SECONDS = 60.0
# What docker ends with after it said what is wrong.
ADVICE = re.compile(r"^(?:(?:Run|See) 'docker [^'\n]*--help'|Usage: +docker )", re.MULTILINE)
# What BuildKit repeats of the step that failed.
STEP = re.compile(r"^ > \[[^\n]*\n(?P<printed>(?:(?!-+\n)[^\n]*\n)*)-+\n", re.MULTILINE)
HOW_TO_GET_IT = (
    "install it (Debian and Ubuntu: apt-get install docker.io debootstrap), start the daemon "
    "and run this again"
)


def ensure(home: Home) -> None:
    """See to it that a daemon answers: use what runs, else install and start one as root.

    Raises:
        DockerError: None runs and none can be started here.
    """
    if answers():
        return
    if os.environ.get("DOCKER_HOST"):
        raise DockerError(
            f"no Docker daemon answers at DOCKER_HOST={os.environ['DOCKER_HOST']}; start it, or "
            "unset DOCKER_HOST to use this machine's own"
        )
    if os.geteuid() != 0:
        raise DockerError(
            f"no Docker daemon answers and only root can start one (this is uid {os.geteuid()}); "
            f"{HOW_TO_GET_IT}, or run this as root"
        )
    if shutil.which("dockerd") is None:
        install(["docker.io"])
    _start(home)


def stop(home: Home) -> bool:
    """Stop the daemon if it is one that `ensure` started here; tell whether it was."""
    record = home.root / "docker" / "daemon.json"
    identity = read_json(record)
    if identity is None:
        return False
    process.stop(identity)
    record.unlink()
    _unmount(home.root)
    shutil.rmtree(_runtime(home), ignore_errors=True)
    return True


def answers() -> bool:
    """Whether `docker` reaches a daemon."""
    return shutil.which("docker") is not None and _docker("version").returncode == 0


def docker(*arguments: str) -> str:
    """Run one docker command; what it prints is returned.

    Args:
        arguments: What follows `docker`.

    Raises:
        DockerError: It failed; the message ends with what it printed of that.
    """
    done = _docker(*arguments)
    if done.returncode != 0:
        raise DockerError(
            f"docker {' '.join(arguments[:2])} failed with exit code {done.returncode}: "
            f"{_reason(done.stderr or done.stdout) or 'it printed nothing'}"
        )
    return done.stdout


def forget(repository: str) -> None:
    """Remove the daemon's copies of a repository's images.

    Args:
        repository: Its whole name, or what the names of several begin with, ending in a slash.
    """
    shown = ("--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}")
    names = set()
    for name, tag, digest in (row.split() for row in docker("image", "ls", *shown).splitlines()):
        if name == repository or (repository.endswith("/") and name.startswith(repository)):
            # By name and never by id: another repository may hold the same image.
            names.add(f"{name}@{digest}" if tag == "<none>" else f"{name}:{tag}")
    if names:
        docker("image", "rm", "--force", *sorted(names))


def install(packages: list[str]) -> None:
    """Install Debian packages, saying so.

    Raises:
        DockerError: There is no apt-get here, or it failed.
    """
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise DockerError(f"{names} is missing and there is no apt-get here; {HOW_TO_GET_IT}")
    if os.geteuid() != 0:
        raise DockerError(
            f"{names} is missing and only root can install it; run `sudo apt-get install {names}` "
            "and run this again"
        )
    say(f"installing {names} (Debian packages) ...")
    # RUNLEVEL=1 keeps the package from starting a daemon of its own under sysvinit.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    # A machine that has just started may be updating itself: wait for the packages' lock.
    patient = ["-o", "DPkg::Lock::Timeout=300"]
    command = ["apt-get", *patient, "-q", "-y", "--no-install-recommends", "install", *packages]
    subprocess.run(["apt-get", "-q", "update"], env=env, capture_output=True, check=False)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise DockerError(f"apt-get install {names} failed: {said[-1] if said else 'no message'}")


def _start(home: Home) -> None:
    folder = home.root / "docker"
    folder.mkdir(parents=True, exist_ok=True)
    record, log = folder / "daemon.json", folder / "dockerd.log"
    identity = read_json(record)
    if not process.alive(identity):
        identity = _launch(home, folder, record, log)
    deadline = time.monotonic() + READY_SECONDS
    while not answers():
        if not process.alive(identity) or time.monotonic() > deadline:
            process.stop(identity)
            record.unlink()
            raise DockerError(
                f"dockerd did not start: {_last_words(log)}; {HOW_TO_GET_IT}, or run this where "
                "containers are allowed"
            )
        time.sleep(0.2)


def _launch(home: Home, folder: Path, record: Path, log: Path) -> dict[str, Any]:
    say("starting a Docker daemon (`make down` stops it) ...")
    # Its data lives in our folder: `down` removes every layer with it, and a daemon that the
    # machine's owner starts later finds nothing of ours.
    command = ["dockerd", "--data-root", str(folder / "data"), "--pidfile", str(folder / "pid")]
    # Its own runtime folder, empty: a pid that an earlier daemon left there may be somebody else's
    # by now, and then containerd is waited for in vain. In /run, since a socket's path is short.
    shutil.rmtree(_runtime(home), ignore_errors=True)
    with process.uninterrupted():
        identity = process.start([*command, "--exec-root", str(_runtime(home))], log)
        write_json(record, identity)
    return identity


def _runtime(home: Home) -> Path:
    return Path("/run") / f"thimble-{hashlib.sha256(str(home.root).encode()).hexdigest()[:8]}"


def _unmount(folder: Path) -> None:
    """Unmount what a daemon that did not end well left mounted, or the folder cannot be deleted."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed([m for m in mounts if Path(m).is_relative_to(folder)]):
        subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][-300:] if lines else "it printed nothing"


def _reason(printed: str) -> str:
    """The line that says what failed: the last before docker's advice to ask for help.

    Where a step of a build failed, that line only names the step, and the step's own last line,
    which stands in a block of its own or right before, says why.
    """
    lines = [line.strip() for line in ADVICE.split(printed)[0].splitlines() if line.strip()]
    if not lines:
        return ""
    block = STEP.search(printed)
    step = block["printed"].split("\n") if block else lines[:-1]
    names_the_step = block or lines[-1].startswith("The command ")
    why = [line.strip() for line in step if line.strip()] if names_the_step else []
    return "; ".join([*why[-1:], lines[-1]])


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
