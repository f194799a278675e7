"""Whether OpenCV's seeking, by which the labeling backend shows a full frame, finds our frames."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from facerec.models.base import Image
from facerec.video import Film, read_frames

NEARBY = 2  # frames on each side among which the shown one is looked for
ALIKE = 3.0  # grey levels: two decodings of one frame differ by less on average


def differs_from_opencv(film: Film, samples: int = 6) -> list[int]:
    """Frames for which OpenCV, told to go to `CAP_PROP_POS_FRAMES`, shows another frame than ours.

    Looks at `samples` frames spread over the film, the last one included. Where neighbouring frames
    look alike a difference is neither seen nor does it matter.

    Returns:
        Frame numbers, increasing; empty where OpenCV agrees.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what is wrong with the film is said elsewhere
    import cv2

    capture = cv2.VideoCapture("file:" + os.path.abspath(film.path), cv2.CAP_FFMPEG)
    try:
        wanted = sorted({(film.frame_count - 1) * (k + 1) // samples for k in range(samples)})
        return [number for number in wanted if _differs(film, capture, number)]
    finally:
        capture.release()


def _differs(film: Film, capture: object, number: int) -> bool:
    import cv2

    nearby = dict(read_frames(film, max(0, number - NEARBY), number + NEARBY + 1))
    if number not in nearby:  # cannot be decoded, so it will never be asked for
        return False
    capture.set(cv2.CAP_PROP_POS_FRAMES, number)  # type: ignore[attr-defined]
    found, bgr = capture.read()  # type: ignore[attr-defined]
    if not found:
        return True
    shown = _small(bgr[..., ::-1])
    distance = {n: float(np.abs(_small(image) - shown).mean()) for n, image in nearby.items()}
    nearest = min(distance, key=lambda n: (distance[n], abs(n - number)))
    return distance[number] > ALIKE or (nearest != number and distance[nearest] < distance[number] / 2)


def _small(image: Image) -> NDArray[np.float32]:
    """(72, 128, 3): enough to tell frames apart, whatever pixel aspect each side delivers."""
    import cv2

    small: NDArray[np.float32] = cv2.resize(image, (128, 72), interpolation=cv2.INTER_AREA).astype(np.float32)
    return small
