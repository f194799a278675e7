"""One worker: it takes the units of a source that no other worker has, until none is left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from facerec.feature_runs.claims import STALE_SECONDS, Claims
from facerec.feature_runs.index import Index
from facerec.feature_runs.run_log import RunLog
from facerec.feature_runs.sources import Engine, Unit
from facerec.support.cli import progress

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0  # between two checks of claims of workers that may be dead


class Worker:
    """Does units of a source with one engine.

    Args:
        index: where the units record what is finished.
    """

    def __init__(self, engine: Engine, claims: Claims, index: Index, run_log: RunLog) -> None:
        self._engine, self._claims, self._index, self._log = engine, claims, index, run_log

    def run(self, units: Sequence[Unit]) -> int:
        """Do the units that are neither finished nor claimed by another worker.

        Args:
            units: in the order in which they are tried; workers that begin at different places rarely meet.

        Returns:
            The number of units left to other workers, which are at work on them.
        """
        with progress("features", len(units), "units") as advance:
            left = [unit for unit in units if not self._skip(unit, advance)]
            while True:
                busy = [unit for unit in left if not self._try(unit, advance)]
                if not busy or len(busy) == len(left):
                    return len(busy) - self._take_over(busy, advance)
                left = busy  # the workers that had them may have died since

    def _take_over(self, busy: Sequence[Unit], advance: Callable[[int], None]) -> int:
        """Wait for claims to become stale if it is not known whether their workers live.

        Returns:
            The number of units of `busy` that were done.
        """
        beats = {unit: self._claims.doubtful_heartbeat(unit.key) for unit in busy}
        doubtful = {unit: beat for unit, beat in beats.items() if beat is not None}
        if doubtful:
            log.info(
                "waiting, at most %d s, to learn whether the workers on %d units are alive",
                STALE_SECONDS, len(doubtful),
            )  # fmt: skip
        done = 0
        while doubtful:
            time.sleep(POLL_SECONDS)
            for unit, beat in tuple(doubtful.items()):
                is_done = self._try(unit, advance)
                done += is_done
                if is_done or self._claims.doubtful_heartbeat(unit.key) != beat:  # its worker lives
                    del doubtful[unit]
        return done

    def _skip(self, unit: Unit, advance: Callable[[int], None]) -> bool:
        if not unit.is_done():
            return False
        log.info("%s: finished before; skipped", unit.label)
        advance(1)
        return True

    def _try(self, unit: Unit, advance: Callable[[int], None]) -> bool:
        """Do a unit, unless another worker has it; returns whether it is done."""
        if unit.is_done():  # by another worker, as of the last refresh of the index
            advance(1)
            return True
        with self._claims.hold(unit.key) as claim:
            if claim is None:
                return False
            self._index.refresh()
            if not unit.is_done():
                unit.run(self._engine, lambda _frames: advance(0))
                self._log.add(unit.label)
            advance(1)
            return True
