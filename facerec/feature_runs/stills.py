"""Pictures as footage: a single picture, and a folder of frames."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.actors.pictures import read_picture
from facerec.errors import InputError
from facerec.feature_runs.sources import Frame
from facerec.geometry import Image
from facerec.support.text import counted
from facerec.video.film import LONGEST_SIDE

log = logging.getLogger(__name__)

SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".gif", ".avif", ".jp2"]
)  # of files taken for pictures
FRAME_PREFIX = "img_"  # of the frames in a folder that has other pictures too


class Stills:
    """Pictures as the frames of a clip; see `sources.Footage`.

    A picture that cannot be read is replaced by the one before it, else by the one after it.

    Args:
        name: for messages.
        paths: the pictures, in order.
        rate: frames per second.

    Raises:
        InputError: no picture can be read.
    """

    def __init__(self, name: str, paths: list[Path], rate: float) -> None:
        self.name, self._paths = name, paths
        self.times: NDArray[np.float64] = np.arange(len(paths)) / rate
        self.duration = len(paths) / rate
        self.height, self.width = self._nearest(0).shape[:2]

    def frames(self, beg: int, end: int, wanted: NDArray[np.bool_]) -> Iterator[Frame]:
        """Read the frames `[beg, end)` and the one before them; a file is opened only if it is needed."""
        for number in range(max(beg - 1, 0), min(end, len(self._paths))):
            yield number, partial(self._picture, number)

    def sound(self, beg: float, end: float | None, rate: int) -> None:
        """Return None: pictures have no sound."""

    def _picture(self, number: int) -> Image:
        path = self._paths[number]
        try:
            image = _read(path)
        except InputError as error:
            log.warning("%s; replaced by its neighbour", error)
            return self._nearest(number)
        if image.shape[:2] != (self.height, self.width):
            size = f"{image.shape[1]}x{image.shape[0]}"
            raise InputError(f"{path}: has {size} pixels, but the first frame {self.width}x{self.height}")
        return image

    def _nearest(self, number: int) -> Image:
        """Read the last readable picture before `number`, else the first one from there on."""
        reason = ""
        for path in (*reversed(self._paths[:number]), *self._paths[number:]):
            try:
                return _read(path)
            except InputError as error:
                reason = reason or str(error)
        more = (
            f", nor can the other {counted(len(self._paths) - 1, 'picture')}" if len(self._paths) > 1 else ""
        )
        raise InputError(f"{reason}{more}")


def open_picture(path: Path) -> Stills:
    """Open a picture as a clip of one frame, which has no duration.

    Raises:
        InputError: it cannot be read.
    """
    stills = Stills(str(path), [path], 1.0)
    stills.duration = 0.0
    return stills


def open_frame_folder(folder: Path, rate: float) -> Stills:
    """Open a folder of frames, in natural order: `img_*` if there are such pictures, else all pictures.

    Args:
        rate: frames per second.

    Raises:
        InputError: it has no pictures, or none can be read.
    """
    paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
    frames = [path for path in paths if path.name.startswith(FRAME_PREFIX)] or paths
    if not frames:
        raise InputError(f"{folder}: has no frames; they should be pictures named {FRAME_PREFIX}00001.jpg, …")
    return Stills(str(folder), sorted(frames, key=natural_key), rate)


def natural_key(path: Path) -> tuple[object, ...]:
    """Return a key that sorts names by the numbers in them: `img_9` before `img_10`."""
    parts = re.split(r"(\d+)", path.name, flags=re.ASCII)
    return (*((int(part), part) if k % 2 else part for k, part in enumerate(parts)),)


def _read(path: Path) -> Image:
    return read_picture(path, max_side=LONGEST_SIDE)
