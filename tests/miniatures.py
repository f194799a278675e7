"""Invented miniatures: a still picture for each shot."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.folder.miniature_archive import new_miniature_archive
from facerec.geometry import MINIATURE, MINIATURE_BYTES
from facerec.video.miniature import LUMA_BYTES


@cache
def still(shot: int) -> NDArray[np.uint8]:
    """Return the miniature of every frame of a still shot; those of two shots are unlike each other."""
    rng = np.random.default_rng(shot)
    coarse = rng.integers(20, 236, (4, 6)).astype(np.float32)
    picture = cv2.resize(coarse, MINIATURE, interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    made = np.full(MINIATURE_BYTES, 128, np.uint8)
    made[:LUMA_BYTES] = picture.ravel()
    return made


def write_stills(path: Path, shots: Iterable[int]) -> None:
    """Write the archive of a shard, given the shot of each of its frames."""
    with new_miniature_archive(path) as add:
        for shot in shots:
            add(still(shot))
