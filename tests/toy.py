"""Films of coloured squares, toy models that detect and embed them, and functions that run the stages.

As with real models, what the toy models return depends on the decoded pixels of a frame only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
from numpy.typing import NDArray

import facerec.extraction.planning
from facerec import check, classify_knn, cluster, extract, merge_shards, models
from facerec.actors.database import ACTOR_COLUMNS, ActorDatabase
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import outputs_of
from facerec.geometry import Image
from facerec.models.base import Detections, ModelCard, normalize_rows
from facerec.stages import PIPELINE
from tests.films import make_film

MOVIE = 77
WIDTH, HEIGHT = 176, 132
SHADES = (160, 95, 150, 85, 165, 100)  # medians of the backgrounds of successive shots
COLOURS = ((230, 30, 30), (30, 60, 230), (20, 200, 40))  # one for each person
SIZE = 28  # side of a face in pixels
TOY_MODELS = ["--detector", "toy", "--embedder", "toy"]


class ToyDetector:
    """Detects patches of saturated colour."""

    card = ModelCard("toy", "toy-detector.none", "d" * 64, "none")
    batch_size = 4
    least_area = 300  # pixels

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Image) -> Detections:
        colourful = (frame.max(2).astype(np.int16) - frame.min(2) > 90).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(colourful, connectivity=4)
        x, y, w, h, area = stats[1:][stats[1:, cv2.CC_STAT_AREA] >= self.least_area].T.astype(np.float32)
        boxes = np.stack([x, y, x + w, y + h], 1)
        places = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
        keypoints = boxes[:, None, :2] + places * np.stack([w, h], 1)[:, None]
        return Detections(boxes, np.minimum(area / 2000, 1).astype(np.float32), keypoints)


class ToyEmbedder:
    """Embeds a face as its pixels at 4 x 4."""

    card = ModelCard("toy", "toy-embedder.none", "e" * 64, "none")
    dimension = 48
    same_person = 0.5
    verification_threshold = 0.4

    def crop(self, frame: Image, box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Image:
        x1, y1, x2, y2 = box.astype(int)
        small: Image = cv2.resize(frame[y1:y2, x1:x2], (4, 4), interpolation=cv2.INTER_AREA)
        return small

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        vectors = [normalize_rows(crop.astype(np.float32).reshape(1, -1) + 1) for crop in crops]
        return np.concatenate([np.empty((0, self.dimension), np.float32), *vectors])


def _card(spec: str, role: str | None = None) -> ModelCard:
    return ToyDetector.card if role == "detector" else ToyEmbedder.card


@contextmanager
def toy_models(loaded: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Make the stages use the toy models; `loaded` is called when the detector is loaded."""

    def detector(spec: str, **settings: Any) -> ToyDetector:
        loaded()
        return ToyDetector()

    entry = models._Entry("toy", "ToyDetector", threshold=0.1)
    with (
        mock.patch.object(models, "load_detector", detector),
        mock.patch.object(models, "load_embedder", lambda spec, **settings: ToyEmbedder()),
        mock.patch.object(models, "check_device", lambda *names: None),
        mock.patch.object(facerec.extraction.planning, "card_of", _card),
        mock.patch.dict(models.DETECTORS, {"toy": entry}),  # type: ignore[arg-type]
    ):
        yield


@cache
def _pattern(shot: int, width: int, height: int) -> NDArray[np.float64]:
    """Return grey levels (height, width) about the shade of a shot, unlike those of other shots."""
    coarse = np.random.default_rng(shot).uniform(-1, 1, (3, 4)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float64)
    picture -= np.median(picture)
    return SHADES[shot % len(SHADES)] + 60 * picture


@dataclass(frozen=True)
class Story:
    """The contents of a synthetic film.

    Attributes:
        frames: number of frames.
        cuts: first frame of each shot but the first.
        dissolves: (first, last) frames over which one shot fades into the next.
        unseen: frames without faces.
        film: further arguments of `make_film`.
    """

    frames: int
    cuts: tuple[int, ...] = ()
    dissolves: tuple[tuple[int, int], ...] = ()
    unseen: frozenset[int] = frozenset()
    film: dict[str, Any] = field(default_factory=dict)

    def draw(self, number: int, width: int, height: int) -> Image:
        y, x = np.mgrid[0:height, 0:width]
        shade = self._background(number, width, height) + 8 * np.sin(x / 9 + number / 5) + 6 * np.cos(y / 7)
        image = np.repeat(shade.clip(0, 255).astype(np.uint8)[..., None], 3, 2)
        shot = sum(number >= cut for cut in self.cuts)
        for person in range(1 + shot % len(COLOURS)) if number not in self.unseen else ():
            left = 10 + 50 * person + abs(number % 40 - 20)
            top = 12 + 30 * person + abs((number + 7 * person) % 30 - 15)
            image[top : top + SIZE, left : left + SIZE] = COLOURS[(person + shot) % len(COLOURS)]
        return image

    def _background(self, number: int, width: int, height: int) -> NDArray[np.float64]:
        """Return the background of a frame: each shot has a pattern of its own."""
        steps = [(cut, cut) for cut in self.cuts] + list(self.dissolves)
        shade = _pattern(0, width, height)
        for shot, (first, last) in enumerate(sorted(steps), 1):
            share = min(1.0, max(0.0, (number - first + 1) / (last - first + 1)))
            shade = shade + (_pattern(shot, width, height) - shade) * share
        return shade

    def make(self, path: Path) -> Path:
        options = {"width": WIDTH, "height": HEIGHT, "draw": self.draw, **self.film}
        return make_film(path, self.frames, **options)


