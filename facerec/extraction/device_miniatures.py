"""Decide which frames of a shard get their miniatures from the device that detects faces in them."""

from __future__ import annotations

import logging

import numpy as np

from facerec.geometry import MINIATURE_BYTES
from facerec.models.base import BatchDetector, ReducingDetector
from facerec.pixels import FrameBatch, Reduction, YuvTables
from facerec.video.decoded_frame import DecodedFrame
from facerec.video.miniature import pixels_of
from facerec.video.reduction import chroma_position, example, reduction_of


class DeviceMiniatures:
    """Finds how the device makes miniatures, once for each colour description of a shard's frames.

    The description includes the position of the chroma samples, which new headers can change.

    A device makes miniatures only after those of the first such frame and of an example had the bytes of
    FFmpeg: the first frame of a film is often black, which nearly any arithmetic gets right.

    Args:
        detector: None if it runs on the CPU.
    """

    def __init__(self, detector: BatchDetector | None) -> None:
        self._detector = detector if isinstance(detector, ReducingDetector) else None
        self._positions: dict[bytes, bytes] = {}  # of chroma samples, by the header of the frames
        self._same: dict[tuple[YuvTables, Reduction | None], bool] = {}

    def reduction_for(self, decoded: DecodedFrame, yuv: YuvTables | None) -> Reduction | None:
        """Return how the device makes the miniature of a frame; None if the host is to make it.

        The first call for each colour description waits for the device. No other thread may convert the
        frame meanwhile. The same object is returned for the same description.

        Args:
            yuv: of the frame; None if the device does not get its planes.
        """
        if yuv is None or self._detector is None:
            return None
        reduction = reduction_of(decoded.picture, self._position(decoded))
        if (yuv, reduction) not in self._same:
            same = reduction is not None and _same_bytes(self._detector, decoded, yuv, reduction)
            if not same:
                logging.warning(
                    "%s: frame %d: the device's miniatures are not those of FFmpeg on this machine; the CPU "
                    "makes them, which takes more of its time and changes no result",
                    decoded.film.path,
                    decoded.number,
                )
            self._same[yuv, reduction] = same
        return reduction if self._same[yuv, reduction] else None

    def _position(self, decoded: DecodedFrame) -> bytes:
        """Return the position of a frame's chroma samples; looked for in one frame of each known header."""
        header = decoded.header
        if header is None:
            return chroma_position(decoded.picture)
        if header not in self._positions:
            self._positions[header] = chroma_position(decoded.picture)
        return self._positions[header]


def _same_bytes(
    detector: ReducingDetector, decoded: DecodedFrame, yuv: YuvTables, reduction: Reduction
) -> bool:
    """Return whether the device makes the miniatures of the host of a frame and of an example."""
    made_up = example(decoded.picture)
    planes = np.empty((2, *made_up.planes.shape), np.uint8)
    decoded.copy_planes(planes[0])
    planes[1] = made_up.planes
    found = np.empty((2, MINIATURE_BYTES), np.uint8)
    height, width = decoded.film.display_height, decoded.film.display_width
    detector.reduce(FrameBatch(planes, height, width, yuv, reduction, found))
    return np.array_equal(found, [pixels_of(decoded.reduced()), made_up.miniature])
