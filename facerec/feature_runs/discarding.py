"""Delete features that are to be made again, when no process works on them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from facerec.feature_runs.feature_folder import FeatureFolder
from facerec.feature_runs.film_parts import FilmParts
from facerec.feature_runs.index import entry_key
from facerec.feature_runs.tar_source import SHARD
from facerec.folder.layout import MovieFolder
from facerec.support.atomic import temporary_name


def discard_movie(folder: MovieFolder, features: Sequence[str]) -> None:
    """Delete features, names of extractors, of a movie."""
    if not folder.shot_features.is_dir():
        return
    outputs = FeatureFolder(folder.shot_features)
    for feature in features:
        FilmParts(outputs.parts / feature).remove()
        discard_folder(folder.feature_files(feature, "").folder)
    outputs.index.remove(
        [entry_key(entry) for entry in outputs.index.entries() if entry["feature"] in features]
    )


def discard_folder(folder: Path) -> None:
    """Delete a folder of outputs, of which nothing is left in its place at any moment."""
    if folder.is_dir():
        unwanted = folder.rename(folder.with_name(temporary_name(folder.name)))
        shutil.rmtree(unwanted, ignore_errors=True)


def discard_files(out: Path, features: Sequence[str], tars: bool) -> None:
    """Delete features, names of extractors, of the lists or the tar shards of a folder of outputs."""
    if not out.is_dir():
        return
    outputs = FeatureFolder(out)
    names = [*features, SHARD] if tars else [*features]
    outputs.remove(names)
    for name in names:
        (outputs.provenance / f"{name}.json").unlink(missing_ok=True)
