"""A task, on a SLURM node or on this machine: run a stage's program until the task's shards are done.

The program runs in a process of its own, so a crash costs one shard and not the task. One process gets all
shards of the task, so models are loaded once. After a crash, the first shard that is not done counts as
failed, and a new process takes the others.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facerec.errors import EXIT_RERUN
from facerec.folder.plan import format_ranges, parse_ranges
from slurm.process import Sink, StopRequest, failure_reason, run_process
from slurm.records import RunFolder, RunRecords
from slurm.submission import Failure, Submission, TaskRecord

log = logging.getLogger(__name__)
_EXIT_USAGE = 2  # of argparse: every shard would fail in the same way
_POLL_S = 0.5
_SUMMARY = re.compile(r": \d+ [^:]+ finished\b")


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait at most `seconds` until a condition is true, such as a file of another node becoming visible."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL_S)
    return True


@dataclass
class Task:
    """A running task of a submission.

    Attributes:
        record: what the task writes about itself in the run folder.
        suspects: shards that failed before; they run after the others, each in a process of its own.
        left: shards with parts that other tasks have claimed, and will finish.
    """

    run: RunRecords
    submission: Submission
    index: int
    record: TaskRecord
    suspects: frozenset[int] = frozenset()
    left: set[int] = field(default_factory=set)

    @classmethod
    def start(cls, run: RunRecords, submission: Submission, index: int) -> Task:
        """Start a task, or continue one that SLURM has requeued."""
        before = run.task(submission.key, index)
        task = cls(run, submission, index, TaskRecord())
        if before:
            suspects = {int(shard) for shard in before.failed if shard}
            if before.ended is None:  # it was killed: run the shard that it was extracting after the others
                suspects |= set(task.to_do(task.parse(before.trying))[:1])
            task.suspects = frozenset(suspects)
            task.record.attempt, task.record.failed = before.attempt + 1, before.failed
        task.save()
        return task

    @property
    def shards(self) -> list[int]:
        return self.parse(self.submission.packs[self.index])

    @property
    def log(self) -> Path:
        return self.run.log(self.submission, self.index)

    def parse(self, ranges: str) -> list[int]:
        return parse_ranges(ranges, self.submission.n) if ranges else []

    def save(self) -> None:
        self.run.save_task(self.submission.key, self.index, self.record)

    def end(self, outcome: str) -> None:
        self.record.outcome, self.record.ended = outcome, time.time()
        self.save()

    def to_do(self, shards: Collection[int]) -> list[int]:
        return self.run.shards_to_do(self.submission.n, shards)

    def to_try(self) -> list[int]:
        """Return the task's shards that are not done and may be tried again."""
        missing = self.run.shards_to_do(self.submission.n, self.shards, contents=True)
        return [shard for shard in missing if self._may_try(shard)]

    def _may_try(self, shard: int) -> bool:
        failure = self.record.failed.get(str(shard))
        return failure is None or failure.times <= self.submission.retry

    def fail(self, shards: Sequence[int], reason: str, tail: list[str]) -> None:
        """Record a failure of each shard, or of the stage if it is not sharded; log it once for all."""
        for key in [str(shard) for shard in shards] or [""]:
            before = self.record.failed.get(key)
            times = before.times + 1 if before else 1
            self.record.failed[key] = Failure(times, self.record.host, reason, tail)
        self.save()
        what = f"shard{'s' * (len(shards) > 1)} {format_ranges(shards)}" if shards else self.submission.stage
        log.error("%s failed on %s: %s", what, self.record.host, reason)

    def run_shards(
        self, command: Sequence[str], stop: StopRequest, sink: Sink, env: Mapping[str, str] | None = None
    ) -> str:
        """Try each shard that is not done once; return `done`, `failed` or `interrupted`."""
        self.run.link_shard_logs(self.shards, self.log)
        shards = self.to_try()
        together = [shard for shard in shards if shard not in self.suspects]
        error = ""  # if two shards in turn fail with the same error, all would
        for group in [together, *([shard] for shard in shards if shard in self.suspects)]:
            while group:
                if stop.received:
                    return "interrupted"
                self.record.trying, self.record.since = format_ranges(group), time.time()
                self.save()
                status, tail = run_process([*command, "--shard", self.record.trying], stop, sink, env)
                missing = self._missing(group, status)
                if not missing:
                    break
                if status == EXIT_RERUN or (stop.received and status != 0):
                    return "interrupted"
                if status == 0 and self.run.shares_work:
                    self.left |= set(missing)
                    break
                reasons = self.run.failures(self.submission.n, missing) if _reached_its_end(tail) else {}
                for shard, reason in reasons.items():
                    self.fail([shard], reason, tail)
                others = [shard for shard in missing if shard not in reasons]
                if self.run.shares_work and _has_summary(tail):  # an item failed, perhaps of another shard
                    self.left |= set(others)
                    break
                if reasons:
                    group = others
                    continue
                previous, error = error, tail[-1] if tail and ": error: " in tail[-1] else ""
                common = status == _EXIT_USAGE or (error and error == previous)
                failed = missing if common else missing[:1]
                self.fail(failed, failure_reason(status, tail, self.submission.memory), tail)
                group = missing[len(failed) :]
        return "failed" if set(self.to_do(self.shards)) - self.left else "done"

    def _missing(self, group: list[int], status: int) -> list[int]:
        """Return the shards of a group that are not done after its process has ended with `status`."""
        missing: list[int] = []

        def all_done() -> bool:
            missing[:] = self.to_do(group)
            return not missing

        waits = status == 0 and not self.run.shares_work
        wait_until(all_done, self.submission.settle if waits else 0)
        return missing

    def run_stage(self, command: Sequence[str], stop: StopRequest, sink: Sink) -> str:
        """Run a stage that is not sharded; return `done`, `failed` or `interrupted`."""
        self._wait_for_inputs()
        status, tail = run_process(command, stop, sink)
        if status == 0:
            self.record.files = self._files()
            return "done"
        if status == EXIT_RERUN or stop.received:
            return "interrupted"
        self.fail([], failure_reason(status, tail, self.submission.memory), tail)
        return "failed"

    def _files(self) -> dict[str, list[int]]:
        """Return size and modification time of the folder's top-level files, for stages on other nodes."""
        files = (path for path in self._folder.iterdir() if path.is_file() and path.name[0] != ".")
        return {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files}

    def _wait_for_inputs(self) -> None:
        """Wait at most `settle` seconds until the results of the parent submissions are visible here."""
        parents = [parent for parent in self.run.submissions() if parent.key in self.submission.parents]

        def visible() -> bool:
            return all(self._is_visible(one, index) for one in parents for index in range(len(one.packs)))

        if not wait_until(visible, self.submission.settle):
            waited = self.submission.settle
            log.warning(
                "%s: results of earlier stages are not visible on this node after %.0f s; continuing",
                self._folder,
                waited,
            )

    def _is_visible(self, parent: Submission, index: int) -> bool:
        record = self.run.task(parent.key, index)
        if record is None or record.ended is None:
            return False
        if record.outcome != "done":  # there are no results to wait for
            return True
        shards = parse_ranges(parent.packs[index], parent.n) if parent.packs[index] else []
        files = self._files() if record.files else {}
        current = all(files.get(name) == file for name, file in record.files.items())
        return current and not self.run.shards_to_do(parent.n, shards)

    @property
    def _folder(self) -> Path:
        assert isinstance(self.run, RunFolder)  # features have no stages
        return self.run.movie_folder.path


def _has_summary(tail: Sequence[str]) -> bool:
    """Whether the last line of a program is the summary of extract_features.py."""
    return bool(tail) and _SUMMARY.search(tail[-1]) is not None


def _reached_its_end(tail: Sequence[str]) -> bool:
    """Whether a program went through all its work: its last line is not the error that stopped it."""
    return bool(tail) and ": error: " not in tail[-1]
