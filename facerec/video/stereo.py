"""Recognise films of 3D that have both eyes' pictures in one frame, in which every person is seen twice."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image
from facerec.video.film import Film, read_frames
from facerec.video.seeking import frames_around

SIDE_BY_SIDE, TOP_BOTTOM = "side by side", "one above the other"
_BY_TYPE = {1: SIDE_BY_SIDE, 2: TOP_BOTTOM, 5: SIDE_BY_SIDE}  # FFmpeg's enum AVStereo3DType
_BY_NAME = {
    SIDE_BY_SIDE: re.compile(r"(?<![a-z])(h|half|full|f)?[-_. ]?sbs(?![a-z])", re.IGNORECASE),
    TOP_BOTTOM: re.compile(
        r"(?<![a-z])((h|half|full)[-_. ]?(ou|tab|tb)|3d[-_. ](ou|tab))(?![a-z])", re.IGNORECASE
    ),
}
_SAMPLES, _LEAST = 8, 5  # frames compared, and those that must have contents
_CONTRAST = 12.0  # standard deviation in grey levels of a frame that has contents
_ALIKE, _OTHERWISE = 0.93, 0.75  # correlation of the two eyes' pictures; of pictures shifted by a quarter


def stereo_layout(film: Film) -> str | None:
    """Return how the pictures of both eyes lie in the frames; None for an ordinary film.

    The film's own mark decides, then its name, then whether the two halves of its frames are alike.
    """
    first = next((frame for _, frame in frames_around(film.path, film.index, 0, None)), None)
    mark: Any = first.side_data.get("STEREO3D") if first is not None else None
    if mark is not None and len(bytes(mark)) >= 4:
        return _BY_TYPE.get(int(np.frombuffer(bytes(mark), np.int32)[0]))
    for layout, pattern in _BY_NAME.items():
        if pattern.search(film.path.stem):
            return layout
    return _layout_by_contents(film) if film.seekable else None


def _layout_by_contents(film: Film) -> str | None:
    possible = {SIDE_BY_SIDE, TOP_BOTTOM}
    compared = 0
    for k in range(_SAMPLES):
        number = film.frame_count * (2 * k + 1) // (2 * _SAMPLES)
        image = next((image for n, image in read_frames(film, number, number + 1) if n == number), None)
        if image is None or (small := _small_grey(image)).std() < _CONTRAST:
            continue
        compared += 1
        possible -= {SIDE_BY_SIDE} if not _halves_alike(small) else set()
        possible -= {TOP_BOTTOM} if not _halves_alike(small.T) else set()
        if not possible:
            return None
    return possible.pop() if compared >= _LEAST and len(possible) == 1 else None


def _small_grey(image: Image) -> NDArray[np.float32]:
    """Downscale to 64x64, so that the parallax of the two eyes is about a pixel."""
    import cv2

    small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    grey: NDArray[np.float32] = small.mean(axis=2, dtype=np.float32)
    return grey


def _halves_alike(grey: NDArray[np.float32]) -> bool:
    """Return whether the left and the right half are alike, and not only because they have little in them."""
    left, right = grey[:, :32], grey[:, 32:]
    if min(left.std(), right.std()) < _CONTRAST:
        return False
    shifted = max(
        _correlation(left, np.roll(right, shift, axis)) for shift, axis in ((8, 1), (-8, 1), (16, 0))
    )
    return _correlation(left, right) > _ALIKE and shifted < _OTHERWISE


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
