"""Publishing: how the results of a stage enter a movie's folder, recorded and never silently replaced.

For each stage `manifest.json` records what it read and what it wrote, by SHA-256. A stage gets its inputs
from `checked_inputs`, which refuses files that are not as their stage recorded them, and passes its results
to `publish`. `publish` writes nothing if nothing changed, and changes a folder that annotators may already
work on only with `overwrite`: the annotators' database stores cluster ids and trajectory indices, but not the
predicted names, which are replaced without it.
"""

from __future__ import annotations

import datetime
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from facerec import __version__, stages
from facerec.errors import StaleError
from facerec.folder.images import Thumbnails
from facerec.folder.layout import MovieFolder, ensure_dir
from facerec.folder.manifest import is_published, outputs_of, read_manifest, write_manifest
from facerec.support.atomic import (
    path_in_errors,
    remove_stale_temporaries,
    sha256_of,
    sync_folder,
    temporary_dir,
)
from facerec.support.locks import locked
from facerec.support.shell import option


@contextmanager
def staging(folder: MovieFolder) -> Iterator[Path]:
    """Make a temporary directory inside the movie's folder for unfinished results; it is always removed."""
    remove_stale_temporaries(folder.path)
    with path_in_errors(folder.path), temporary_dir(folder.path, "staging") as directory:
        yield directory


def publish(
    folder: MovieFolder,
    stage: str,
    files: Mapping[Path, Path],
    *,
    inputs: Mapping[str, str],
    settings: Mapping[str, Any],
    report: Mapping[str, Any],
    overwrite: bool,
    manifest_entries: Mapping[str, Any] | None = None,
    thumbnails: Thumbnails | None = None,
    names_only: bool = False,
) -> bool:
    """Move a stage's results into place and record them in the manifest.

    Args:
        files: for every output of the stage, the finished file that replaces it (on the same file system).
        inputs: SHA-256 by name of the files that the results were made from.
        report: what the stage records about its results in the manifest.
        overwrite: replace the results of a published folder; the old ones are kept in `previous/`.
        manifest_entries: further top-level entries of the manifest (film, models, shards).
        thumbnails: for the stage that writes them, the contents of `images/`. If these alone are no longer as
            they were published, they are restored, which needs no `overwrite`.
        names_only: no annotator's label refers to the results, so they are replaced without `overwrite`; the
            old ones are kept all the same.

    Returns:
        False if the folder already holds exactly these results: then nothing is written.

    Raises:
        StaleError: the folder is published, the results differ, and `overwrite` is not set.
    """
    with locked(folder.lock, 0):
        manifest, published = read_manifest(folder), is_published(folder)
        outputs = {folder.relative(target): sha256_of(source) for target, source in files.items()}
        same_files = all(
            target.exists() and sha256_of(target) == outputs[folder.relative(target)] for target in files
        )
        same_thumbnails = thumbnails is None or thumbnails.match(folder)
        if thumbnails is not None:
            outputs[folder.relative(folder.images)] = thumbnails.digest
        entry = {
            "inputs": dict(inputs),
            "outputs": outputs,
            "settings": dict(settings),
            "report": dict(report),
        }
        entry = orjson.loads(orjson.dumps(entry))  # with the types that reading it back gives
        previous = manifest["stages"].get(stage, {})
        recorded = all(previous.get(key) == value for key, value in entry.items())
        if same_files and same_thumbnails and recorded:
            return False
        same_outputs = previous.get("outputs") == outputs
        if same_files and same_outputs and not same_thumbnails:
            logging.warning("%s: thumbnails differ from the published ones; restoring them", folder.images)
            _install(folder, {}, thumbnails)
            if recorded:
                return True
            same_thumbnails = True
        downstream = [later.name for later in stages.PIPELINE.downstream(stage)]
        if previous:
            kept = {"stage": stage, "made_at": previous["made_at"], "outputs": previous["outputs"]}
            manifest["history"].append(kept)
        for name in (stage, *(downstream if not same_outputs else ())):
            manifest["stages"].pop(name, None)
        if not (same_files and same_thumbnails):
            _retire_previous(folder, downstream, overwrite or names_only)
            if previous:  # until all files are in place the folder must not appear finished
                write_manifest(folder, manifest)
            _install(folder, {} if same_files else files, None if same_thumbnails else thumbnails)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        made = {"made_at": now, "seconds": round(time.monotonic() - folder.opened, 3)}
        manifest["stages"][stage] = {**made, "program": f"facerec {__version__}", **entry}
        manifest.update(manifest_entries or {})
        write_manifest(folder, manifest)
        if names_only and published and not same_files:
            logging.warning(
                "%s: published names were replaced; cluster ids and trajectory indices are the same, so "
                "annotators' labels stay valid. Restart the labeling backend, if it runs: it reads names "
                "at its start",
                folder.path,
            )
        return True


