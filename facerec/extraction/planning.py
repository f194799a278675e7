"""How the shard tasks of a film come to one plan: the first writes it, the others must fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from facerec import __version__
from facerec.errors import InputError, PlanError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, pack_times, read_plan, unpack_times, write_plan
from facerec.folder.shards import discard_run_locked
from facerec.models import DETECTORS, card_of
from facerec.settings import ExtractSettings
from facerec.support.atomic import sha256_of
from facerec.support.locks import locked
from facerec.support.shell import command_line
from facerec.video.film import Film, describe_film, open_film
from facerec.video.identity import Stamp, file_stamp, probe_sha256, sha256_if_changed
from facerec.video.opencv_check import opencv_seek_mismatches

log = logging.getLogger(__name__)


def ensure_plan(
    folder: MovieFolder,
    film: Path,
    n: int,
    settings: ExtractSettings,
    *,
    options: Sequence[str],
    fresh: bool,
    display_aspect: Fraction | None,
    prepare: Callable[[], object],
) -> Plan:
    """The folder's plan, made now if there is none.

    Args:
        options: the command line's words for `settings`, for whoever must call again.
        fresh: drop a plan that differs or is damaged, and its shards.
        display_aspect: width / height that overrides the film's own.
        prepare: called before a plan is made; what fails there leaves no trace in the folder.

    Raises:
        PlanError: the folder's plan is another one; the message names what differs.
    """
    stamp = file_stamp(film)
    wanted = _requested_run(film, n, settings)
    if _needs_new_plan(folder, film, wanted, fresh):
        made = build_plan(folder, film, stamp, wanted, display_aspect)
        prepare()
        folder.create()
        with locked(folder.lock):
            if _needs_new_plan(folder, film, wanted, fresh):  # no other task was quicker
                if folder.plan.exists():
                    discard_run_locked(folder)
                if write_plan(folder, made, film, options):
                    for note in made.notes:
                        log.warning("%s: %s", film, note)
    plan = read_plan(folder)
    if plan is None:
        raise PlanError(f"{folder.path}: another task is beginning afresh there; run the same command again")
    differences = _differences(plan, film, wanted)
    if differences:
        raise PlanError(
            f"{folder.path} holds the shards of another run: {'; '.join(differences)}. "
            "Give the same options, or --fresh to drop those shards and begin again"
        )
    folder.create()
    return plan


def planned_film(plan: Plan, path: Path) -> Film:
    """The film of a plan, without indexing it again."""
    video = plan.video
    width, height = video["display_size"]
    return describe_film(
        path,
        unpack_times(video["times"]),
        seekable=video["seekable"],
        losses=video["losses"],
        display_size=(width, height),
    )


def _requested_run(film: Path, n: int, settings: ExtractSettings) -> dict[str, Any]:
    """What can be known without reading the film: enough to tell whether a plan fits."""
    options = asdict(settings)
    models = {role: asdict(card_of(options.pop(role), role)) for role in ("detector", "embedder")}
    if options["face_threshold"] is None:
        options["face_threshold"] = DETECTORS[models["detector"]["kind"]].threshold
    return {
        "n": n,
        "film": {"name": film.name, "bytes": film.stat().st_size, "probe": probe_sha256(film)},
        "settings": options,
        "models": models,
        "program": f"facerec {__version__}",
    }


def _differences(plan: Plan, film: Path, wanted: dict[str, Any]) -> list[str]:
    """How the plan differs from what is wanted; all of the film's bytes count, looked at only if need be."""
    found = plan.differences(wanted)
    other = "" if found else sha256_if_changed(film, plan.film)
    return plan.differences({"film": {"sha256": other}}) if other else found


def build_plan(
    folder: MovieFolder, path: Path, stamp: Stamp, wanted: dict[str, Any], display_aspect: Fraction | None
) -> Plan:
    film = open_film(path, display_aspect)
    log.info(
        "%s: %d frames, shown at %dx%d", path.name, film.frame_count, film.display_width, film.display_height
    )
    notes = list(film.losses)
    if not film.seekable:
        notes.append(
            "its frames cannot be found by time, so every shard decodes it from its start: give few shards, "
            f"or use a copy that keeps every frame, {_copy_command(film)}"
        )
    if other := opencv_seek_mismatches(film):
        notes.append(
            "seeking by frame number in OpenCV, as the labeling backend does, shows other frames than these "
            f"or none (for one, at frame {other[0]}): its full-frame view would not match the boxes. Make "
            f"the rate constant, {_copy_command(film)}, and use that film everywhere"
        )
    video = {
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
    identity = {**wanted["film"], "sha256": sha256_of(path), "mtime_ns": stamp[-1]}
    if file_stamp(path) != stamp:
        raise InputError(f"{path}: was written to while it was read; run this again once it is all there")
    return Plan(
        movie_id=folder.movie_id,
        film=identity,
        video=video,
        frame_count=film.frame_count,
        n=wanted["n"],
        settings=wanted["settings"],
        models=wanted["models"],
        notes=tuple(notes),
        program=wanted["program"],
    )


def _copy_command(film: Film) -> str:
    """The command that gives every frame of a film, and no other, a time at which it is found."""
    rate = Fraction(film.frame_rate).limit_denominator(1001)
    words = ["-vf", f"setpts=N/({rate})/TB", "-r", str(rate), "-fps_mode", "passthrough", "-crf", "16"]
    return command_line("ffmpeg", "-i", str(film.path.absolute()), *words, f"./{film.path.stem}-cfr.mp4")


def _needs_new_plan(folder: MovieFolder, film: Path, wanted: dict[str, Any], fresh: bool) -> bool:
    """Whether there is no plan, or one that `fresh` drops."""
    try:
        plan = read_plan(folder)
    except PlanError:
        if not fresh:
            raise
        return True
    return plan is None or (fresh and bool(_differences(plan, film, wanted)))
