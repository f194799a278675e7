"""Decide the options of a task that follow from the film and the device, once for all shards.

The plan records the values. A task that finds a plan takes them from there, so that shards on machines with
other devices never mix.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from facerec.errors import PlanError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, read_plan
from facerec.models import auto_precision, reduces_precision
from facerec.models.device import PRECISIONS
from facerec.settings import AUTO, face_size
from facerec.video.film import display_size_of


@dataclass(frozen=True)
class Choices:
    """The values of options that were left open.

    Attributes:
        precision: in which the models compute.
        min_face_size: in display pixels.
    """

    precision: str
    min_face_size: int


def choose(
    folder: MovieFolder,
    film: Path,
    *,
    models: tuple[str, str],
    device: str | None,
    precision: str,
    min_face_size: str,
    display_aspect: Fraction | None,
) -> Choices:
    """Decide what was left open.

    Args:
        models: specs of detector and embedder.
        device: of this task; None if the models will run elsewhere.
        precision, min_face_size: as given, see `device.PRECISIONS` and `settings.face_size`.
        display_aspect: width / height of the displayed frame; None for the film's own.

    Raises:
        ModelError: the device is not available, or weights are missing.
        InputError: the film cannot be read, or `min_face_size` is not a size.
    """
    try:
        plan = read_plan(folder)
    except PlanError:  # reported when the plan is used
        plan = None
    chosen = _precision(precision, plan, models, device)
    if min_face_size.isascii() and min_face_size.isdigit():
        return Choices(chosen, face_size(min_face_size, (0, 0)))
    face_size(min_face_size, (1080, 1080))  # before the film is opened
    frame = plan.display_size if plan else None
    return Choices(chosen, face_size(min_face_size, frame or display_size_of(film, display_aspect)))


def _precision(requested: str, plan: Plan | None, models: tuple[str, str], device: str | None) -> str:
    """Return the precision that the plan will record, which is float32 if neither model has another."""
    if not reduces_precision(*models):
        if requested not in (AUTO, "float32"):
            logging.warning(
                "--precision %s has no effect: %s and %s always compute in float32", requested, *models
            )
        return "float32"
    if requested != AUTO:
        return requested
    planned = str(plan.settings.get("precision")) if plan else ""
    if planned in PRECISIONS:
        return planned
    return "float32" if device is None else auto_precision(device, *models)
