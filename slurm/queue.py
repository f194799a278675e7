"""SLURM's own commands: what is queued, what a job does, what the site allows; no accounting needed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from facerec.errors import FacerecError
from slurm.site import STAGES

WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})
RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "SIGNALING", "STAGE_OUT", "STOPPED", "RESIZING"})
ACTIVE = WAITING | RUNNING
_TIMEOUT_S = 60.0  # a client whose controller or munge is away retries for minutes


class SlurmError(FacerecError):
    """SLURM's commands do not answer, or refuse."""


@dataclass(frozen=True)
class QueuedTask:
    """A task as squeue shows it: its state, node, the reason why it waits, and its submission's key."""

    state: str
    node: str
    reason: str
    comment: str


def available() -> bool:
    """Whether this machine belongs to a SLURM; its packages alone, with no cluster configured, do not count.

    Raises:
        SlurmError: there is one, and it does not answer.
    """
    if shutil.which("sbatch") is None or shutil.which("scontrol") is None:
        return False
    try:
        call("scontrol", "show", "config")
    except SlurmError as error:
        if "configuration source" in str(error):
            return False
        raise
    return True


def job_name(movie_id: int, stage: str) -> str:
    return f"{movie_id}-{stage}"


def call(*command: str) -> str:
    """The output of one of SLURM's commands.

    Raises:
        SlurmError: it is missing, fails, or does not answer in a minute.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise SlurmError(f"{command[0]}: no such command on this machine") from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command[0]}: SLURM did not answer within {_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        raise SlurmError(f"{command[0]}: {plain(done.stderr) or f'exit status {done.returncode}'}")
    return done.stdout


def plain(stderr: str) -> str:
    """What a command said, in one line and without its name before every part."""
    return " ".join(re.sub(r"\w+: (error|fatal): ", "", stderr).split())


def tasks_of(movie_id: int) -> dict[str, QueuedTask]:
    """The movie's tasks that SLURM still knows, ended ones included, by id (`4242_3`, `4243`)."""
    names = ",".join(job_name(movie_id, stage) for stage in STAGES)
    listed = call("squeue", "-h", "-r", "-t", "all", "--name", names, "-o", "%i|%T|%N|%r|%k")
    found: dict[str, QueuedTask] = {}
    for line in listed.splitlines():
        job, state, node, reason, comment = (line.split("|", 4) + [""] * 5)[:5]
        found[job.strip()] = QueuedTask(state, node, reason, comment)
    return found


def job_state(job: str) -> str:
    """The state of one job (`RUNNING`, `CANCELLED`, …); empty where SLURM does not know or answer."""
    try:
        return call("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").strip()
    except SlurmError:
        return ""


def requeue(job: str) -> None:
    """Have SLURM run the job again, here or elsewhere; it ends the caller, who is part of it."""
    call("scontrol", "requeue", job)


def max_array_size() -> int:
    """How many tasks an array may have here (its largest index is one less)."""
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", call("scontrol", "show", "config"), re.MULTILINE)
    if match is None:
        raise SlurmError("scontrol show config: it names no MaxArraySize")
    return max(1, int(match[1]))


def out_of_memory(log: Collection[str]) -> bool:
    """Whether the last lines of a log say that memory ran out, in SLURM's, Python's or CUDA's words."""
    return any(
        re.search(r"memory limit|oom[-_ ]?kill|out[ _]of[ _]memory|MemoryError", line, re.I) for line in log
    )


def tail(log: Path, lines: int = 10) -> list[str]:
    """The last non-blank lines of a log; none where it is not there."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 400 * lines))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.replace("\r", "\n").splitlines() if line.strip()][-lines:]
