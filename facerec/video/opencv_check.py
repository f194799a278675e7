"""Whether OpenCV's seeking, by which the labeling backend shows a full frame, finds our frames."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image
from facerec.video.decoding import open_video
from facerec.video.film import Film, read_frames

NEARBY = 2  # frames on each side among which the shown one is looked for
HDR = {16, 18}  # transfer functions PQ and HLG, by ITU-T H.273
# weights of red, green and blue by ITU-R BT.601, BT.709 and BT.2020
LUMA = np.array([[0.299, 0.587, 0.114], [0.2126, 0.7152, 0.0722], [0.2627, 0.678, 0.0593]], np.float32)
ALIKE = 3.0  # grey levels: two decodings of one frame differ by less on average
ALIKE_HDR = 10.0  # the same where colours were changed by a curve each


def opencv_seek_mismatches(film: Film, samples: int = 6) -> list[int]:
    """Frames for which OpenCV, told to go to `CAP_PROP_POS_FRAMES`, shows another frame than ours.

    Looks at `samples` frames spread over the film, the last one included. Where neighbouring frames
    look alike a difference is neither seen nor does it matter.

    Returns:
        Frame numbers, increasing; empty where OpenCV agrees.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what is wrong with the film is said elsewhere
    import cv2

    with open_video(film.path) as (_, stream):
        wide = stream.codec_context.color_trc in HDR
    capture = cv2.VideoCapture("file:" + os.path.abspath(film.path), cv2.CAP_FFMPEG)
    try:
        wanted = sorted({(film.frame_count - 1) * (k + 1) // samples for k in range(samples)})
        return [number for number in wanted if _differs(film, capture, number, wide)]
    finally:
        capture.release()


def _differs(film: Film, capture: object, number: int, wide: bool) -> bool:
    import cv2

    nearby = dict(read_frames(film, max(0, number - NEARBY), number + NEARBY + 1))
    if number not in nearby:  # cannot be decoded, so it will never be asked for
        return False
    capture.set(cv2.CAP_PROP_POS_FRAMES, number)  # type: ignore[attr-defined]
    found, bgr = capture.read()  # type: ignore[attr-defined]
    if not found:
        return True
    shown = _small(bgr[..., ::-1])
    apart = _apart_in_colour if wide else _apart
    distance = {n: apart(_small(image), shown) for n, image in nearby.items()}
    nearest = min(distance, key=lambda n: (distance[n], abs(n - number)))
    alike = ALIKE_HDR if wide else ALIKE
    return distance[number] > alike or (nearest != number and distance[nearest] < distance[number] / 2)


def _small(image: Image) -> NDArray[np.float32]:
    """(144, 256, 3): enough to tell frames apart, whatever pixel aspect each side delivers."""
    import cv2

    small: Image = cv2.resize(image, (256, 144), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)


def _apart(ours: NDArray[np.float32], shown: NDArray[np.float32]) -> float:
    """Mean difference in grey levels of the luma that both sides made colours of.

    Ours are made by the film's own weights; OpenCV takes BT.601's for all films, some versions do not.
    """
    a, b = ours @ LUMA.T, shown @ LUMA.T
    return float(min(np.abs(a - b).mean((0, 1)).min(), np.abs(a - b[..., :1]).mean((0, 1)).min()))


def _apart_in_colour(ours: NDArray[np.float32], shown: NDArray[np.float32]) -> float:
    """Mean difference in grey levels after giving each colour of `ours` the grey that `shown` has there.

    Of a film of high dynamic range some versions of OpenCV change all brightnesses and colours.
    """
    colours = (ours.reshape(-1, 3) / 16).astype(np.int64) @ [256, 16, 1]
    grey = shown.mean(2).ravel()
    means = np.bincount(colours, grey) / np.maximum(np.bincount(colours), 1)
    return float(np.abs(means[colours] - grey).mean())
