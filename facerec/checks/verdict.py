"""What people read of a check: one line that says whether the labeling backend will accept it, and a list."""

from __future__ import annotations

import logging
from pathlib import Path

from facerec.checks.data_root import RootInspection
from facerec.checks.inspect import Inspection
from facerec.checks.violations import Violations
from facerec.support.text import counted

MAX_LISTED = 50  # listed violations per folder; for the rest only their number is printed


def verdict(inspection: Inspection, with_actor_db: bool) -> str:
    """Say in one line whether the labeling backend will accept the folder.

    Args:
        with_actor_db: the actor database was checked as well.
    """
    movie = str(inspection.path) if inspection.movie_id is None else f"movie {inspection.movie_id}"
    count, warnings = inspection.violations.count, inspection.warnings
    warned = f"; {counted(len(warnings), 'warning')}, the first: {warnings[0]}" if warnings else ""
    if not count:
        note = "" if with_actor_db else "; the actor database was not checked (check it with --actor-db DIR)"
        return f"{movie}: the labeling backend will accept it: {inspection.summary}{note}{warned}"
    violations = f"{counted(count, 'violation')}, the first: {inspection.first}{warned}"
    if inspection.backend_accepts:
        return f"{movie}: the labeling backend will accept it, but it has {violations}"
    return f"{movie}: the labeling backend will NOT accept it: {violations}"


def list_violations(path: Path, violations: Violations) -> None:
    """Log the violations of a folder, each on a line, and its warnings."""
    for error in violations.kept[:MAX_LISTED]:
        logging.error("%s", error)
    if violations.count > MAX_LISTED:
        logging.error("%s: %s", path, counted(violations.count - MAX_LISTED, "more violation"))
    for warning in violations.warnings:
        logging.warning("%s", warning)


def root_verdict(root: RootInspection, with_films: bool, with_actor_db: bool) -> str:
    """Say in one line whether the labeling backend will start with a data root.

    Args:
        with_films, with_actor_db: the folder of films, the actor database was checked as well.
    """
    violations = root.violations
    given = (("the films", "--films", with_films), ("the actor database", "--actor-db", with_actor_db))
    missing = [f"{what} ({option} DIR)" for what, option, checked in given if not checked]
    note = f"; not checked: {' and '.join(missing)}" if missing else ""
    if violations.warnings:
        note += f"; {counted(len(violations.warnings), 'warning')}, the first: {violations.warnings[0]}"
    movies = counted(root.movies, "movie")
    if not violations.count:
        return f"{root.path}: the labeling backend will accept it: {movies}{note}"
    found = f"{counted(violations.count, 'violation')}, the first: {violations.kept[0]}{note}"
    if violations.fatal_count:
        return f"{root.path}: the labeling backend will NOT accept it, and starts for no movie: {found}"
    return f"{root.path}: the labeling backend will accept it: {movies}, but it has {found}"
