"""Persons of a shot: their boxes, tracks, embeddings and pictures.

Two models: a detector (`yolox` or `faster_rcnn`) and an embedder (`osnet` or `reid_resnet50`), named as in
`person:yolox:FILE+osnet:FILE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.features.base import EMBEDDINGS, FRAMES, PICTURES, TRACKS, Arrays, Clip, Options, join_tracks
from facerec.features.person_boxes import PersonDetector, PersonEmbedder, crop, shrink
from facerec.features.person_finder import FoundPersons, PersonFinder
from facerec.features.person_models import load_person_detector, load_person_embedder
from facerec.features.person_tracks import DROPPED, PersonSettings, person_settings
from facerec.features.pictures import check_picture
from facerec.features.spool import Spool
from facerec.geometry import Image
from facerec.models.device import Placement
from facerec.models.weights import WeightFiles

BOXES = "boxes"  # name of an array (n, 5) float32
PICTURE_SIDE = 256  # pixels; longer side of a picture, larger ones are shrunk
JPEG_QUALITY = 85
_ROWS = 256  # per block


class Person:
    """Finds, follows and embeds persons; a `FrameExtractor`.

    Rows are boxes in order of frame, best score first: `boxes` x1, y1, x2, y2 in pixels of the displayed
    frame, and score; `frames`, `tracks`, `embeddings` (not normalised) and `pictures` (JPEG).

    Args:
        files: weights of the detector and of the embedder.
        placement: device and precision of the models that have a choice, frames for one call of the detector.
        options: `step` and `threshold`, see `PersonSettings`.

    Raises:
        ModelError: a file is not the weights of its model, or an option is not valid.
    """

    name = "person"
    arrays = (FRAMES, BOXES, TRACKS, EMBEDDINGS, PICTURES)

    def __init__(self, files: Sequence[WeightFiles], placement: Placement, options: Options) -> None:
        self.cards = tuple(file.card for file in files)
        self._settings = person_settings(self.name, options)
        weak = self._settings.threshold * self._settings.weak
        self.detector = load_person_detector(files[0], placement, weak)
        self.embedder = load_person_embedder(files[1], placement)
        self.settings = {
            **asdict(self._settings),
            "max_distance": self.embedder.max_distance,
            "precision": placement.precision,
        }

    def detect(self, picture: Image, threshold: float | None = None) -> NDArray[np.float32]:
        """Find the persons in a picture (height, width, 3) RGB uint8.

        Args:
            threshold: minimum score; None: that of a track.

        Returns:
            (n, 5) float32 x1, y1, x2, y2 in pixels, and score; best score first.
        """
        check_picture(picture)
        boxes = self.detector.detect([picture])[0]
        minimum = self._settings.threshold if threshold is None else threshold
        return boxes[boxes[:, 4] >= np.float32(minimum)]

    def crop(self, picture: Image, boxes: NDArray[np.floating[Any]]) -> list[Image]:
        """Cut the persons with `boxes` (n, 4 or 5) out of a picture."""
        check_picture(picture)
        return crop(picture, boxes)

    def extract(self, *pictures: Image) -> NDArray[np.float32]:
        """Embed pictures of one person each, of any size; (n, d) float32, not normalised."""
        for picture in pictures:
            check_picture(picture)
        return self.embedder.embed(pictures)

    def open(self, clip: Clip) -> PersonRun:
        """Begin a shot."""
        return PersonRun(self.detector, self.embedder, self._settings, len(clip))

    def join(self, parts: Iterable[tuple[int, Iterable[Arrays]]]) -> Iterator[Arrays]:
        """Join the results of the shots of a film."""
        return join_tracks(parts)


class PersonRun:
    """The persons of one shot; a `FrameRun`."""

    padded = False

    def __init__(
        self, detector: PersonDetector, embedder: PersonEmbedder, settings: PersonSettings, length: int
    ) -> None:
        self._dimension, self._step, self._length = embedder.dimension, settings.step, length
        self._finder = PersonFinder(detector, embedder, settings)
        self._frames: list[NDArray[np.int64]] = []
        self._boxes: list[NDArray[np.float32]] = []
        self._embeddings, self._pictures = Spool(), Spool()

    def frames(self) -> Iterator[int]:
        """Yield every `step`-th frame."""
        yield from range(0, self._length, self._step)

    def push(self, frame: int, picture: Image) -> None:
        """Take a frame; persons are detected when there are enough for the detector."""
        self._store(self._finder.push(frame, picture))

    def finish(self) -> Iterator[Arrays]:
        """Link the persons; yield blocks of rows."""
        self._store(self._finder.flush())
        tracks = self._finder.finish()
        frames = np.concatenate([np.empty(0, np.int64), *self._frames])
        boxes = np.concatenate([np.empty((0, 5), np.float32), *self._boxes])
        kept = np.flatnonzero(tracks != DROPPED)
        for beg in range(0, max(len(kept), 1), _ROWS):
            rows = kept[beg : beg + _ROWS]
            yield {
                FRAMES: frames[rows],
                BOXES: boxes[rows],
                TRACKS: tracks[rows],
                EMBEDDINGS: np.frombuffer(b"".join(self._embeddings.read(rows.tolist())), np.float32).reshape(
                    -1, self._dimension
                ),
                PICTURES: _objects(list(self._pictures.read(rows.tolist()))),
            }
        self._embeddings.close()
        self._pictures.close()

    def _store(self, found: Sequence[FoundPersons]) -> None:
        for persons in found:
            self._frames.append(np.full(len(persons.boxes), persons.frame, np.int64))
            self._boxes.append(persons.boxes)
            for vector in persons.embeddings:
                self._embeddings.append(vector.tobytes())
            for picture in persons.pictures:
                self._pictures.append(encode(shrink(picture, PICTURE_SIDE)))


def encode(picture: Image) -> bytes:
    """Return a picture as a JPEG.

    Raises:
        RuntimeError: OpenCV cannot compress it.
    """
    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    encoded, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise RuntimeError(f"OpenCV could not compress a picture of shape {picture.shape}")
    return bytes(jpeg)


def _objects(items: Sequence[bytes]) -> NDArray[np.object_]:
    """Return an array (n,) of `items`; NumPy's own conversion would cut zero bytes at their ends."""
    array = np.empty(len(items), object)
    array[:] = items
    return array
