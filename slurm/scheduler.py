"""SLURM as one command sees it: its tasks are listed once for all movies, and submitted tasks are counted."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from slurm import queue
from slurm.queue import QueuedTask, SlurmError, Snapshot
from slurm.records import RunRecords
from slurm.site import Site

AGAIN = "run the same command again when some have ended"
_STALE_S = 240.0  # after MinJobAge, 300 s by default, SLURM forgets ended tasks
_SUBMIT_LIMIT = re.compile(
    r"Submit\w*Limit|MaxSubmit|MaxJobCount|temporarily unable|accounting/QOS policy", re.IGNORECASE
)
_OTHER_LIMIT = re.compile(r"\b(?:QOS|Assoc)\w*Limit\b")


class LimitReached(SlurmError):
    """SLURM takes no more tasks of this user now."""


def is_submit_limit(message: str) -> bool:
    """Return whether sbatch refused because too many tasks are submitted."""
    named = _OTHER_LIMIT.findall(message)
    return bool(_SUBMIT_LIMIT.search(message)) and (not named or any("Submit" in name for name in named))


class Scheduler:
    """What a command knows of SLURM.

    Attributes:
        full: why SLURM takes no more tasks; empty while it does.
        submitted: number of tasks that this command has submitted.
    """

    def __init__(self, site: Site, snapshot: Snapshot | None) -> None:
        self._site, self._snapshot = site, snapshot
        self.full = ""
        self.submitted = 0
        self._since = 0  # tasks submitted since the snapshot

    @classmethod
    def connect(cls, site: Site) -> Scheduler:
        """List the tasks of this machine's SLURM.

        Raises:
            SlurmError: it does not answer.
        """
        return cls(site, queue.snapshot() if queue.available() else None)

    def tasks_of(self, run: RunRecords) -> Mapping[str, QueuedTask] | None:
        """Return the tasks of a run that SLURM knows; None without SLURM.

        SLURM is asked again for a run that was submitted to after it was asked, and after some minutes.
        """
        if self._snapshot is None:
            return None
        newer = run.submitted_after(self._snapshot.asked)
        if newer or time.time() > self._snapshot.asked + _STALE_S:
            self._snapshot, self._since = queue.snapshot(), 0
        return self._snapshot.tasks_of(run.name)

    def places(self, wanted: int) -> int:
        """Return how many of `wanted` tasks SLURM takes now, as far as its limits are known."""
        if self.full or self._snapshot is None:
            return 0
        limits = [(queue.max_job_count() - 1 - self._snapshot.total, "MaxJobCount of SLURM")]
        if self._site.max_submit:
            free = self._site.max_submit - self._snapshot.own
            limits.append((free, f"max_submit = {self._site.max_submit} in the site profile"))
        free, limit = min(limits)
        if free - self._since < wanted:
            self.full = limit
        return max(0, min(wanted, free - self._since))

    def refuse(self, error: LimitReached) -> None:
        """Take no more tasks, because sbatch refused one.

        Raises:
            LimitReached: this user has no tasks in the queue, so waiting would not help.
        """
        if not self.submitted and self._snapshot is not None and not self._snapshot.own:
            raise LimitReached(
                f"{error}; not even one task is taken, and none of yours is queued: give another ACCOUNT, "
                "QOS or PARTITION, or ask the site"
            )
        self.full = str(error)

    def took(self, tasks: int) -> None:
        """Count submitted tasks."""
        self.submitted += tasks
        self._since += tasks
