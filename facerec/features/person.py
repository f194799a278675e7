"""Persons of a shot: their boxes, tracks, embeddings and pictures.

Two models: a detector (`yolox` or `faster_rcnn`) and an embedder (`osnet` or `reid_resnet50`), named as in
`person:yolox:FILE+osnet:FILE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError
from facerec.features.base import EMBEDDINGS, FRAMES, PICTURES, TRACKS, Arrays, Clip, Options, join_tracks
from facerec.features.person_boxes import PersonDetector, PersonEmbedder, crop, shrink
from facerec.features.person_models import load_person_detector, load_person_embedder
from facerec.features.person_tracks import DROPPED, PersonLinker, PersonSettings
from facerec.features.spool import Spool
from facerec.geometry import Image
from facerec.models.device import Placement
from facerec.models.finite import run_model
from facerec.models.weights import WeightFiles

BOXES = "boxes"  # name of an array (n, 5) float32
PICTURE_SIDE = 256  # pixels; longer side of a picture, larger ones are shrunk
JPEG_QUALITY = 85
_ROWS = 256  # in a block


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
        self._settings = PersonSettings()
        if options.step is not None:
            self._settings = replace(self._settings, step=options.step)
        if options.threshold is not None:
            self._settings = replace(self._settings, threshold=options.threshold)
        if self._settings.step < 1:
            raise ModelError(f"the step of person must be at least 1 frame, not {self._settings.step}")
        if not 0 < self._settings.threshold < 1:
            raise ModelError(
                f"the threshold of person must be between 0 and 1, not {self._settings.threshold}"
            )
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
        boxes = self.detector.detect([picture])[0]
        minimum = self._settings.threshold if threshold is None else threshold
        return boxes[boxes[:, 4] >= np.float32(minimum)]

    def crop(self, picture: Image, boxes: NDArray[np.floating[Any]]) -> list[Image]:
        """Cut the persons with `boxes` (n, 4 or 5) out of a picture."""
        return crop(picture, boxes)

    def extract(self, *pictures: Image) -> NDArray[np.float32]:
        """Embed pictures of one person each, of any size; (n, d) float32, not normalised."""
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
        self._detector, self._embedder = detector, embedder
        self._step, self._length = settings.step, length
        self._linker = PersonLinker(settings, embedder.max_distance)
        self._waiting: list[tuple[int, Image]] = []
        self._frames: list[NDArray[np.int64]] = []
        self._boxes: list[NDArray[np.float32]] = []
        self._embeddings, self._pictures = Spool(), Spool()

    def frames(self) -> Iterator[int]:
        """Yield every `step`-th frame."""
        yield from range(0, self._length, self._step)

    def push(self, frame: int, picture: Image) -> None:
        """Take a frame; persons are detected when there are enough for the detector."""
        self._waiting.append((frame, picture))
        if len(self._waiting) >= self._detector.batch_size:
            self._detect()

    def finish(self) -> Iterator[Arrays]:
        """Link the persons; yield blocks of rows."""
        self._detect()
        tracks = self._linker.finish()
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
                    -1, self._embedder.dimension
                ),
                PICTURES: _objects(list(self._pictures.read(rows.tolist()))),
            }
        self._embeddings.close()
        self._pictures.close()

    def _detect(self) -> None:
        """Detect, embed and store the persons of the frames that wait."""
        frames, pictures = [frame for frame, _ in self._waiting], [picture for _, picture in self._waiting]
        self._waiting = []
        if not frames:
            return
        found = run_model(self._detector.detect, pictures, frames)
        persons = [crop(picture, boxes) for picture, boxes in zip(pictures, found, strict=True)]
        numbers = [frame for frame, part in zip(frames, persons, strict=True) for _ in part]
        together = [person for part in persons for person in part]
        embeddings = run_model(self._embedder.embed, together, numbers)
        ends = np.cumsum([len(part) for part in persons])[:-1]
        for frame, boxes, vectors in zip(frames, found, np.split(embeddings, ends), strict=True):
            self._frames.append(np.full(len(boxes), frame, np.int64))
            self._boxes.append(boxes)
            self._linker.add(boxes, vectors)
            for vector in vectors:
                self._embeddings.append(vector.tobytes())
        for person in together:
            self._pictures.append(encode(shrink(person, PICTURE_SIDE)))


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
