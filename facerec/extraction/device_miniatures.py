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

    The position of chroma samples belongs to it, which may change with the headers of a film, at a key frame.

    A device is only asked for them after it made those of the first such frame, and of an example, byte for
    byte: the first frame of a film is often black, which nearly any arithmetic gets right.

    Args:
        detector: None if it runs on the CPU.
    """

    def __init__(self, detector: BatchDetector | None) -> None:
        self._detector = detector if isinstance(detector, ReducingDetector) else None
        self._found: dict[tuple[YuvTables, bytes], Reduction | None] = {}
        self._position: bytes | None = None  # of the frames since the last key frame

    def look_for_headers(self, decoded: DecodedFrame) -> None:
        """Notice a key frame; called for every frame of the shard, in order, before `reduction_for`."""
        if decoded.picture.key_frame:
            self._position = None

    def reduction_for(self, decoded: DecodedFrame, yuv: YuvTables | None) -> Reduction | None:
        """Return how the device makes the miniature of a frame; None if the host is to make it.

        The first call for each colour description waits for the device. No other thread may convert the
        frame meanwhile. The same object is returned for the same description.

        Args:
            yuv: of the frame; None if the device does not get its planes.
        """
        if yuv is None or self._detector is None:
            return None
        if self._position is None:
            self._position = chroma_position(decoded.picture)
        description = yuv, self._position
        if description not in self._found:
            reduction = reduction_of(decoded.picture)
            if reduction is None or not _same_bytes(self._detector, decoded, yuv, reduction):
                logging.warning(
                    "%s: frame %d: the device's miniatures are not those of FFmpeg on this machine; the CPU "
                    "makes them, which takes more of its time and changes no result",
                    decoded.film.path,
                    decoded.number,
                )
                reduction = None
            self._found[description] = reduction
        return self._found[description]


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
