"""Run the stages without SLURM, in a pool of worker processes on this machine.

The pool writes the same records as an array, so the status, the logs and the choice of missing shards work in
the same way. A lock that the pool holds while it runs replaces squeue.
"""

from __future__ import annotations

import logging
import os
import queue as queues
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from facerec.errors import Interrupted
from facerec.folder.plan import format_ranges
from facerec.stages import PIPELINE
from facerec.support.limits import available_memory, usable_cpus
from facerec.support.text import counted
from slurm.extraction import Echo, Extraction, plan_extraction, require_inputs, stages_to_do
from slurm.feature_run import FeatureRun
from slurm.features import find_source, plan_features
from slurm.options import RunOptions
from slurm.packing import pack
from slurm.pool_progress import PoolProgress
from slurm.process import StopRequest, write_to
from slurm.records import RunFolder, RunRecords
from slurm.report import failure_lines
from slurm.scheduler import Scheduler
from slurm.site import parse_size
from slurm.status import read_status
from slurm.submission import Submission
from slurm.work import Task

log = logging.getLogger(__name__)
_PACKS_PER_WORKER = 4  # more balance the load better, but load models more often
_POLL_S = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Environment = Mapping[str, str]  # variables that a worker process gets in addition


def run_local(
    options: RunOptions,
    movie_id: int,
    stages: Sequence[str],
    echo: Echo,
    scheduler: Scheduler | None = None,
) -> int:
    """Run stages on this machine, one after the other, up to the first that fails.

    An optional stage that fails after others is reported, but the movie has not failed.

    Returns:
        The exit status: 0, or 1 if a stage failed.

    Raises:
        Interrupted: stopped by a signal; finished shards are kept.
    """
    run = RunFolder(options.out, movie_id)
    require_inputs(options, run, stages)
    with run.lock(), _stop_on_signals() as stop:
        scheduler = scheduler or Scheduler.connect(options.site)
        todo, movie = stages_to_do(options, run, stages, scheduler, echo)
        for stage in todo:
            if PIPELINE[stage].sharded:
                extraction = plan_extraction(options, run, movie, echo)
                succeeded = _run_shards(options, run, stage, extraction, stop, echo)
            else:
                succeeded = _run_stage(options, run, stage, stop)
            if stop.received:
                how = " without FRESH=1" if options.fresh else ""
                raise Interrupted(
                    f"movie {movie_id}: {stage} stopped; the same command{how} continues where it stopped"
                )
            if not succeeded and (not PIPELINE[stage].optional or len(stages) == 1):
                return 1
            if not succeeded:
                log.warning("movie %d: %s failed, but all results are there; see above", movie_id, stage)
    return 0


@contextmanager
def _stop_on_signals() -> Iterator[StopRequest]:
    """Stop the workers cleanly on Ctrl-C, SIGTERM or a closed terminal, and at once on a second signal."""
    stop = StopRequest()

    def handler(number: int, _frame: object) -> None:
        if stop.received:
            stop.kill()
        else:
            log.warning("stopping after the current batch of frames (press Ctrl-C again to stop at once)")
            stop.request(number)

    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def run_features_local(
    options: RunOptions, run: FeatureRun, echo: Echo, scheduler: Scheduler | None = None
) -> int:
    """Compute features on this machine; returns the exit status, as `run_local`."""
    scheduler = scheduler or Scheduler.connect(options.site)
    source = find_source(options, run, scheduler)
    with run.lock(), _stop_on_signals() as stop:
        extraction = plan_features(options, run, source, echo, scheduler)
        succeeded = _run_shards(options, run, run.sharded_stage, extraction, stop, echo)
        if stop.received:
            raise Interrupted(f"{run.title}: stopped; the same command continues where it stopped")
    return 0 if succeeded else 1


def _run_shards(
    options: RunOptions, run: RunRecords, stage: str, extraction: Extraction, stop: StopRequest, echo: Echo
) -> bool:
    if not extraction.missing:
        return True
    workers = worker_environments(options, len(extraction.missing))
    tasks = options.site.stages[stage].tasks or _PACKS_PER_WORKER * len(workers)
    packs = [format_ranges(shards) for shards in pack(extraction.missing, tasks, extraction.failed)]
    submission = _new_submission(options, run, stage, packs, extraction.n)
    run.save(submission)
    where = "one for each GPU" if "CUDA_VISIBLE_DEVICES" in workers[0] else counted(usable_cpus(), "core")
    echo(f"  {counted(len(workers), 'worker')} here ({where}), logs in {run.path / stage}")
    with run.pool_lock(submission):
        _run_pool(run, submission, extraction, workers, stop)
    movie = read_status(run, None, extraction.n)
    for line in failure_lines(movie):
        echo(line)
    return not set(extraction.missing) - set(movie.shards_in("done"))


