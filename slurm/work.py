"""What a task does, on a node and on a laptop alike: run the stage's program until its shards are done.

The program runs as a process of its own, so that a crash costs one shard and not the task, and it gets all
the task's shards at once, so that models are loaded once. After a crash the first shard that is not done is
the one to blame; the others go on without it.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from facerec.errors import EXIT_RERUN, PlanError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, format_ranges, parse_ranges, read_plan
from facerec.folder.shards import done_markers
from slurm.queue import out_of_memory
from slurm.records import Failure, RunFolder, Submission, TaskState

log = logging.getLogger(__name__)
_EXIT_USAGE = 2  # argparse's: every shard would fail alike
_TAIL_LINES = 10
_POLL_S = 0.5
Sink = Callable[[bytes], None]


class StopRequest:
    """A wish to stop, passed on to the processes that run, which get `grace` seconds to end cleanly."""

    def __init__(self, grace: float = 45.0) -> None:
        self.asked: signal.Signals | None = None
        self._grace = grace
        self._children: list[subprocess.Popen[bytes]] = []

    def ask(self, number: int, _frame: object = None) -> None:
        """A signal handler: remember and pass on."""
        self.asked = signal.Signals(number)
        for child in tuple(self._children):
            child.send_signal(signal.SIGTERM)
            timer = threading.Timer(self._grace, child.kill)
            timer.daemon = True
            timer.start()

    def kill(self) -> None:
        """Wait no longer."""
        for child in tuple(self._children):
            child.kill()

    @contextmanager
    def watching(self, child: subprocess.Popen[bytes]) -> Iterator[None]:
        self._children.append(child)
        if self.asked:  # it came while the process was being started
            child.send_signal(signal.SIGTERM)
        try:
            yield
        finally:
            self._children.remove(child)


def run_child(
    argv: Sequence[str], stop: StopRequest, sink: Sink, env: Mapping[str, str] | None = None
) -> tuple[int, list[str]]:
    """Run a program, pass on what it says to `sink`; returns its exit status and its last lines."""
    said: deque[str] = deque(maxlen=_TAIL_LINES)
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        start_new_session=True,  # a Ctrl-C at the terminal reaches it through us, once
    )
    with child, stop.watching(child):
        assert child.stdout is not None
        try:
            for line in child.stdout:
                sink(line)
                if line.strip():
                    said.append(line.decode("utf-8", "replace").rstrip())
        except OSError:  # nowhere to write to: nobody would ever read what it says
            child.kill()
            raise
        status = child.wait()
    return status, list(said)


def writer(*files: BinaryIO) -> Sink:
    """A sink that writes to all of `files` at once, unbuffered."""

    def write(line: bytes) -> None:
        for file in files:
            file.write(line)
            file.flush()

    return write


def wait_until(check: Callable[[], bool], seconds: float) -> bool:
    """Wait, at most `seconds`, for what another node wrote to be seen here."""
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL_S)
    return True


def reason_of(status: int, said: Collection[str], memory: str) -> str:
    """Why a process ended, in a phrase."""
    if out_of_memory(said):
        return f"out of memory (asked for {memory})"
    if status == -signal.SIGKILL or status == 128 + signal.SIGKILL:
        return f"killed, most likely out of memory (asked for {memory})"
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def read_plan_or_none(folder: MovieFolder) -> Plan | None:
    """The folder's plan; one that cannot be read counts for nothing until a shard begins afresh."""
    try:
        return read_plan(folder)
    except PlanError as error:
        log.warning("%s", error)
        return None


def undone(folder: MovieFolder, n: int, shards: Collection[int], contents: bool = False) -> list[int]:
    """Those of the `shards` that are not done; all where there is no plan yet, or one with another N."""
    plan = read_plan_or_none(folder)
    if plan is None or plan.n != n:
        return sorted(shards)
    return sorted(set(shards) - done_markers(folder, plan, shards, verify_hashes=contents).keys())


