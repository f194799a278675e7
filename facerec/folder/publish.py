"""How a stage's results enter the folder: recorded, never mixed, never silently replaced.

`manifest.json` says for each stage what it was made from and what it made, by SHA-256. A stage reads
its inputs through `checked_inputs`, which refuses what is not what its maker recorded, and hands its
results to `publish`, which writes nothing where nothing changed and refuses to change a folder that
annotators may already work on: their database stores cluster ids and trajectory indices.
"""

from __future__ import annotations

import datetime
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    temporary_name,
)
from facerec.support.locks import locked

if TYPE_CHECKING:
    pass


@contextmanager
def staging(folder: MovieFolder) -> Iterator[Path]:
    """A folder inside the movie's, for results in the making; gone afterwards, whatever happens."""
    remove_stale_temporaries(folder.path)
    room = folder.path / temporary_name("staging")
    room.mkdir()
    try:
        with path_in_errors(room.parent):
            yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def publish(
    folder: MovieFolder,
    stage: str,
    made: Mapping[Path, Path],
    *,
    inputs: Mapping[str, str],
    settings: Mapping[str, Any],
    report: Mapping[str, Any],
    overwrite: bool,
    about: Mapping[str, Any] | None = None,
    pictures: Thumbnails | None = None,
) -> bool:
    """Move a stage's results into place and record them.

    Args:
        made: for every output of the stage, the finished file to rename to it (same file system).
        inputs: SHA-256 by name of what the results were made from.
        report: what the stage has to say of its results, for the manifest.
        overwrite: replace the results of a published folder; the old ones go to `previous/`.
        about: further top-level entries of the manifest (film, models, shards).
        pictures: for the stage that makes them, what `images/` is to hold. Where only these are no longer
            as they were published, they are put right.

    Returns:
        False where the folder already holds exactly this: then nothing is written.

    Raises:
        StaleError: the folder is published, the results differ, and `overwrite` is not given.
    """
    with locked(folder.lock, 0):
        return _publish(folder, stage, made, inputs, settings, report, overwrite, about or {}, pictures)


def _publish(
    folder: MovieFolder,
    stage: str,
    made: Mapping[Path, Path],
    inputs: Mapping[str, str],
    settings: Mapping[str, Any],
    report: Mapping[str, Any],
    overwrite: bool,
    about: Mapping[str, Any],
    pictures: Thumbnails | None,
) -> bool:
    manifest = read_manifest(folder)
    outputs = {folder.relative(target): sha256_of(source) for target, source in made.items()}
    same = all(target.exists() and sha256_of(target) == outputs[folder.relative(target)] for target in made)
    seen = pictures is None or pictures.are_in(folder)
    if pictures is not None:
        outputs[folder.relative(folder.images)] = pictures.digest
    entry = {"inputs": dict(inputs), "outputs": outputs, "settings": dict(settings), "report": dict(report)}
    entry = orjson.loads(orjson.dumps(entry))
    before = manifest["stages"].get(stage, {})
    recorded = all(before.get(key) == value for key, value in entry.items())
    if same and seen and recorded:
        return False
    known = before.get("outputs") == outputs
    if same and known and not seen:
        logging.warning("%s: not the pictures that were made; they are put right", folder.images)
        _put(folder, {}, pictures)
        if recorded:
            return True
        seen = True
    downstream = [later.name for later in stages.PIPELINE.downstream(stage)]
    if before:
        told = {"stage": stage, "made_at": before["made_at"], "outputs": before["outputs"]}
        manifest["history"].append(told)
    for name in (stage, *(downstream if not known else ())):
        manifest["stages"].pop(name, None)
    if not (same and seen):
        _retire_previous(folder, stage, downstream, overwrite)
        if before:  # until all is in place, nobody may take it for a result
            write_manifest(folder, manifest)
        _put(folder, made if not same else {}, pictures if not seen else None)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    manifest["stages"][stage] = {"made_at": now, "program": f"facerec {__version__}", **entry}
    manifest.update(about)
    write_manifest(folder, manifest)
    return True


def _put(folder: MovieFolder, made: Mapping[Path, Path], pictures: Thumbnails | None) -> None:
    """Put results in their places: new pictures, what names them, and then away with the old pictures."""
    if pictures is not None:
        with staging(folder) as room:
            pictures.put(folder, room)
    for target, source in made.items():
        source.replace(target)
    sync_folder(folder.path)
    if pictures is not None:
        pictures.prune(folder)


def _retire_previous(folder: MovieFolder, stage: str, downstream: Sequence[str], overwrite: bool) -> None:
    """Put away what the new results replace, and what was made from it."""
    stale = [path for later in downstream for path in outputs_of(folder, later) if path.exists()]
    if is_published(folder):
        if not overwrite:
            raise StaleError(
                f"{folder.path}: the results differ from the published ones, and annotators' labels hang on "
                "cluster ids and trajectory indices; --overwrite replaces them and keeps the old in previous/"
            )
        _keep(folder)
    for path in stale:
        logging.info("%s was made from what is replaced now and is removed", path)
        path.unlink()
    sync_folder(folder.path)


def _keep(folder: MovieFolder) -> None:
    """Keep the published version with its pictures, whole or not at all, in `previous/<stamp>`."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (folder.previous / (stamp if not i else f"{stamp}-{i}") for i in count())
    kept = next(path for path in names if not path.exists())
    with staging(folder) as room:
        results = (file for stage in stages.PIPELINE.recorded for file in outputs_of(folder, stage.name))
        for path in (*results, folder.manifest):
            if path.exists():
                _link(path, room / path.name)
        pictures = room / folder.images.name
        pictures.mkdir()
        for path in folder.images.iterdir() if folder.images.is_dir() else ():
            if path.is_file():
                _link(path, pictures / path.name)
        sync_folder(pictures)
        sync_folder(room)
        ensure_dir(folder.previous)
        room.replace(kept)
    sync_folder(folder.previous)
    logging.warning("%s: the published results are kept in %s", folder.path, kept)


def _link(path: Path, to: Path) -> None:
    """Give a file that is replaced, and never changed, a second name."""
    try:
        os.link(path, to)
    except OSError:  # a file system without hard links
        shutil.copy2(path, to)
