"""SLURM's commands: list tasks, requeue a job, read limits. Works without SLURM accounting."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from facerec.errors import FacerecError, InputError
from facerec.stages import PIPELINE
from slurm.site import parse_minutes

WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})
RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "SIGNALING", "STAGE_OUT", "STOPPED", "RESIZING"})
ACTIVE = WAITING | RUNNING
# Variables that SLURM's commands read in place of options, and those that describe the job they are in.
# SLURM_CONF, SLURM_CONF_SERVER and SLURM_JWT are kept: without them the cluster cannot be reached.
_OVERRIDES = re.compile(r"(SLURM|SBATCH|SRUN|SALLOC|SQUEUE|SCANCEL|SCONTROL|SINFO)_(?!CONF|JWT)")
_TIMEOUT_S = 60.0  # without slurmctld or munge, SLURM's commands retry for minutes


class SlurmError(FacerecError):
    """A SLURM command failed, refused a request or did not answer."""


@dataclass(frozen=True)
class QueuedTask:
    """A task in the output of squeue.

    Attributes:
        state: SLURM's job state, as in `PENDING`.
        node: empty while the task waits.
        reason: why the task waits or failed.
        comment: key of the submission.
    """

    state: str
    node: str
    reason: str
    comment: str


def available() -> bool:
    """Return whether this machine belongs to a SLURM cluster; SLURM without a configuration does not count.

    Raises:
        SlurmError: SLURM is configured but does not answer.
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


def job_name(run: int | str, stage: str) -> str:
    """Return the name of the jobs of a stage; `run`: a movie's id, or the name of a run folder."""
    return f"{run}-{stage}"


def clean_environment() -> dict[str, str]:
    """Return the environment without variables that change what SLURM's commands do or show.

    Login profiles and `module load` set some of them (SBATCH_PARTITION, SQUEUE_ACCOUNT). A shell inside a job
    has others (SLURM_MEM_PER_CPU), which describe that job and not the one to be submitted.
    """
    return {name: value for name, value in os.environ.items() if not _OVERRIDES.match(name)}


@contextmanager
def cleaned_environment() -> Iterator[None]:
    """Give this process `clean_environment()` for the block, for libraries that call SLURM's commands."""
    before = dict(os.environ)
    for name in before.keys() - clean_environment().keys():
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


def call(*command: str) -> str:
    """Run a SLURM command in a clean environment and return its standard output.

    Raises:
        SlurmError: the command is missing, fails, or does not answer within a minute.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            env=clean_environment(),
        )
    except FileNotFoundError:
        raise SlurmError(f"{command[0]}: command not found on this machine") from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command[0]}: SLURM did not answer within {_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        raise SlurmError(f"{command[0]}: {one_line(done.stderr) or f'exit status {done.returncode}'}")
    return done.stdout


def one_line(stderr: str) -> str:
    """Join a command's error output to one line, without the `sbatch: error: ` before each part."""
    return " ".join(re.sub(r"\w+: (error|fatal): ", "", stderr).split())


def tasks_of(run: int | str, stages: Collection[str] = PIPELINE.short_names) -> dict[str, QueuedTask]:
    """Return the tasks that SLURM remembers, including ended ones, by task id (`4242_3`, `4243`).

    Hidden partitions are included.

    Args:
        run: a movie's id, or the name of a run folder.
    """
    names = ",".join(job_name(run, stage) for stage in stages)
    output = call("squeue", "--all", "-h", "-r", "-t", "all", "--name", names, "-o", "%i|%T|%N|%r|%k")
    found: dict[str, QueuedTask] = {}
    for line in output.splitlines():
        task_id, state, node, reason, comment = (line.split("|", 4) + [""] * 5)[:5]
        found[task_id.strip()] = QueuedTask(state, node, reason, comment)
    return found


def job_state(job: str) -> str:
    """Return the state of a job (`RUNNING`, ...); empty if SLURM has forgotten it or does not answer."""
    try:
        return call("squeue", "--all", "-h", "-t", "all", "-j", job, "-o", "%T").strip()
    except SlurmError:
        return ""


def time_limit(job: str) -> int | None:
    """Return the time limit of a job in minutes; None if it has none or SLURM does not answer."""
    try:
        return parse_minutes(call("squeue", "--all", "-h", "-t", "all", "-j", job, "-o", "%l"))
    except (SlurmError, InputError):  # InputError: UNLIMITED, or no line for the job
        return None


def keeps_jobs_private() -> bool:
    """Return whether squeue may show a user only their own jobs (SLURM's PrivateData=jobs)."""
    match = re.search(r"^PrivateData\s*=\s*(.*)", call("scontrol", "show", "config"), re.MULTILINE)
    return match is not None and "jobs" in match[1]


def requeue(job: str) -> None:
    """Requeue a job. SLURM then stops the caller if it is part of that job."""
    call("scontrol", "requeue", job)


def max_array_size() -> int:
    """Return SLURM's MaxArraySize: the largest number of tasks in an array."""
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", call("scontrol", "show", "config"), re.MULTILINE)
    if match is None:
        raise SlurmError("scontrol show config: MaxArraySize is missing in its output")
    return max(1, int(match[1]))


def out_of_memory(lines: Collection[str]) -> bool:
    """Return whether log lines contain an out-of-memory message of SLURM, Python or CUDA."""
    return any(
        re.search(r"memory limit|oom[-_ ]?kill|out[ _]of[ _]memory|MemoryError", line, re.I) for line in lines
    )


def last_lines(log: Path, count: int = 10) -> list[str]:
    """Return the last non-blank lines of a log; empty if the file does not exist."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 400 * count))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.replace("\r", "\n").splitlines() if line.strip()][-count:]
