"""The progress of a pool of local workers, in frames: also of shards that are not done yet."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence

from facerec.folder.plan import Plan
from facerec.support.cli import progress
from slurm.process import Sink
from slurm.records import RunFolder, RunRecords
from slurm.shards import read_plan_or_none

log = logging.getLogger(__name__)
# what extract.py logs every ten seconds: see `folder.shards.shard_label` and `support.cli.progress`
_PROGRESS = re.compile(rb"movie \d+ shard (\d+) of \d+ \(frames \d+-\d+\): (\d+) of \d+ frames, ")
_LOG_SHARE = 0.05  # of the time so far lies between two lines in a log file, and at least ten seconds


class PoolProgress:
    """Counts what the workers of a pool have done.

    Args:
        missing: the shards that they are to do, of `n`.
    """

    def __init__(self, run: RunRecords, n: int, missing: Sequence[int]) -> None:
        self._run, self._n, self._missing = run, n, missing
        self._frames: dict[int, int] = {}  # of shards that are not done yet

    def watch(self, sink: Sink) -> Sink:
        """Return a sink that also counts the frames of the shards that a worker reports."""

        def write(line: bytes) -> None:
            if match := _PROGRESS.search(line):
                self._frames[int(match[1])] = int(match[2])
            sink(line)

        return write

    def show(self, stage: str, wait: Callable[[], bool]) -> None:
        """Show a progress bar until the workers end.

        Args:
            wait: waits a moment; returns whether a worker still runs.
        """
        title, plan = f"{self._run.title} {stage}", None
        if isinstance(self._run, RunFolder):
            plan = self._plan(self._run)
            if plan is None:
                log.info("%s: the workers load the models and read the film", title)
            running = True
            while plan is None and running:
                running = wait()
                plan = self._plan(self._run)
            if plan is None:
                return
        sizes = {shard: _size(plan, shard) for shard in self._missing}
        unit = "frames" if plan else "shards"
        with progress(title, sum(sizes.values()), unit, log_share=_LOG_SHARE) as advance:
            shown, running = 0, True
            while running:
                running = wait()
                to_do = set(self._run.shards_to_do(self._n, self._missing))
                begun = sum(min(self._frames.get(shard, 0), sizes[shard]) for shard in to_do) if plan else 0
                done = begun + sum(size for shard, size in sizes.items() if shard not in to_do)
                if done > shown:  # a shard that failed begins again
                    advance(done - shown)
                    shown = done
                else:
                    advance(0)

    def _plan(self, run: RunFolder) -> Plan | None:
        plan = read_plan_or_none(run.movie_folder)
        return plan if plan is not None and plan.n == self._n else None


def _size(plan: Plan | None, shard: int) -> int:
    """Return the number of frames of a shard; 1 without a plan, so that shards are counted."""
    if plan is None:
        return 1
    beg, end = plan.range_of(shard)
    return end - beg
