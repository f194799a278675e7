"""The film of a plan: what a plan records about it, and the film opened again from this record.

Apart from `planning`, because readers of finished folders need neither models nor the rules of tasks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facerec.folder.plan import Plan, pack_times, unpack_times
from facerec.video.film import Film, describe_film


def film_record(film: Film) -> dict[str, Any]:
    """Return the object `video` of a plan."""
    return {
        "stored_size": [film.width, film.height],
        "display_size": [film.display_width, film.display_height],
        "rotation": film.rotation,
        "frame_rate": str(film.frame_rate),
        "time_base": str(film.time_base),
        "declared_frames": film.declared_frames,
        "seekable": film.seekable,
        "losses": list(film.losses),
        "times": pack_times(film.pts),
    }


def planned_film(plan: Plan, path: Path) -> Film:
    """Return the film of a plan, without indexing it again.

    Raises:
        InputError: the file cannot be opened, or none of its frames can be decoded.
    """
    video = plan.video
    width, height = video["display_size"]
    return describe_film(
        path,
        unpack_times(video["times"]),
        seekable=video["seekable"],
        losses=video["losses"],
        display_size=(width, height),
    )