def _run_pool(
    run: RunRecords,
    submission: Submission,
    extraction: Extraction,
    workers: Sequence[Environment],
    stop: StopRequest,
) -> None:
    """Run all tasks of a submission, with one progress bar over the frames of all shards."""
    shown = PoolProgress(run, extraction.n, extraction.missing)
    idle: queues.Queue[Environment] = queues.Queue()
    for worker in workers:
        idle.put(worker)

    def run_task(index: int) -> None:
        worker = idle.get()
        try:
            while not stop.received:
                task = Task.start(run, submission, index)
                with _log_path(task).open("ab") as file:
                    env = {**os.environ, **worker}
                    outcome = task.run_shards(extraction.command, stop, shown.watch(write_to(file)), env)
                task.end(outcome)
                if outcome != "failed" or not task.to_try():
                    return
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(len(workers)) as threads:
        futures: list[Future[None]] = [
            threads.submit(run_task, index) for index in range(len(submission.packs))
        ]

        def wait_a_moment() -> bool:
            wait(futures, timeout=_POLL_S)
            return not all(future.done() for future in futures)

        shown.show(submission.stage, wait_a_moment)
    for future in futures:
        future.result()


def _run_stage(options: RunOptions, run: RunFolder, stage: str, stop: StopRequest) -> bool:
    submission = _new_submission(options, run, stage, [""], options.shards or 0)
    run.save(submission)
    with run.pool_lock(submission):
        task = Task.start(run, submission, 0)
        with _log_path(task).open("ab") as file:
            command = options.stage_command(stage, run.movie_folder.path)
            outcome = task.run_stage(command, stop, write_to(file, sys.stderr.buffer))
        task.end(outcome)
    return outcome == "done"


def _new_submission(options: RunOptions, run: RunRecords, stage: str, packs: list[str], n: int) -> Submission:
    retry, memory = options.site.stages[stage].retry, options.site.local.memory
    return Submission(
        run.new_key(stage),
        stage,
        packs,
        n,
        memory=memory,
        retry=retry,
        local=True,
        chosen=options.chosen(stage),
    )


def _log_path(task: Task) -> Path:
    task.log.parent.mkdir(parents=True, exist_ok=True)
    return task.log


def worker_environments(options: RunOptions, limit: int) -> list[dict[str, str]]:
    """Return the environment of each worker: at most `limit`, each with an equal share of the cores.

    There is one worker per GPU, or without GPUs as many as cores and memory allow, unless the site profile or
    WORKERS gives their number.
    """
    cores = usable_cpus()
    gpus = [] if options.device == "cpu" else visible_gpus()
    local = options.site.local
    fit_in_memory = max(1, available_memory() // parse_size(local.memory))
    wanted = local.workers or (len(gpus) if gpus else min(cores, fit_in_memory))
    count = max(1, min(wanted, limit))
    threads = {"OMP_NUM_THREADS": str(max(1, cores // count))}
    if not gpus:
        return [threads] * count
    return [{**threads, "CUDA_VISIBLE_DEVICES": gpus[worker % len(gpus)]} for worker in range(count)]


def visible_gpus() -> list[str]:
    """Return the GPUs of this machine as CUDA_VISIBLE_DEVICES names them, without importing torch.

    A GPU that is divided (MIG) is given by the UUIDs of its parts, since CUDA sees one part of an index.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        log.warning("nvidia-smi does not answer; using no GPU. To use GPUs, set CUDA_VISIBLE_DEVICES")
        return []
    return _listed_gpus(done.stdout.splitlines())


def _listed_gpus(lines: Sequence[str]) -> list[str]:
    """Read the output of `nvidia-smi -L`: a line for each GPU, followed by lines for its MIG devices."""
    gpus: list[tuple[str, list[str]]] = []
    for line in lines:
        uuid = re.search(r"\(UUID: (\S+)\)", line)
        if line.startswith("GPU "):
            gpus.append((uuid[1] if uuid else "", []))
        elif gpus and uuid and line.lstrip().startswith("MIG "):
            gpus[-1][1].append(uuid[1])
    if not any(parts for _, parts in gpus):
        return [str(index) for index in range(len(gpus))]
    return [name for uuid, parts in gpus for name in parts or [uuid]]
