"""Films of one content at several sizes, for `bench/gpu.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from facerec.geometry import Image

RATE = 24  # frames per second of the films that are written
SHOT = 96  # frames of a shot of the made film


def write_at_size(source: Path | None, path: Path, width: int, height: int, frames: int) -> int:
    """Write a film of a size in H.264, from the middle of `source` or, without one, from photographs.

    Returns:
        The number of frames: at most `frames`, and never the same frame twice.
    """
    made = 0
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in _pictures(source, width, height, frames):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            made += 1
        target.mux(stream.encode(None))
    return made


def _pictures(source: Path | None, width: int, height: int, frames: int) -> Iterator[Image]:
    if source is None:
        yield from photographs(width, height, frames)
        return
    from facerec.video.film import open_film, read_frames

    film = open_film(source)
    begin = max(0, (film.frame_count - frames) // 2)
    for number, image in read_frames(film, begin, begin + frames):
        if number >= begin:
            yield np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def photographs(width: int, height: int, frames: int) -> Iterator[Image]:
    """Yield pictures of a camera that moves over photographs, with noise: no two are the same."""
    from skimage import data

    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    noise = np.random.default_rng(5)
    for number in range(frames):
        picture = pictures[number // SHOT % len(pictures)]
        full_height, full_width = picture.shape[:2]
        zoom = 0.55 + 0.4 * (number % SHOT) / SHOT  # of the picture's width
        crop_width = int(full_width * zoom)
        crop_height = min(full_height, crop_width * height // width)
        x = int((full_width - crop_width) * (0.5 + 0.5 * np.sin(number / 37)))
        y = int((full_height - crop_height) * (0.5 + 0.5 * np.cos(number / 29)))
        part = cv2.resize(picture[y : y + crop_height, x : x + crop_width], (width, height))
        grain = noise.integers(-6, 7, (height // 2, width // 2, 1), np.int16)
        grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_NEAREST)[..., None]
        yield np.clip(part.astype(np.int16) + grain, 0, 255).astype(np.uint8)
