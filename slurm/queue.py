"""SLURM's commands: list tasks, requeue a job, read limits. Works without SLURM accounting."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from facerec.errors import FacerecError, InputError
from facerec.stages import LAUNCHED
from slurm.site import parse_minutes

WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})
RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "SIGNALING", "STAGE_OUT", "STOPPED", "RESIZING"})
ACTIVE = WAITING | RUNNING
# Variables that SLURM's commands read in place of options, and those that describe the job they are in.
# SLURM_CONF, SLURM_CONF_SERVER and SLURM_JWT are kept: without them the cluster cannot be reached.
_OVERRIDES = re.compile(r"(SLURM|SBATCH|SRUN|SALLOC|SQUEUE|SCANCEL|SCONTROL|SINFO)_(?!CONF|JWT)")
_MAX_NAMES = 250  # job names in one question; for more runs, all jobs are listed
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


@dataclass(frozen=True)
class Snapshot:
    """The tasks that SLURM remembers, including ended ones, at one time.

    Attributes:
        runs: tasks by name of the run folder (a movie's id, or a name of features) and by task id (`4242_3`,
            `4243`).
        total: number of all tasks listed, of all users.
        own: number of those of this user that are queued or running.
        asked: when SLURM was asked, in seconds since the epoch.
    """

    runs: Mapping[str, Mapping[str, QueuedTask]] = field(default_factory=dict)
    total: int = 0
    own: int = 0
    asked: float = field(default_factory=time.time)

    def tasks_of(self, run: int | str) -> Mapping[str, QueuedTask]:
        return self.runs.get(str(run), {})


def available() -> bool:
    """Return whether this machine belongs to a SLURM cluster; SLURM without a configuration does not count.

    Raises:
        SlurmError: SLURM is configured but does not answer.
    """
    if shutil.which("sbatch") is None or shutil.which("scontrol") is None:
        return False
    try:
        show_config()
    except SlurmError as error:
        if "configuration source" in str(error):
            return False
        raise
    return True


@cache
def show_config() -> str:
    """Return SLURM's configuration. It is asked for once in a process, whatever the number of movies."""
    return call("scontrol", "show", "config")


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


def snapshot(runs: Sequence[int | str] = ()) -> Snapshot:
    """List tasks with one question to SLURM, those of hidden partitions included.

    Args:
        runs: movie ids, or names of run folders, to list only their tasks. If there are many or none, all
            jobs are listed and counted.
    """
    names = [job_name(run, stage) for run in runs for stage in LAUNCHED]
    only = ["--name", ",".join(names)] if 0 < len(names) <= _MAX_NAMES else []
    asked = time.time()
    output = call("squeue", "--all", "-h", "-r", "-t", "all", *only, "-o", "%i|%T|%N|%r|%j|%U|%k")
    found: dict[str, dict[str, QueuedTask]] = {}
    total = own = 0
    for line in output.splitlines():
        task_id, state, node, reason, name, user, comment = (line.split("|", 6) + [""] * 7)[:7]
        total += 1
        own += user == str(os.getuid()) and state in ACTIVE
        run, _, stage = name.rpartition("-")
        if stage in LAUNCHED:
            found.setdefault(run, {})[task_id.strip()] = QueuedTask(state, node, reason, comment)
    return Snapshot(found, total, own, asked)


def tasks_of(run: int | str) -> Mapping[str, QueuedTask]:
    """Return the tasks of a movie, or of a run folder, that SLURM remembers, by task id."""
    return snapshot([run]).tasks_of(run)


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
    match = re.search(r"^PrivateData\s*=\s*(.*)", show_config(), re.MULTILINE)
    return match is not None and "jobs" in match[1]


def requeue(job: str) -> None:
    """Requeue a job. SLURM then stops the caller if it is part of that job."""
    call("scontrol", "requeue", job)


def max_array_size() -> int:
    """Return SLURM's MaxArraySize: the largest number of tasks in an array."""
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", show_config(), re.MULTILINE)
    if match is None:
        raise SlurmError("scontrol show config: MaxArraySize is missing in its output")
    return max(1, int(match[1]))


def max_job_count() -> int:
    """Return SLURM's MaxJobCount: the number of tasks of all users that it remembers, ended ones included."""
    match = re.search(r"^MaxJobCount\s*=\s*(\d+)", show_config(), re.MULTILINE)
    return int(match[1]) if match else sys.maxsize


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
