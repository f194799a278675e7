"""Make the plan of a film, or compare the options of a task with the plan that is there.

The first shard task of a film writes the plan; `facerec.folder.plan` says what is in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from facerec import __version__
from facerec.errors import InputError, PlanError
from facerec.extraction.film_notes import film_notes
from facerec.extraction.planned_film import film_record
from facerec.folder.film_hash import hash_once
from facerec.folder.layout import MovieFolder, ensure_dir
from facerec.folder.names import same_name
from facerec.folder.plan import Plan, read_plan, write_plan
from facerec.folder.shards import discard_run_locked
from facerec.models import DETECTORS, card_of
from facerec.models.base import identity_of
from facerec.settings import ExtractSettings
from facerec.support.locks import locked, locked_within
from facerec.support.shell import option
from facerec.support.text import counted
from facerec.video.container import open_video
from facerec.video.film import open_film
from facerec.video.identity import HashedFile, Stamp, file_stamp, probe_sha256, sha256_if_changed

log = logging.getLogger(__name__)
PLANNING_S = 3600.0  # a task waits this long for the plan that another one makes


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
    """Return the folder's plan; write one if there is none.

    Args:
        n: number of shards.
        options: `settings` as command-line options, for commands that the user is told to run.
        fresh: discard a plan that differs or is damaged, and its shards.
        display_aspect: width / height of the displayed frame; None for the film's own.
        prepare: called before a plan is made, so that its failure leaves the folder as it was.

    Raises:
        PlanError: the folder has another plan; the message names the differences.
        InputError: the film was written to while it was read.
    """
    stamp = file_stamp(film)
    requested = _requested_run(film, n, settings)
    if _needs_new_plan(folder, film, requested, fresh):
        with open_video(film):  # before models are loaded
            pass
        prepare()  # before the film is read: if it fails, it fails in every task
        with _only_planner(folder, film):
            if _needs_new_plan(folder, film, requested, fresh):  # no other task was first
                new_plan = build_plan(folder, film, stamp, requested, display_aspect)
                _replace_plan(folder, new_plan, film, options, requested, fresh)
    plan = read_plan(folder)
    if plan is None:
        raise PlanError(f"{folder.path}: another task is replacing the plan; run the same command again")
    _check_agreement(folder, plan, film, requested)
    folder.create()
    for left_by_a_kill in (folder.planning_lock, folder.film_hash_lock):
        with suppress(OSError):  # a complete folder may be on a read-only file system
            left_by_a_kill.unlink()
    return plan


def check_run(folder: MovieFolder, film: Path, n: int, settings: ExtractSettings, *, fresh: bool) -> None:
    """Check, without writing a plan, that a task with these options can begin.

    Raises:
        PlanError: the folder has another plan, and `fresh` is not set.
        InputError: the film cannot be opened.
        ModelError: weights are missing or wrong.
    """
    requested = _requested_run(film, n, settings)
    with open_video(film):
        pass
    if not _needs_new_plan(folder, film, requested, fresh) and (plan := read_plan(folder)):
        _check_agreement(folder, plan, film, requested)


def _check_agreement(folder: MovieFolder, plan: Plan, film: Path, requested: dict[str, Any]) -> None:
    """Raise `PlanError` if the folder's plan is another one than `requested`."""
    differences = _differences(folder, plan, film, requested)
    if differences:
        # an option that an earlier release did not have cannot be given the value of its plan
        earlier = requested["settings"].keys() - plan.settings.keys() or plan.is_of_other_results
        complete = (
            "Complete them with the earlier release that made them" if earlier else "Use the same options"
        )
        raise PlanError(
            f"{folder.path} contains shards of another run: {'; '.join(differences)}. "
            f"{complete}, or use {option('--fresh')} to discard those shards and start again"
        )


