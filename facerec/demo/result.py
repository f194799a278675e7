"""Compare the demo's result with the film as it was made, and show it as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facerec.demo.film import Shot, cut_frames
from facerec.reporting.overview import Overview

_TABLE = "{:>7}  {:<16} {:>11}  {:>12}  {:>10}  {:>17}"


def find_mistakes(overview: Overview, shots: Sequence[Shot]) -> list[str]:
    """Return the differences between the result and the film, a phrase each: cuts and named actors."""
    cuts = cut_frames(shots)
    mistakes = [] if overview.cuts == cuts else [f"the cuts are at {cuts}, but {overview.cuts} were found"]
    for shot, beg in zip(shots, [0, *cuts], strict=True):
        span = range(beg, beg + shot.frames)
        named = {
            cluster.name
            for cluster in overview.clusters
            if cluster.name and any(trajectory.start in span for trajectory in cluster.trajectories)
        }
        where = f"in frames {span.start} to {span.stop - 1}"
        mistakes += [f"{actor} is not named {where}" for actor in sorted(shot.cast - named)]
        mistakes += [f"{actor} is named {where} but is not in them" for actor in sorted(named - shot.cast)]
    return mistakes


def format_table(overview: Overview, names: Mapping[str, str]) -> list[str]:
    """Return the clusters as lines of a table; `names` are those of the actors by id."""
    lines = [
        _TABLE.format("cluster", "name", "probability", "trajectories", "thumbnails", "seconds on screen")
    ]
    for cluster in overview.clusters:
        seconds = float(cluster.frames / overview.frame_rate) if overview.frame_rate else 0.0
        lines.append(
            _TABLE.format(
                cluster.id,
                names.get(cluster.name, cluster.name) if cluster.name else "unknown",
                f"{cluster.names[0][1]:.3f}" if cluster.names else "",
                len(cluster.trajectories),
                sum(map(len, cluster.thumbnails)),
                f"{seconds:.1f}",
            )
        )
    return lines
