"""The same stages without SLURM: worker processes on this machine, a few at a time.

The pool leaves the same records as an array does, so `status`, "only what is missing" and the logs are the
same; a lock that it holds while it lives takes squeue's place.
"""

from __future__ import annotations

import logging
import os
import queue as queues
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
from facerec.support.cli import progress
from slurm.launch import Extraction, Say, check, look, plan_extraction
from slurm.packing import pack
from slurm.records import RunFolder, Submission
from slurm.report import failures
from slurm.site import size_bytes
from slurm.stages import Order
from slurm.status import survey
from slurm.work import StopRequest, Task, undone, writer

log = logging.getLogger(__name__)
_PACKS_PER_WORKER = 4  # balances the load at the price of as many model loads
_LOOK_S = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def run_local(order: Order, movie_id: int, stages: Sequence[str], say: Say) -> int:
    """Run the stages here, one after the other; returns 0, or 1 where one failed.

    Raises:
        Interrupted: stopped by Ctrl-C or a signal; what is done stays done.
    """
    run = RunFolder(order.out, movie_id)
    check(order, run, stages)
    with run.lock(), _stop_on_signals() as stop:
        for stage in stages:
            sharded = PIPELINE[stage].sharded
            good = _extract(order, run, stop, say) if sharded else _stage(order, run, stage, stop)
            if stop.asked:
                how = " without FRESH=1" if order.fresh else ""
                raise Interrupted(
                    f"movie {movie_id}: {stage} stopped; the same command{how} goes on where it was"
                )
            if not good:
                return 1
    return 0


@contextmanager
def _stop_on_signals() -> Iterator[StopRequest]:
    """Ctrl-C, a closed terminal or SIGTERM stop the workers cleanly; a second one at once."""
    stop = StopRequest()

    def handler(number: int, _frame: object) -> None:
        if stop.asked:
            stop.kill()
        else:
            log.warning("stopping: what is in work ends cleanly or is dropped (once more to kill it)")
            stop.ask(number)

    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, was in before.items():
            signal.signal(number, was)


def _extract(order: Order, run: RunFolder, stop: StopRequest, say: Say) -> bool:
    todo = plan_extraction(order, run, look(order, run), say)
    if not todo.missing:
        return True
    wants = order.site.stages["extract"]
    slots = worker_slots(order, len(todo.missing))
    packs = pack(todo.missing, wants.tasks or _PACKS_PER_WORKER * len(slots), todo.suspects)
    one = _submission(order, run, "extract", [format_ranges(shards) for shards in packs], todo.n)
    run.save(one)
    where = "one for each GPU" if "CUDA_VISIBLE_DEVICES" in slots[0] else f"{os.cpu_count()} cores"
    say(f"  {len(slots)} worker{'s' * (len(slots) > 1)} here ({where}), logs in {run.path / 'extract'}")
    with run.living(one):
        _pool(run, one, todo, slots, stop)
    seen = survey(run, None)
    for line in failures(seen):
        say(line)
    return not set(todo.missing) - set(seen.having("done"))


def _pool(
    run: RunFolder, one: Submission, todo: Extraction, slots: Sequence[Mapping[str, str]], stop: StopRequest
) -> None:
    """Run all tasks of the pool, with one progress bar over the shards."""
    free: queues.Queue[Mapping[str, str]] = queues.Queue()
    for slot in slots:
        free.put(slot)

    def work(index: int) -> None:
        slot = free.get()
        try:
            while not stop.asked:
                task = Task.begin(run, one, index)
                with _log(task).open("ab") as sink:
                    outcome = task.run_shards(todo.argv, stop, writer(sink), {**os.environ, **slot})
                task.end(outcome)
                if outcome != "failed" or not task.left():
                    return
        finally:
            free.put(slot)

    with ThreadPoolExecutor(len(slots)) as threads:
        futures: list[Future[None]] = [threads.submit(work, index) for index in range(len(one.packs))]
        with progress(f"movie {run.movie_id} extract", len(todo.missing), "shards") as advance:
            shown = 0
            while not all(future.done() for future in futures):
                wait(futures, timeout=_LOOK_S)
                done = len(todo.missing) - len(undone(run.movie_folder, todo.n, todo.missing))
                advance(done - shown)
                shown = done
    for future in futures:
        future.result()


def _stage(order: Order, run: RunFolder, stage: str, stop: StopRequest) -> bool:
    one = _submission(order, run, stage, [""], order.shards or 0)
    run.save(one)
    with run.living(one):
        task = Task.begin(run, one, 0)
        with _log(task).open("ab") as file:
            outcome = task.run_stage(
                order.stage_argv(stage, run.movie_folder.path), stop, writer(file, sys.stderr.buffer)
            )
        task.end(outcome)
    return outcome == "done"


def _submission(order: Order, run: RunFolder, stage: str, packs: list[str], n: int) -> Submission:
    wants, memory = order.site.stages[stage], order.site.local.memory
    return Submission(run.new_key(stage), stage, packs, n, memory=memory, retry=wants.retry, local=True)


def _log(task: Task) -> Path:
    task.log.parent.mkdir(parents=True, exist_ok=True)
    return task.log


def worker_slots(order: Order, most: int) -> list[dict[str, str]]:
    """The environments of the workers, as many as may work at a time.

    One for each GPU where there is one, else as many as cores and memory allow, each with its share of the
    cores; never more than `most`.
    """
    cores = len(os.sched_getaffinity(0))
    gpus = [] if order.device == "cpu" else visible_gpus()
    asked = order.workers or order.site.local.workers
    room = max(1, available_memory() // size_bytes(order.site.local.memory))
    count = max(1, min(asked or (len(gpus) if gpus else min(cores, room)), most))
    threads = {"OMP_NUM_THREADS": str(max(1, cores // count))}
    if not gpus:
        return [threads] * count
    return [{**threads, "CUDA_VISIBLE_DEVICES": gpus[worker % len(gpus)]} for worker in range(count)]


def visible_gpus() -> list[str]:
    """The GPUs of this machine, as CUDA_VISIBLE_DEVICES names them; found without loading torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        logging.warning("nvidia-smi does not answer: no GPU is taken; name them in CUDA_VISIBLE_DEVICES")
        return []
    count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return [str(index) for index in range(count)]


def available_memory() -> int:
    """Bytes that new processes may take here: what is free, within the container's limit."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    amounts = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    for name in _CGROUP_LIMITS:
        path = Path(name)
        text = path.read_text(encoding="ascii").strip() if path.exists() else ""
        amounts += [int(text)] if text.isdigit() else []
    return min(amounts)