@contextmanager
def _only_planner(folder: MovieFolder, film: Path) -> Iterator[None]:
    """Let one task at a time read the whole film to make the plan; the others wait for it.

    Without file locks, or if the other task takes more than `PLANNING_S` seconds, tasks make the plan at the
    same time; only one of them writes it. What was created is removed if the folder stays without a plan.
    """
    created = [path for path in (folder.path, *folder.path.parents) if not path.exists()]
    ensure_dir(folder.path)

    def waiting() -> None:
        log.info("%s: waiting for another task that reads the film to make the plan", film)

    try:
        with locked_within(folder.planning_lock, PLANNING_S, waiting) as free:
            if not free:
                log.warning("%s: no plan was made within %.0f s; making it here", film, PLANNING_S)
            yield
    finally:
        folder.planning_lock.unlink(missing_ok=True)
        for path in created:
            with suppress(OSError):  # not empty
                path.rmdir()


def _replace_plan(
    folder: MovieFolder,
    plan: Plan,
    film: Path,
    options: Sequence[str],
    requested: dict[str, Any],
    fresh: bool,
) -> None:
    """Write the plan in place of one that `fresh` discards, unless another task was first."""
    folder.create()
    with locked(folder.lock):
        if not _needs_new_plan(folder, film, requested, fresh):
            return
        if folder.plan.exists():
            discard_run_locked(folder)
        if write_plan(folder, plan, film, options):
            for note in plan.notes:
                log.warning("%s: %s", film, note)


def _requested_run(film: Path, n: int, settings: ExtractSettings) -> dict[str, Any]:
    """Return the parts of a plan that are known without reading the film, for comparison with a plan."""
    options = asdict(settings)
    models = {role: asdict(card_of(options.pop(role), role)) for role in ("detector", "embedder")}
    if options["face_threshold"] is None:
        options["face_threshold"] = DETECTORS[models["detector"]["kind"]].threshold
    return {
        "n": n,
        "film": {"name": film.name, "bytes": film.stat().st_size, "probe": probe_sha256(film)},
        "settings": options,
        "models": models,
    }


def _differences(folder: MovieFolder, plan: Plan, film: Path, requested: dict[str, Any]) -> list[str]:
    """Return how the folder's plan differs from `requested`, one phrase each.

    The film is hashed as a whole only if its modification time differs and nothing else does.
    """
    models = {role: identity_of(card) for role, card in requested["models"].items()}
    name = str(plan.film.get("name"))
    if same_name(name, film.name):
        requested = {**requested, "film": {**requested["film"], "name": name}}
    found = plan.differences({**requested, "models": models})
    if plan.is_of_other_results:
        found.append(f"{plan.program} made it, which computes other results than facerec {__version__}")
    other = "" if found else sha256_if_changed(film, plan.film, partial(hash_once, folder))
    return plan.differences({"film": {"sha256": other}}) if other else found


def build_plan(
    folder: MovieFolder, path: Path, stamp: Stamp, requested: dict[str, Any], display_aspect: Fraction | None
) -> Plan:
    """Index the film and return its plan.

    Args:
        stamp: `file_stamp` of the film from before it was read.
        requested: as `_requested_run` returns it.

    Raises:
        InputError: the film was written to while it was read.
    """
    with HashedFile(path) as file:
        film = open_film(path, display_aspect, file)
        whole = file.sha256()
    log.info(
        "%s: %s, shown at %dx%d",
        path.name,
        counted(film.frame_count, "frame"),
        film.display_width,
        film.display_height,
    )
    notes = film_notes(film)
    identity = {**requested["film"], "sha256": whole, "mtime_ns": stamp[-1]}
    if file_stamp(path) != stamp:
        raise InputError(
            f"{path}: was written to while it was read; run this again when the copy is complete"
        )
    return Plan(
        movie_id=folder.movie_id,
        film=identity,
        video=film_record(film),
        frame_count=film.frame_count,
        n=requested["n"],
        settings=requested["settings"],
        models=requested["models"],
        notes=notes,
    )


def _needs_new_plan(folder: MovieFolder, film: Path, requested: dict[str, Any], fresh: bool) -> bool:
    """Whether the folder has no plan, or one that `fresh` discards.

    Raises:
        PlanError: the plan is damaged, and `fresh` is not set.
    """
    try:
        plan = read_plan(folder)
    except PlanError:
        if not fresh:
            raise
        return True
    return plan is None or (fresh and bool(_differences(folder, plan, film, requested)))
