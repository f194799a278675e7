"""Recommend shards, tasks, time and memory for a film, from extracting some of its frames here."""

from __future__ import annotations

import math
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facerec.errors import FacerecError, InputError
from facerec.folder.films import find_film
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import MAX_SHARDS, read_plan
from facerec.folder.shards import done_markers
from facerec.support.shell import launcher_command
from facerec.support.text import counted
from slurm import queue
from slurm.options import RunOptions
from slurm.shards import read_plan_or_none
from slurm.site import Resources

SAMPLES, SAMPLE_FRAMES = 3, 100  # samples, and frames of each
GPU_SAMPLE_FRAMES = 1_000  # the same with a GPU, which takes a second for them
NODE_MINUTES = 15  # time limit of a job that measures on a node
SHARD_S = 120.0  # target duration of a shard: about what a preempted task loses
TASK_S = 1800.0  # target duration of a task: short enough for backfill scheduling
MIN_STARTUPS = 20  # a task works at least this many times as long as it takes to start
TIME_FACTOR = 2.0  # margin on the time of a task for slower nodes and scenes with more faces
MEMORY_FACTOR = 1.3  # margin on memory
FRAMES_OF_A_CORE = 4  # decoded frames that a core more holds: in its decoder thread and in the queues
GPU_RATES = (200, 500, 1_000)  # frames a second, for a hint where there is no GPU
BUSY = 0.5  # share of the time for which a detector is busy or waited for, unless the GPU waits for the CPUs
MAX_CORES = 32  # of a task: decoders have at most 12 threads, and conversion one for each core
_GIB = 1 << 30


@dataclass(frozen=True)
class Measurement:
    """Cost of extraction on this machine.

    Attributes:
        frames: number of frames of the film.
        frames_per_s: speed of one task, without its start-up.
        startup_s: seconds of a task before its first frame and after its last.
        peak_bytes: largest resident memory of a task.
        cores: number of cores that the task used.
        detector_frames_per_s: speed of the detector alone, with a GPU; 0 without, or if it had to wait.
        decoding_cpu_s: CPU seconds of decoding and converting a frame.
        frame_bytes: of a frame in RGB.
    """

    frames: int
    frames_per_s: float
    startup_s: float
    peak_bytes: int
    cores: int
    detector_frames_per_s: float = 0.0
    decoding_cpu_s: float = 0.0
    frame_bytes: int = 0


@dataclass(frozen=True)
class Recommendation:
    """Resources to request for the extraction of a film."""

    shards: int
    tasks: int
    minutes: int
    gib: int
    cores: int

    def make_variables(self) -> list[str]:
        """Return the recommendation as variables of make, NAME=value."""
        return [
            f"SHARDS={self.shards}",
            f"TASKS={self.tasks}",
            f"CPUS={self.cores}",
            f"WALLTIME={self.minutes // 60}:{self.minutes % 60:02d}:00",
            f"MEMORY={self.gib}G",
        ]


def recommend(measured: Measurement, parallelism: int) -> Recommendation:
    """Recommend resources for a film that was measured.

    Tasks last about half an hour, or longer if start-up would otherwise exceed a twentieth of it. If they are
    more than `parallelism`, their number is a multiple of it. Shards last about two minutes, and each task
    gets the same number of them. A task with a GPU gets the cores that decode as fast as the GPU detects.
    """
    work = measured.frames / measured.frames_per_s
    tasks = max(1, math.ceil(work / max(TASK_S, MIN_STARTUPS * measured.startup_s)))
    if tasks > parallelism:
        tasks = min(math.ceil(tasks / parallelism) * parallelism, max(1, measured.frames))
    shards = max(1, min(tasks * max(1, round(work / tasks / SHARD_S)), measured.frames, MAX_SHARDS))
    longest = math.ceil(shards / tasks) * work / shards
    minutes = math.ceil(TIME_FACTOR * (longest + measured.startup_s) / 600) * 10
    cores = decoders_for(measured.detector_frames_per_s, measured.decoding_cpu_s) or measured.cores
    more = max(0, cores - measured.cores) * FRAMES_OF_A_CORE * measured.frame_bytes
    gib = math.ceil(MEMORY_FACTOR * (measured.peak_bytes + more) / _GIB)
    return Recommendation(shards, tasks, minutes, gib, cores)


