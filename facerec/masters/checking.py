"""Check a film that was made: its number of frames, their pictures, and that OpenCV finds them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.geometry import Image
from facerec.masters.sources import Source
from facerec.support.text import counted
from facerec.video.film import Film, open_film, read_decoded, read_frames
from facerec.video.opencv_check import opencv_decodes, opencv_seek_mismatches

_SAMPLES = 6
_NEARBY = 2  # frames on each side that are compared
_SAME = 1.0  # difference in mean grey levels that is too small to tell two frames apart
_LIMIT = 8.0  # mean grey levels between a frame and what became of it


def check_encoded(path: Path, source: Source) -> Film:
    """Check that a film has the source's frames; raises InputError if not."""
    film = _check_readable(path, source.frame_count)
    last = source.frame_count - 1
    for number in sorted({last * k // (_SAMPLES - 1) for k in range(_SAMPLES)}):
        (wanted,) = source.images(number, number + 1)
        beg, end = max(0, number - _NEARBY), number + _NEARBY + 1
        distance = {n: _distance(image, wanted) for n, image in read_frames(film, beg, end)}
        nearest = min(distance, key=lambda n: (distance[n], abs(n - number)))
        differs = distance.get(number, np.inf)
        if differs > _LIMIT or (differs > _SAME and distance[nearest] < differs / 2):
            raise InputError(f"{path}: frame {number} is not that of the source, but nearer to {nearest}")
    return film


def check_joined(path: Path, count: int, parts: Sequence[Film], begins: Sequence[int]) -> Film:
    """Check that a joined film has `count` frames, and those of the parts at the joints, pixel by pixel.

    Raises:
        InputError: it has not, or OpenCV does not find its frames.
    """
    film = _check_readable(path, count)
    for part, begin in zip(parts, begins, strict=True):
        for number in sorted({0, part.frame_count // 2, part.frame_count - 1}):
            if _checksum(part, number) != _checksum(film, begin + number):
                raise InputError(
                    f"{part.path}: its frame {number} is not frame {begin + number} of the joined film; "
                    "run the command again with --encode"
                )
    return film


def has_constant_rate(film: Film) -> bool:
    """Return whether all frames but the last are shown for the same time, within a millisecond or so."""
    if film.frame_count < 3:
        return True
    steps = np.diff(film.pts) * float(film.time_base)
    return bool(np.ptp(steps) <= max(0.0025, float(film.time_base) * 2))


def _check_readable(path: Path, count: int) -> Film:
    film = open_film(path)
    if film.frame_count != count:
        raise InputError(
            f"{path.name}: has {counted(film.frame_count, 'frame')}, the source {count}; "
            "run the command again with --encode"
        )
    if film.losses:
        raise InputError(f"{path.name}: {film.losses[0]}; run the command again with --encode")
    if not opencv_decodes(film):
        raise InputError(f"{path.name}: OpenCV cannot decode it; run the command again with --encode")
    wrong = opencv_seek_mismatches(film)
    if wrong:
        raise InputError(
            f"{path.name}: the labeling backend would show other frames than {', '.join(map(str, wrong))}, "
            "because OpenCV seeks by a constant frame rate; run the command again with --encode"
        )
    return film


def _distance(one: Image, other: Image) -> float:
    return float(np.abs(_small(one) - _small(other)).mean())


def _small(image: Image) -> NDArray[np.float32]:
    import cv2

    small: Image = cv2.resize(image, (128, 72), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)


def _checksum(film: Film, number: int) -> int:
    for frame in read_decoded(film, number, number + 1):
        if frame.number == number:
            return zlib.crc32(frame.image().tobytes())
    return -1


def duration_text(film: Film, rate: Fraction) -> str:
    """Return how long a film is, as 1:23:45."""
    seconds = int(film.frame_count / rate)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
