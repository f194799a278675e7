"""What to ask for: a few hundred frames of a film extracted here, and what that means for all of it."""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from facerec.errors import FacerecError, InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import MAX_SHARDS, read_plan
from facerec.folder.shards import done_markers
from facerec.support.shell import launcher_command
from slurm.films import find_film
from slurm.stages import Order
from slurm.work import read_plan_or_none

SAMPLES, SAMPLE_FRAMES = 3, 100  # places in the film, and frames at each
SHARD_S = 120.0  # of work that a preempted or dead task loses, about
TASK_S = 1800.0  # short enough for a scheduler to find gaps for
STARTUPS = 20  # a task works so many times as long as it takes to start
SLACK = 2.0  # on the time of a task: other nodes are slower, other scenes have more faces
MEMORY_SLACK = 1.3
_GIB = 1 << 30


@dataclass(frozen=True)
class Measured:
    """What extraction took here.

    Attributes:
        frames: of the whole film.
        frames_per_s: of one task, at work.
        startup_s: of a task before its first frame and after its last.
        peak_bytes: resident, at most.
        cores: that the task had.
    """

    frames: int
    frames_per_s: float
    startup_s: float
    peak_bytes: int
    cores: int


@dataclass(frozen=True)
class Advice:
    """What to ask for."""

    shards: int
    tasks: int
    minutes: int
    gib: int
    cores: int

    def words(self) -> str:
        """As variables of make's."""
        limit = f"{self.minutes // 60}:{self.minutes % 60:02d}:00"
        return (
            f"SHARDS={self.shards} TASKS={self.tasks} CPUS={self.cores} WALLTIME={limit} MEMORY={self.gib}G"
        )


def advise(seen: Measured, parallelism: int) -> Advice:
    """Shards, tasks, wall time and memory for a film that was measured.

    Tasks of about half an hour, as many as may run at once or a whole number of rounds of them, none so
    short that starting up is more than a twentieth; shards of about two minutes, as many in each task.
    """
    work = seen.frames / seen.frames_per_s
    tasks = max(1, math.ceil(work / max(TASK_S, STARTUPS * seen.startup_s)))
    if tasks > parallelism:
        tasks = min(math.ceil(tasks / parallelism) * parallelism, max(1, seen.frames))
    shards = max(1, min(tasks * max(1, round(work / tasks / SHARD_S)), seen.frames, MAX_SHARDS))
    longest = math.ceil(shards / tasks) * work / shards  # a task's shards differ by one at most
    minutes = math.ceil(SLACK * (longest + seen.startup_s) / 600) * 10
    return Advice(shards, tasks, minutes, math.ceil(MEMORY_SLACK * seen.peak_bytes / _GIB), seen.cores)


def measure(order: Order, film: Path) -> Measured:
    """Extract frames from three places of `film`, as a task would, into a folder that is dropped.

    Raises:
        FacerecError: extraction failed; its own error is on standard error.
    """
    from facerec.models.device import cpu_threads
    from facerec.video.film import open_film

    frames = open_film(film).frame_count
    n = max(SAMPLES, frames // SAMPLE_FRAMES)
    shards = sorted({n * (2 * place + 1) // (2 * SAMPLES) for place in range(SAMPLES)})
    with tempfile.TemporaryDirectory() as room:
        argv = replace(order, out=Path(room)).extract_argv(film, n)
        which = ",".join(map(str, shards))
        process = subprocess.Popen([*argv, "--shard", which], stdout=subprocess.DEVNULL)
        begun = os.times().elapsed
        peak = 0
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            peak = max(peak, resident(process.pid))
            time.sleep(0.05)
        _, status, used = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = os.times().elapsed - begun
        if process.returncode:
            raise FacerecError(f"{film}: extraction of a few frames ended with {process.returncode}")
        folder = MovieFolder.of_film(Path(room), film)
        plan = read_plan(folder)
        assert plan is not None  # written by the run that has just ended well
        reports = [marker["report"] for marker in done_markers(folder, plan, shards).values()]
    seconds = sum(report["seconds"] for report in reports)
    done = sum(report["frames"] for report in reports)
    if not done:
        raise InputError(f"{film}: has {frames} frames, too few to measure")
    rate = done / max(seconds, 1e-6)
    return Measured(frames, rate, max(0.0, wall - seconds), max(peak, used.ru_maxrss << 10), cpu_threads())


def resident(pid: int) -> int:
    """Bytes of memory that a process and its children hold; a model may run in processes of its own."""
    held = 0
    with suppress(OSError):  # it has just ended
        held = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            held += sum(resident(int(child)) for child in children.read_text().split())
    return held


def plan_movie(order: Order, movie_id: int, given: Sequence[str] = ()) -> list[str]:
    """What was measured and what to ask for, as lines for the user.

    Args:
        given: variables of make's that the command to come needs as well.
    """
    film = find_film(order.films, movie_id)
    seen = measure(order, film)
    wants = order.site.stages["extract"]
    advice = advise(seen, wants.parallelism)
    begun = read_plan_or_none(MovieFolder.of_film(order.out, film))
    if begun and not order.fresh:  # its shards are what they are
        advice = replace(advice, shards=begun.n, tasks=min(advice.tasks, begun.n))
    work = seen.frames / seen.frames_per_s
    length = f"{work / 3600:.1f} h" if work >= 3600 else f"{math.ceil(work / 60)} min"
    gpus = [f"GPUS={wants.gpus}"] if wants.gpus else []
    return [
        f"movie {movie_id}: {seen.frames} frames at {seen.frames_per_s:.1f} a second on {seen.cores} cores "
        f"here: {length} of work; a task takes {seen.startup_s:.0f} s to start, and "
        f"{seen.peak_bytes >> 20} MiB",
        "  " + launcher_command("extract", f"MOVIE={movie_id}", *advice.words().split(), *gpus, *given),
    ]
