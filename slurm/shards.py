"""Which shards of a movie are extracted: those that the plan and the markers prove."""

from __future__ import annotations

import logging
from collections.abc import Collection

from facerec.errors import PlanError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, read_plan
from facerec.folder.shards import done_markers

log = logging.getLogger(__name__)


def read_plan_or_none(folder: MovieFolder) -> Plan | None:
    """Read the plan of a folder; None if there is none or it cannot be read, which is logged."""
    try:
        return read_plan(folder)
    except PlanError as error:
        log.warning("%s", error)
        return None


def shards_to_do(folder: MovieFolder, n: int, shards: Collection[int], contents: bool = False) -> list[int]:
    """Return those of `shards` that are not done: all of them if there is no plan for `n` shards.

    Args:
        contents: compare the contents of files with the markers, not only their sizes.
    """
    plan = read_plan_or_none(folder)
    if plan is None or plan.n != n:
        return sorted(shards)
    return sorted(set(shards) - done_markers(folder, plan, shards, verify_hashes=contents).keys())
