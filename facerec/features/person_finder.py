"""Detects and embeds the persons of the sampled frames of a shot, in batches, and links them into tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.features.person_boxes import PersonDetector, PersonEmbedder, crop
from facerec.features.person_tracks import PersonLinker, PersonSettings
from facerec.geometry import Image
from facerec.models.finite import run_model


@dataclass(frozen=True, eq=False)
class FoundPersons:
    """The persons of a frame.

    Attributes:
        frame: its number in the shot.
        boxes: (n, 5) float32 x1, y1, x2, y2 in pixels, score; best score first.
        embeddings: (n, d) float32, not normalised.
        pictures: cut out of the frame.
    """

    frame: int
    boxes: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    pictures: list[Image]


class PersonFinder:
    """Finds and follows the persons of one shot."""

    def __init__(self, detector: PersonDetector, embedder: PersonEmbedder, settings: PersonSettings) -> None:
        self._detector, self._embedder = detector, embedder
        self._linker = PersonLinker(settings, embedder.max_distance)
        self._waiting: list[tuple[int, Image]] = []

    def push(self, frame: int, picture: Image) -> list[FoundPersons]:
        """Take the next sampled frame.

        Returns:
            The persons of all frames that wait, when there are enough for the detector.

        Raises:
            NonFiniteError: a network returned NaN or an infinite number; the message names the frame.
        """
        self._waiting.append((frame, picture))
        return self.flush() if len(self._waiting) >= self._detector.batch_size else []

    def flush(self) -> list[FoundPersons]:
        """Find the persons of the frames that wait; otherwise like `push`."""
        frames, pictures = [frame for frame, _ in self._waiting], [picture for _, picture in self._waiting]
        self._waiting = []
        if not frames:
            return []
        boxes = run_model(self._detector.detect, pictures, frames)
        persons = [crop(picture, part) for picture, part in zip(pictures, boxes, strict=True)]
        numbers = [frame for frame, part in zip(frames, persons, strict=True) for _ in part]
        embeddings = run_model(self._embedder.embed, [person for part in persons for person in part], numbers)
        vectors = np.split(embeddings, np.cumsum([len(part) for part in persons])[:-1])
        found = [FoundPersons(*parts) for parts in zip(frames, boxes, vectors, persons, strict=True)]
        for one in found:
            self._linker.add(one.boxes, one.embeddings)
        return found

    def finish(self) -> NDArray[np.int64]:
        """Return the track of each person found, in order, or `DROPPED`; called after `flush`."""
        return self._linker.finish()