@dataclass
class Task:
    """A task of a submission, and its own account of itself."""

    run: RunFolder
    submission: Submission
    index: int
    folder: MovieFolder
    state: TaskState
    suspects: frozenset[int] = frozenset()  # to be tried after the others, each alone

    @classmethod
    def begin(cls, run: RunFolder, submission: Submission, index: int) -> Task:
        """Begin the task, or begin it again."""
        before = run.task(submission.key, index)
        task = cls(run, submission, index, run.movie_folder, TaskState())
        if before:
            suspects = {int(shard) for shard in before.failed if shard}
            if before.ended is None:  # it died without a word: begin with another shard this time
                suspects |= set(task.undone(task.ranges(before.trying))[:1])
            task.suspects = frozenset(suspects)
            task.state.attempt, task.state.failed = before.attempt + 1, before.failed
        task.save()
        return task

    @property
    def shards(self) -> list[int]:
        return self.ranges(self.submission.packs[self.index])

    @property
    def log(self) -> Path:
        return self.run.log(self.submission, self.index)

    def ranges(self, text: str) -> list[int]:
        return parse_ranges(text, self.submission.n) if text else []

    def save(self) -> None:
        self.run.save_task(self.submission.key, self.index, self.state)

    def end(self, outcome: str) -> None:
        self.state.outcome, self.state.ended = outcome, time.time()
        self.save()

    def undone(self, shards: Collection[int]) -> list[int]:
        return undone(self.folder, self.submission.n, shards)

    def left(self) -> list[int]:
        """The shards still to do that have not failed too often."""
        missing = undone(self.folder, self.submission.n, self.shards, contents=True)
        return [shard for shard in missing if self.may_try(shard)]

    def may_try(self, shard: int) -> bool:
        failure = self.state.failed.get(str(shard))
        return failure is None or failure.times <= self.submission.retry

    def fail(self, shards: Sequence[int], reason: str, said: list[str]) -> None:
        """Count a failure of each of the shards; of none for a stage without shards."""
        for key in [str(shard) for shard in shards] or [""]:
            before = self.state.failed.get(key)
            times = before.times + 1 if before else 1
            self.state.failed[key] = Failure(times, self.state.host, reason, said)
        self.save()
        what = f"shard{'s' * (len(shards) > 1)} {format_ranges(shards)}" if shards else self.submission.stage
        log.error("%s failed on %s: %s", what, self.state.host, reason)

    def run_shards(
        self, argv: Sequence[str], stop: StopRequest, sink: Sink, env: Mapping[str, str] | None = None
    ) -> str:
        """Do what is left, each shard once; returns `done`, `failed` or `interrupted`."""
        self.run.link_log(self.shards, self.log)
        left = self.left()
        good = [shard for shard in left if shard not in self.suspects]
        refusal = ""  # two shards refused in the same words: so would be the others
        for group in [good, *([shard] for shard in left if shard in self.suspects)]:
            while group:
                if stop.asked:
                    return "interrupted"
                self.state.trying, self.state.since = format_ranges(group), time.time()
                self.save()
                status, said = run_child([*argv, "--shard", self.state.trying], stop, sink, env)
                missing = self._missing(group, status)
                if not missing:
                    break
                if status == EXIT_RERUN or (stop.asked and status != 0):
                    return "interrupted"
                again, refusal = refusal, said[-1] if said and ": error: " in said[-1] else ""
                hopeless = status == _EXIT_USAGE or (refusal and refusal == again)
                blamed = missing if hopeless else missing[:1]
                self.fail(blamed, reason_of(status, said, self.submission.memory), said)
                group = missing[len(blamed) :]
        return "failed" if self.undone(self.shards) else "done"

    def _missing(self, group: list[int], status: int) -> list[int]:
        """Which of the group are not done after its process ended."""
        seen: list[int] = []

        def complete() -> bool:
            seen[:] = self.undone(group)
            return not seen

        wait_until(complete, self.submission.settle if status == 0 else 0)
        return seen

    def run_stage(self, argv: Sequence[str], stop: StopRequest, sink: Sink) -> str:
        """Run a stage that is not sharded, once; returns `done`, `failed` or `interrupted`."""
        self._await_parents()
        status, said = run_child(argv, stop, sink)
        if status == 0:
            self.state.files = self._files()
            return "done"
        if status == EXIT_RERUN or stop.asked:
            return "interrupted"
        self.fail([], reason_of(status, said, self.submission.memory), said)
        return "failed"

    def _files(self) -> dict[str, list[int]]:
        """The movie folder's top-level files, as a later stage on another node must come to see them."""
        files = (path for path in self.folder.path.iterdir() if path.is_file() and path.name[0] != ".")
        return {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files}

    def _await_parents(self) -> None:
        """Wait, bounded, until what the parent submissions wrote is seen on this node."""
        before = [one for one in self.run.submissions() if one.key in self.submission.parents]

        def settled() -> bool:
            return all(self._seen(one, index) for one in before for index in range(len(one.packs)))

        if not wait_until(settled, self.submission.settle):
            waited = self.submission.settle
            log.warning("%s: after %.0f s the results before it are not all seen", self.folder.path, waited)

    def _seen(self, parent: Submission, index: int) -> bool:
        state = self.run.task(parent.key, index)
        if state is None or state.ended is None:
            return False
        if state.outcome != "done":  # what it left out will not come
            return True
        pack = parent.packs[index]
        shards = parse_ranges(pack, parent.n) if pack else []
        here = self._files() if state.files else {}
        current = all(here.get(name) == file for name, file in state.files.items())
        return current and not undone(self.folder, parent.n, shards)
