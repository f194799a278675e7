"""Actions of the persons of a shot: SlowFast 8x8 R50 with a head for boxes, trained on AVA 2.2.

C. Feichtenhofer, H. Fan, J. Malik, K. He, "SlowFast networks for video recognition" (ICCV 2019). The persons
are found and followed by the two models of `person`: `action:FILE+yolox:FILE+osnet:FILE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL.Image import Resampling

from facerec.errors import ModelError
from facerec.features.action_run import SCORES, ActionRun
from facerec.features.action_sequences import LENGTH, SAMPLES, STRIDE, samples
from facerec.features.base import FEATURES, FRAMES, TRACKS, Arrays, Clip, Options, join_tracks
from facerec.features.person import BOXES
from facerec.features.person_boxes import PersonDetector, PersonEmbedder
from facerec.features.person_finder import PersonFinder
from facerec.features.person_models import load_person_detector, load_person_embedder
from facerec.features.person_tracks import person_settings
from facerec.features.pictures import check_picture, resize_shorter_side
from facerec.features.slowfast_network import ACTIONS, DIMENSION, MEAN, STD, SlowFastRoI, load_slowfast_roi
from facerec.features.window_network import WindowNetwork
from facerec.geometry import Image
from facerec.models.device import Placement
from facerec.models.weights import WeightFiles

SIZE = 256  # pixels; shorter side of a frame

# 32 prepared frames, and boxes (n, 4) as parts of them
PreparedWindow = tuple[Sequence[NDArray[Any]], NDArray[np.float32]]


class Action:
    """Features and action scores of the persons of a shot; a `FrameExtractor`.

    A row is a track of a person. `features` (2304) and `scores` (80), of AVA's actions 1 to 80, 0..1, are
    averages over the sequences (`action_sequences`) that have the person in their middle; `frames` and
    `boxes` are the first of these middle frames and the person's box there, in pixels, with its score.
    `tracks` has the numbers that `person` gives the tracks of this shot. A track that is not in the middle of
    any sequence has no row.

    Args:
        files: weights of the network, and of the detector and the embedder of persons; without the last two
            there is `extract`, but not `open`.
        placement: device and precision; sequences in a batch.
        options: `step` and `threshold`, see `PersonSettings`.

    Raises:
        ModelError: a file is not the weights of its model, or an option is not valid.
    """

    name = "action"
    arrays = (FRAMES, BOXES, TRACKS, FEATURES, SCORES)

    def __init__(self, files: Sequence[WeightFiles], placement: Placement, options: Options) -> None:
        self.cards = tuple(file.card for file in files)
        self._persons = person_settings(self.name, options)
        if self._persons.step > LENGTH:
            raise ModelError(f"the step of {self.name} must be at most {LENGTH} frames")
        mean, std = ((value * 255,) * 3 for value in (MEAN, STD))
        self._roi: SlowFastRoI = load_slowfast_roi(files[0].paths[0])
        self._network = WindowNetwork(self._roi, self.cards[0], placement, 4, mean, std)
        self._roi.detection_head.float()  # its boxes need the precision
        self.batch_size = self._network.batch_size
        self._models: tuple[PersonDetector, PersonEmbedder] | None = None
        self.settings: dict[str, Any] = {
            "sequence": LENGTH,
            "window": SAMPLES,
            "stride": STRIDE,
            "shorter_side": SIZE,
            "precision": placement.precision,
            **asdict(self._persons),
        }
        if len(files) == 3:
            weak = self._persons.threshold * self._persons.weak
            detector = load_person_detector(files[1], placement, weak)
            embedder = load_person_embedder(files[2], placement)
            self._models = detector, embedder
            self.settings["max_distance"] = embedder.max_distance

    def open(self, clip: Clip) -> ActionRun:
        """Begin a shot.

        Raises:
            ModelError: there are no models for persons.
        """
        if self._models is None:
            raise ModelError(
                "action has no models to find persons with; give them too, "
                "as in action:FILE+yolox:FILE+osnet:FILE, or run `make models MODELS='yolox osnet'`"
            )
        return ActionRun(self, PersonFinder(*self._models, self._persons), self._persons.step, len(clip))

    def join(self, parts: Iterable[tuple[int, Iterable[Arrays]]]) -> Iterator[Arrays]:
        """Join the results of the shots of a film."""
        return join_tracks(parts)

    def extract(self, frames: Sequence[Image], boxes: ArrayLike) -> Arrays:
        """Compute features and scores of persons who are in the middle frame of a few frames.

        Args:
            frames: pictures (height, width, 3) RGB uint8 of one size; 32 are taken, every second one around
                the middle. Where there are too few, the first and the last one are repeated.
            boxes: (n, 4) x1, y1, x2, y2 as parts of the frame, 0..1.

        Returns:
            `features` (n, 2304) and `scores` (n, 80), of AVA's actions 1 to 80, 0..1.

        Raises:
            ModelError: there are no frames, or a box is not valid.
            NonFiniteError: the network returned NaN or an infinite number.
        """
        parts = _check_boxes(boxes)
        if not len(frames):
            raise ModelError("action needs at least one frame")
        for frame in frames:
            check_picture(frame)
        if not len(parts):
            shapes = {FEATURES: (0, DIMENSION), SCORES: (0, ACTIONS)}
            return {name: np.empty(shape, np.float32) for name, shape in shapes.items()}
        numbers = samples(0, len(frames))
        prepared = {number: self.prepare(frames[number]) for number in set(numbers)}
        return self.forward([([prepared[number] for number in numbers], parts)])[0]

    def prepare(self, picture: Image) -> NDArray[Any]:
        """Resize a frame's shorter side to 256 pixels."""
        return resize_shorter_side(picture, SIZE, Resampling.BILINEAR)

    def forward(self, windows: Sequence[PreparedWindow]) -> list[Arrays]:
        """Compute features and scores of the boxes of windows of 32 prepared frames, all of one size.

        Returns:
            For each window `features` (n, 2304) and `scores` (n, 80).

        Raises:
            NonFiniteError: the network returned NaN or an infinite number.
        """
        return self._network.map_batches(self._forward, windows)

    def _forward(self, windows: Sequence[PreparedWindow]) -> list[Arrays]:
        """Compute one batch."""
        pictures = np.stack([np.stack(frames) for frames, _ in windows])
        height, width = pictures.shape[2:4]
        size = np.array([width, height] * 2, np.float32)
        counts = [len(boxes) for _, boxes in windows]
        owners = np.repeat(np.arange(len(windows), dtype=np.float32), counts)
        boxes = np.concatenate([boxes for _, boxes in windows]) * size
        rois = torch.from_numpy(np.column_stack([owners, boxes]))
        arrays = self._network.compute(
            pictures, (FEATURES, SCORES), lambda batch: self._roi(batch, rois.to(batch.device))
        )
        ends = np.cumsum(counts)[:-1]
        features, scores = (np.split(arrays[name], ends) for name in (FEATURES, SCORES))
        return [{FEATURES: one, SCORES: other} for one, other in zip(features, scores, strict=True)]


def _check_boxes(boxes: ArrayLike) -> NDArray[np.float32]:
    """Return boxes as (n, 4) float32; raise ModelError unless they are parts of a frame."""
    array = np.asarray(boxes, np.float32)
    if array.size == 0:
        return np.empty((0, 4), np.float32)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ModelError(f"boxes must have the shape (n, 4), not {array.shape}")
    valid = (array >= 0).all(axis=1) & (array <= 1).all(axis=1) & (array[:, 2:] > array[:, :2]).all(axis=1)
    if not valid.all():
        first = array[np.flatnonzero(~valid)[0]].tolist()
        raise ModelError(f"a box must be x1, y1, x2, y2 in parts of the frame, 0 to 1, not {first}")
    return array