def run_extract(film: Path, out: Path, n: int, *more: str, shards: str | None = None) -> MovieFolder:
    """Run `extract.py` with the toy models for `shards` (default: all) of `n`; returns the movie folder."""
    words = [
        "--shard",
        shards or f"0-{n - 1}",
        "--n",
        str(n),
        "--out",
        str(out),
        *TOY_MODELS,
        *more,
        str(film),
    ]
    with toy_models(), mock.patch("os.fsync"):  # syncing is slow, and no test here cuts the power
        assert extract.main(words) == 0
    return MovieFolder.of_film(out, film)


def run_merge(folder: MovieFolder, *more: str) -> MovieFolder:
    """Run `merge_shards.py`; returns the folder."""
    with mock.patch("os.fsync"):
        assert merge_shards.main(["--path", str(folder.path), *more]) == 0
    return folder


def make_cast(folder: Path) -> Path:
    """Write an actor database with one picture of each of the first two people."""
    folder.mkdir(parents=True)
    database = ActorDatabase(folder)
    people = {f"actor{i}": np.full((4, 4, 3), colour, np.uint8) for i, colour in enumerate(COLOURS[:2])}
    rows = [f"{MOVIE},Film,1999,{actor},Name,role,1970,Rome" for actor in people]
    database.actors.write_text("\n".join([",".join(ACTOR_COLUMNS), *rows]) + "\n")
    rows = [f"{actor},{MOVIE},{actor}.jpg,1" for actor in people]
    database.images.write_text("\n".join(["actor_id,movie_id,filename,n_detections", *rows]) + "\n")
    vectors = ToyEmbedder().embed(list(people.values())).tolist()
    lines = [
        json.dumps({"image": f"{actor}.jpg", "n": 1, "faces": [{"vector": vector}]})
        for actor, vector in zip(people, vectors, strict=True)
    ]
    database.embeddings.write_text("\n".join(lines) + "\n")
    embedder = {**asdict(ToyEmbedder.card), "dimension": ToyEmbedder.dimension, "same_person": 0.5}
    database.embeddings_meta.write_text(json.dumps({"embedder": embedder}))
    return folder


def run_naming(folder: MovieFolder, cast: Path, *more: str) -> MovieFolder:
    """Run `cluster.py` and `classify_knn.py` on a merged folder, and `check.py`; returns the folder."""
    with mock.patch("os.fsync"):
        assert cluster.main(["--path", str(folder.path), *more]) == 0
        assert classify_knn.main(["--path", str(folder.path), "--actor-db", str(cast), *more]) == 0
    assert check.main([str(folder.path)]) == 0
    return folder


def contents(folder: MovieFolder) -> dict[str, bytes]:
    """Return every file of the folder by name, without times, host names and the film's."""
    found = {}
    for path in sorted(folder.path.rglob("*")):
        if (path.is_dir() and not path.name.endswith(".part")) or path == folder.film_hash:
            continue
        name = folder.relative(path)
        found[name] = b"" if path.is_dir() else path.read_bytes()
        if path.parent.name == "done" or path == folder.manifest:
            with suppress(json.JSONDecodeError):  # a damaged file is returned as it is
                found[name] = json.dumps(_without_times(json.loads(found[name])), sort_keys=True).encode()
    return found


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        dropped = ("made_at", "seconds", "stage_seconds", "host", "history")
        return {key: _without_times(entry) for key, entry in value.items() if key not in dropped}
    return [_without_times(entry) for entry in value] if isinstance(value, list) else value


def results(folder: MovieFolder) -> dict[str, bytes]:
    """Return the results of the stages after extraction: the top-level files and the thumbnails."""
    recorded = PIPELINE.recorded
    files = [path for stage in recorded for path in outputs_of(folder, stage.name) if path.exists()]
    return {path.name: path.read_bytes() for path in (*files, *folder.images.iterdir())}