def decoders_for(frames_per_s: float, decoding_cpu_s: float) -> int:
    """Return the cores of a task with a GPU: those that decode so many frames a second, and a spare one.

    The spare core is for the threads that feed the GPU, embed and write. 0 if nothing was measured.
    """
    decoders = math.ceil(frames_per_s * decoding_cpu_s)
    return decoders and min(MAX_CORES, 1 + decoders)


def measure(options: RunOptions, film: Path) -> Measurement:
    """Extract three samples of `film` with the command of a task, into a temporary folder.

    Raises:
        InputError: the film is too short to measure.
        FacerecError: the extraction failed; its error message is on standard error.
    """
    from facerec.support.limits import cpu_threads
    from facerec.video.film import open_film

    opened = open_film(film)
    frames = opened.frame_count
    on_gpu = options.device != "cpu" and options.site.stages["extract"].has_gpu
    n = max(SAMPLES, frames // (GPU_SAMPLE_FRAMES if on_gpu else SAMPLE_FRAMES))
    shards = sorted({n * (2 * sample + 1) // (2 * SAMPLES) for sample in range(SAMPLES)})
    with tempfile.TemporaryDirectory() as temporary:
        command = replace(options, out=Path(temporary)).extract_command(film, n)
        command += ["--shard", ",".join(map(str, shards))]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        started = os.times().elapsed
        peak = 0
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            peak = max(peak, resident_bytes(process.pid))
            time.sleep(0.05)
        _, status, used = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = os.times().elapsed - started
        if process.returncode:
            raise FacerecError(f"{film}: extraction of samples failed with exit status {process.returncode}")
        folder = MovieFolder.of_film(Path(temporary), film)
        plan = read_plan(folder)
        assert plan is not None  # written by the extraction above
        reports = [marker["report"] for marker in done_markers(folder, plan, shards).values()]
    seconds = sum(report["seconds"] for report in reports)
    done = sum(report["frames"] for report in reports)
    if not done:
        raise InputError(f"{film}: the film has {frames} frames, which is too few for a measurement")
    rate = done / max(seconds, 1e-6)
    cost = Measurement(frames, rate, max(0.0, wall - seconds), max(peak, used.ru_maxrss << 10), cpu_threads())
    if not on_gpu:
        return cost
    rate, detector_rate = gpu_rates(reports)
    return replace(
        cost,
        frames_per_s=rate,
        detector_frames_per_s=detector_rate,
        decoding_cpu_s=measure_decoding(film)[2],
        frame_bytes=3 * opened.display_width * opened.display_height,
    )


def gpu_rates(reports: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the frames a second of extraction on a GPU, and of its detector alone.

    The first sample does not count, if there are others: the libraries of the GPU start in it. The detector's
    rate is 0 if the GPU waited for the CPUs: its work is then done before the host asks for it, so the time
    for which the host waits does not say how long it took.

    Args:
        reports: of the samples, in their order.
    """
    reports = reports[1:] or reports
    done = sum(report["frames"] for report in reports)
    seconds = sum(report["seconds"] for report in reports)
    detecting = sum(report["stage_seconds"].get("detect", 0.0) for report in reports)
    rate = done / max(seconds, 1e-6)
    return rate, done / detecting if detecting > BUSY * seconds else 0.0


def measure_decoding(film: Path) -> tuple[int, float, float]:
    """Measure decoding without models, on `SAMPLES` times `SAMPLE_FRAMES` frames.

    Returns:
        The number of frames of the film, how many a second one task decodes here, and the CPU seconds of one.
    """
    from facerec.video.film import open_film, read_frames

    opened = open_film(film)
    read, seconds, cpu_seconds = 0, 1e-6, 0.0
    for sample in range(SAMPLES):
        begin = opened.frame_count * (2 * sample + 1) // (2 * SAMPLES)
        decoded = read_frames(opened, begin, begin + SAMPLE_FRAMES)
        next(decoded, None)  # before it, all since the key frame were decoded, which a long shard does once
        started, used = time.perf_counter(), time.process_time()
        read += sum(1 for _ in decoded)
        seconds += time.perf_counter() - started
        cpu_seconds += time.process_time() - used
    return opened.frame_count, read / seconds, cpu_seconds / max(1, read)


def plan_without_gpu(options: RunOptions, movie_id: int, command: str) -> list[str]:
    """Return the lines of `make plan` for a profile that requests GPUs, on a machine without one.

    Args:
        command: measures on a node.
    """
    frames, frames_per_s, cpu_s = measure_decoding(find_film(options.films, movie_id))
    here = f"this machine decodes {frames_per_s:.0f} frames/s and has no GPU"
    shards = options.default_shards(frames)
    needs = ", ".join(f"CPUS={decoders_for(rate, cpu_s)} for {rate}" for rate in GPU_RATES)
    return [
        f"movie {movie_id}: {frames} frames; {here}, so the speed of a GPU cannot be measured here",
        f"  a task needs {needs} frames/s of its GPU's detector, by the cost of decoding here",
        f"  shards by default: {shards}, each a task; a short job measures the rest on a node: {command}",
    ]


def run_on_node(resources: Resources, command: Sequence[str]) -> int:
    """Run a command as a job on a node with the resources of a task, and show its output.

    Returns:
        Its exit status, or that of srun.
    """
    words = ["srun", "--nodes=1", "--ntasks=1", f"--time={NODE_MINUTES}", "--job-name=facerec-plan"]
    for name, value in resources.requests().items():
        words.append(f"--{name}" if value is True else f"--{name}={value}")
    script = "\n".join([*resources.preparation(), f"exec {shlex.join(command)}"])
    return subprocess.run(
        [*words, "bash", "-c", script], env=queue.clean_environment(), check=False
    ).returncode


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process and its descendants; 0 if it has ended."""
    total = 0
    with suppress(OSError):  # the process has ended
        total = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(resident_bytes(int(child)) for child in children.read_text().split())
    return total


def plan_movie(options: RunOptions, movie_id: int, given: Sequence[str] = ()) -> list[str]:
    """Measure a movie's film and return the lines of `make plan`: the cost, and the command to run.

    Args:
        given: variables of make that the command needs in addition.
    """
    film = find_film(options.films, movie_id)
    measured = measure(options, film)
    resources = options.site.stages["extract"]
    advice = recommend(measured, resources.parallelism)
    started = read_plan_or_none(MovieFolder.of_film(options.out, film))
    if started and not options.fresh:  # keep the number of shards
        advice = replace(advice, shards=started.n, tasks=min(advice.tasks, started.n))
    work = measured.frames / measured.frames_per_s
    length = f"{work / 3600:.1f} h" if work >= 3600 else f"{math.ceil(work / 60)} min"
    variables = [f"MOVIE={movie_id}", *advice.make_variables()]
    variables += [f"GPUS={resources.gpus}"] if resources.gpus else []
    return [
        f"movie {movie_id}: {counted(measured.frames, 'frame')} at {measured.frames_per_s:.1f} frames/s on "
        f"{counted(measured.cores, 'core')} here: {length} of work; "
        f"a task takes {measured.startup_s:.0f} s to start "
        f"and needs {measured.peak_bytes >> 20} MiB of memory{_about_gpu(measured, advice.cores)}",
        "  " + launcher_command("extract", *variables, *given),
    ]


def _about_gpu(measured: Measurement, cores: int) -> str:
    """Return what to say about the GPU of a task with `cores`; nothing if there is none."""
    if measured.detector_frames_per_s:
        return (
            f"; its GPU detects faces in {measured.detector_frames_per_s:.0f} frames/s, for which {cores} "
            f"cores decode (each {1 / max(measured.decoding_cpu_s, 1e-6):.0f} frames/s)"
        )
    if measured.decoding_cpu_s:
        more = min(MAX_CORES, 2 * measured.cores)
        again = f": measure again with CPUS={more}" if more > measured.cores else ""
        return f"; its GPU waited for its CPUs{again}"
    return ""
