"""The shards of a task: extracted one after the other with the same models, each with a line of summary."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from facerec.extraction.shard import Extractor, extract_shard
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan
from facerec.folder.shards import done_markers, shard_label
from facerec.support.cli import progress
from facerec.support.signals import stop_on_signals
from facerec.support.text import counted
from facerec.video.film import Film


def extract_shards(
    extractor: Extractor,
    film: Film,
    folder: MovieFolder,
    plan: Plan,
    shards: Sequence[int],
    *,
    log_profile: bool = False,
) -> None:
    """Extract those of `shards` that are not done, and print a line for each.

    Args:
        log_profile: log how many seconds each step was busy.

    Raises:
        as `extract_shard`; the shards before stay done.
    """
    with stop_on_signals() as stop:
        for shard in shards:
            stop.check()
            # another task was first, or an equally empty shard has the same files
            if done_markers(folder, plan, [shard]):
                continue
            beg, end = plan.range_of(shard)
            label = shard_label(plan, shard)
            with progress(label, end - beg) as advance:
                report = extract_shard(extractor, film, folder, plan, shard, stop, advance)
            print(_summary(label, report), flush=True)  # noqa: T201
            if log_profile:
                _log_profile(report)


def _summary(label: str, report: Mapping[str, Any]) -> str:
    skipped = (
        f", {counted(len(report['skipped']), 'frame')} could not be decoded" if report["skipped"] else ""
    )
    rate = report["frames"] / max(report["seconds"], 1e-9)
    return (
        f"{label}: {counted(report['faces'], 'face')}, {report['saved']} saved{skipped}, "
        f"{report['seconds']:.1f} s ({rate:.1f} frames/s)"
    )


def _log_profile(report: Mapping[str, Any]) -> None:
    for stage, seconds in sorted(report["stage_seconds"].items(), key=lambda item: -item[1]):
        logging.info(
            "%-7s busy %8.2f s, %5.1f %% of the shard's time",
            stage,
            seconds,
            100 * seconds / report["seconds"],
        )