def _install(folder: MovieFolder, files: Mapping[Path, Path], thumbnails: Thumbnails | None) -> None:
    """Move results into place: new thumbnails, then files that refer to them; then remove old thumbnails."""
    if thumbnails is not None:
        with staging(folder) as directory:
            thumbnails.write_missing(folder, directory)
    for target, source in files.items():
        source.replace(target)
    sync_folder(folder.path)
    if thumbnails is not None:
        thumbnails.remove_others(folder)


def _retire_previous(folder: MovieFolder, downstream: Sequence[str], overwrite: bool) -> None:
    """Keep a copy of published results before they are replaced, and remove what was made from them.

    Raises:
        StaleError: the folder is published and `overwrite` is not set.
    """
    stale = [path for stage in downstream for path in outputs_of(folder, stage) if path.exists()]
    if is_published(folder):
        if not overwrite:
            raise StaleError(
                f"{folder.path}: the results differ from the published ones, and annotators' labels refer to "
                f"their cluster ids and trajectory indices; {option('--overwrite')} replaces them and "
                "keeps the old ones in previous/"
            )
        _keep_version(folder)
    for path in stale:
        logging.info("%s: removed, because it was made from results that are being replaced", path)
        path.unlink()
    sync_folder(folder.path)


def keep_file(folder: MovieFolder, path: Path) -> Path:
    """Copy a file that is no stage's result to `previous/<time>`, atomically; returns the copy."""
    version = _new_version(folder)
    with staging(folder) as directory:
        _link_or_copy(path, directory / path.name)
        sync_folder(directory)
        ensure_dir(folder.previous)
        directory.replace(version)
    sync_folder(folder.previous)
    return version / path.name


def _new_version(folder: MovieFolder) -> Path:
    """Return the path of the next earlier version, `previous/<time>`."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (folder.previous / (stamp if not i else f"{stamp}-{i}") for i in count())
    return next(path for path in names if not path.exists())


def _keep_version(folder: MovieFolder) -> None:
    """Copy the published results and thumbnails to `previous/<time>`, atomically."""
    version = _new_version(folder)
    with staging(folder) as directory:
        results = (file for stage in stages.PIPELINE.recorded for file in outputs_of(folder, stage.name))
        for path in (*results, folder.manifest):
            if path.exists():
                _link_or_copy(path, directory / path.name)
        images = directory / folder.images.name
        images.mkdir()
        for path in folder.images.iterdir() if folder.images.is_dir() else ():
            if path.is_file():
                _link_or_copy(path, images / path.name)
        sync_folder(images)
        sync_folder(directory)
        ensure_dir(folder.previous)
        directory.replace(version)
    sync_folder(folder.previous)
    logging.warning("%s: the previous results are kept in %s", folder.path, version)


def _link_or_copy(path: Path, target: Path) -> None:
    """Make `target` a hard link to `path`, which is never modified in place, or a copy of it."""
    try:
        os.link(path, target)
    except OSError:  # the file system has no hard links
        shutil.copy2(path, target)
