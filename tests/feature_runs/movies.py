"""A movie folder with cuts only, and runs of the toy extractors on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facerec.feature_runs.loading import Feature
from facerec.feature_runs.movie_inputs import read_inputs
from facerec.feature_runs.movie_run import run_movie
from facerec.feature_runs.rows import OutputFormat
from facerec.folder.documents import scene_changes_bytes
from facerec.folder.layout import MovieFolder
from tests.feature_runs.toys import Loudness, Numbers, Stateful
from tests.films import make_film

MOVIE, FRAMES = 7, 97
CUTS = (9, 10, 31, 60, 61, 80)


def make_movie(out: Path, cuts: Sequence[int] = CUTS, frames: int = FRAMES, **film: Any) -> tuple[Path, Path]:
    """Return the folder and the film."""
    path = out / f"{MOVIE}-Film.mp4"
    make_film(path, frames, **{"audio": True, **film})
    folder = out / f"{MOVIE}-data"
    folder.mkdir()
    (folder / "scene_changes.json").write_bytes(scene_changes_bytes(MOVIE, cuts))
    return folder, path


def toy_features(batch_size: int = 4, **options: Any) -> list[Feature]:
    """Return a feature of each kind."""
    toys = {
        "numbers": ("windows", Numbers(batch_size, width=9, **{"step": 2, **options})),
        "stateful": ("frames", Stateful()),
        "loudness": ("sound", Loudness()),
    }
    return [
        Feature(name, kind, toy, {"models": [], "settings": dict(toy.settings), "format": {}})
        for name, (kind, toy) in toys.items()
    ]


def run(
    folder: Path,
    film: Path,
    features: Sequence[Feature] | None = None,
    shards: Sequence[int] = (0,),
    n: int = 1,
    fresh: bool = False,
) -> dict[str, Any]:
    """Run one process on some of `n` shards."""
    return run_movie(
        MovieFolder(folder),
        read_inputs(MovieFolder(folder), film),
        toy_features() if features is None else features,
        OutputFormat(),
        shards=shards,
        n=n,
        threads=1,
        fresh=fresh,
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Return all results: files but logs and what the workers use."""
    found = folder / "shot_features"
    return {
        path.relative_to(found).as_posix(): path.read_bytes()
        for path in sorted(found.rglob("*"))
        if path.is_file() and ".work" not in path.parts and not path.name.startswith("log_")
    }
