"""Check whether OpenCV's seeking, which the labeling backend uses for full frames, finds the same frames."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image
from facerec.video.container import open_video
from facerec.video.film import Film, read_frames

NEARBY = 2  # frames on each side that are compared with OpenCV's
HDR = {16, 18}  # transfer functions PQ and HLG, by ITU-T H.273
# luma weights of red, green and blue by ITU-R BT.601, BT.709 and BT.2020
LUMA = np.array([[0.299, 0.587, 0.114], [0.2126, 0.7152, 0.0722], [0.2627, 0.678, 0.0593]], np.float32)
MAX_DIFFERENCE = 3.0  # mean grey levels between two decodings of the same frame
MAX_DIFFERENCE_HDR = 10.0  # the same for films of high dynamic range: OpenCV may change their colours


def opencv_seek_mismatches(film: Film, samples: int = 6) -> list[int]:
    """Find frames for which OpenCV, after setting `CAP_PROP_POS_FRAMES`, decodes another frame than we do.

    Compares `samples` frames spread over the film, including the last one. Where neighbouring frames look
    the same, a mismatch is not detected and does not matter.

    Returns:
        Frame numbers, increasing; empty if OpenCV agrees.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # damage is reported elsewhere
    import cv2

    with open_video(film.path) as (_, stream):
        is_hdr = stream.codec_context.color_trc in HDR
    capture = cv2.VideoCapture("file:" + os.path.abspath(film.path), cv2.CAP_FFMPEG)
    try:
        numbers = sorted({(film.frame_count - 1) * (k + 1) // samples for k in range(samples)})
        return [number for number in numbers if _differs(film, capture, number, is_hdr)]
    finally:
        capture.release()


def opencv_decodes(film: Film) -> bool:
    """Return whether OpenCV decodes the first frame; its builds may lack a decoder, often that of AV1."""
    import cv2

    capture = cv2.VideoCapture("file:" + os.path.abspath(film.path), cv2.CAP_FFMPEG)
    try:
        return bool(capture.isOpened() and capture.read()[0])
    finally:
        capture.release()


def video_codec(film: Film) -> str:
    """Return the name of the codec of a film's video, as `av1`."""
    with open_video(film.path) as (_, stream):
        return str(stream.codec_context.codec.canonical_name)


def _differs(film: Film, capture: object, number: int, is_hdr: bool) -> bool:
    import cv2

    nearby = dict(read_frames(film, max(0, number - NEARBY), number + NEARBY + 1))
    if number not in nearby:  # cannot be decoded, so it is never requested
        return False
    capture.set(cv2.CAP_PROP_POS_FRAMES, number)  # type: ignore[attr-defined]
    found, bgr = capture.read()  # type: ignore[attr-defined]
    if not found:
        return True
    theirs = _downscale(bgr[..., ::-1])
    difference = _colour_difference if is_hdr else _luma_difference
    distance = {n: difference(_downscale(image), theirs) for n, image in nearby.items()}
    limit = MAX_DIFFERENCE_HDR if is_hdr else MAX_DIFFERENCE
    return distance[number] > limit or min(distance.values()) < distance[number] / 2


def _downscale(image: Image) -> NDArray[np.float32]:
    """Downscale to (144, 256, 3), which suffices to distinguish frames and ignores the pixel aspect ratio."""
    import cv2

    small: Image = cv2.resize(image, (256, 144), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)


def _luma_difference(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Compute the mean difference of luma, in grey levels.

    Luma is recovered from RGB. We convert with the film's own weights; OpenCV uses BT.601's for all films in
    some versions, so the smallest difference over all weights counts.
    """
    a, b = ours @ LUMA.T, theirs @ LUMA.T
    return float(min(np.abs(a - b).mean((0, 1)).min(), np.abs(a - b[..., :1]).mean((0, 1)).min()))


def _colour_difference(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Compute the mean difference, in grey levels, after mapping the colours of `ours` to those of `theirs`.

    Each colour is mapped to the mean grey level that `theirs` has in its place.

    For films of high dynamic range: some versions of OpenCV change all their brightnesses and colours.
    """
    colours = (ours.reshape(-1, 3) / 16).astype(np.int64) @ [256, 16, 1]
    grey = theirs.mean(2).ravel()
    means = np.bincount(colours, grey) / np.maximum(np.bincount(colours), 1)
    return float(np.abs(means[colours] - grey).mean())
