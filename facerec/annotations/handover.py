"""Hand a finished movie over to annotators: a folder with just what the labeling backend reads."""

from __future__ import annotations

import datetime
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from facerec.errors import InputError, StaleError
from facerec.folder.layout import MovieFolder
from facerec.support.atomic import (
    path_in_errors,
    remove_stale_temporaries,
    sha256_of,
    sync_files,
    sync_folder,
    temporary_dir,
)
from facerec.support.locks import locked
from facerec.support.shell import option
from facerec.support.text import counted

_READABLE_FILE, _READABLE_FOLDER = 0o644, 0o755


def hand_over(
    folder: MovieFolder, to: Path, check: Callable[[MovieFolder], None], *, link: bool, overwrite: bool
) -> str:
    """Put what the labeling backend reads of `folder` into a folder of the same name in `to`.

    It appears whole or not at all, and everybody may read it, whatever the umask. A folder that was handed
    over before is kept in `to`/previous. New names replace old ones; other changes need `overwrite`.

    Args:
        check: raises `FacerecError` if the finished folder must not be handed over.
        link: hard links to the files of `folder` instead of copies, where everybody may read these and the
            file system allows it.

    Returns:
        A summary of one line.

    Raises:
        StaleError: other clusters, trajectories or thumbnails were handed over, and `overwrite` is not set.
        InputError: `to` is the folder that `folder` is in, or has a movie folder of another kind.
    """
    if to.resolve() == folder.path.resolve().parent:
        raise InputError(f"{to}: holds the movie folder itself; give another folder to hand it over to")
    _make_readable_folder(to)
    target = MovieFolder(to / folder.path.name)
    if target.manifest.exists() or target.plan.exists():
        raise InputError(f"{target.path}: is a folder in which stages ran, not one that was handed over")
    remove_stale_temporaries(to)
    with locked(folder.lock, 0):  # no stage changes the files meanwhile
        files = _files_of(folder)
        before = _files_of(target) if target.path.is_dir() else {}
        differing = _differing(files, before)
        if not differing:
            return f"{target.path}: nothing changed"
        renamed = bool(before) and differing == {folder.predictions.name}
        if before and not renamed and not overwrite:
            raise StaleError(
                f"{target.path}: other clusters, trajectories or thumbnails were handed over, to which "
                f"annotators' labels refer; {option('--overwrite')} replaces it and keeps the old folder "
                f"in {to / 'previous'}"
            )
        with path_in_errors(to), temporary_dir(to, target.path.name) as directory:
            made = MovieFolder(directory / folder.path.name)
            _fill(made, files, link)
            check(made)
            _put_in_place(made.path, target.path, to / "previous")
    if renamed:
        logging.warning(
            "%s: only names differ from those handed over, so annotators' labels stay valid; restart the "
            "labeling backend to show them",
            target.path,
        )
    return f"{target.path}: {counted(len(files) - 3, 'thumbnail')}, {'linked' if link else 'copied'}"


def _files_of(folder: MovieFolder) -> dict[str, Path]:
    """Return the files that the labeling backend reads, by their path in the folder."""
    tables = (folder.trajectories, folder.clusters, folder.predictions)
    images = sorted(folder.images.iterdir()) if folder.images.is_dir() else []
    return {folder.relative(path): path for path in (*tables, *images) if path.is_file()}


def _differing(files: Mapping[str, Path], before: Mapping[str, Path]) -> set[str]:
    """Return the names of the files that are only on one side or have other contents."""
    return {
        name
        for name in files.keys() | before.keys()
        if name not in files
        or name not in before
        or not (files[name].samefile(before[name]) or sha256_of(files[name]) == sha256_of(before[name]))
    }


def _fill(folder: MovieFolder, files: Mapping[str, Path], link: bool) -> None:
    """Link or copy `files` into a new folder."""
    for path in (folder.path, folder.images):
        path.mkdir()
        path.chmod(path.stat().st_mode & 0o7777 | _READABLE_FOLDER)
    for name, source in files.items():
        target = folder.path / name
        if link and source.stat().st_mode & 0o444 == 0o444:
            try:
                os.link(source, target)
                continue
            except OSError:  # another file system, or one without hard links
                pass
        shutil.copyfile(source, target)
        target.chmod(_READABLE_FILE)
    sync_files([folder.path / name for name in files])
    sync_folder(folder.images)
    sync_folder(folder.path)


def _put_in_place(made: Path, target: Path, previous: Path) -> None:
    """Rename a finished folder to `target`; a folder that is there is moved to `previous` first."""
    if not target.exists():
        made.replace(target)
        sync_folder(target.parent)
        return
    _make_readable_folder(previous)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    kept = previous / f"{target.name}-{stamp}"
    target.replace(kept)
    try:
        made.replace(target)
    except OSError:
        kept.replace(target)
        raise
    sync_folder(target.parent)
    logging.warning("%s: the folder that was handed over before is kept in %s", target, kept)


def _make_readable_folder(path: Path) -> None:
    """Create a folder and its parents, which everybody may read; an existing one is left as it is."""
    if path.is_dir():
        if path.stat().st_mode & 0o055 != 0o055:
            logging.warning(
                "%s: not everybody may read this folder; the labeling backend may not see it", path
            )
        return
    if path.exists():
        raise InputError(f"{path}: this must be a folder, but it is a file; move it away")
    if not path.parent.exists():
        _make_readable_folder(path.parent)
    path.mkdir(exist_ok=True)
    path.chmod(path.stat().st_mode & 0o7777 | _READABLE_FOLDER)
