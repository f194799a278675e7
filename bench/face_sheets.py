"""Contact sheets of candidates for faces, and of whole frames, to be judged by eye."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from bench.judged_faces import Judged
from facerec.geometry import Image

CROP = 192  # pixels of a crop's side on a sheet
CONTEXT = 2.2  # side of the square that is shown / longer side of the box
LABEL = 16  # pixels of height above a picture, for its number
COLUMNS, ROWS = 6, 5  # of a sheet of crops
FRAME_WIDTH, FRAME_COLUMNS, FRAME_ROWS = 580, 2, 3  # of a sheet of frames; wide frames fill a row
DARK, BRIGHT = (
    100,
    200,
)  # gray level of the brightest pixels, below which a picture is brightened, and to which
MARK = (255, 60, 60)


def crop_sheets(
    numbered: Mapping[int, Judged], frames: Mapping[tuple[int, int], Image]
) -> Iterator[tuple[str, Image]]:
    """Draw the numbered candidates with their surroundings; yield the name of each sheet and its picture."""
    numbers = sorted(numbered)
    for begin in range(0, len(numbers), COLUMNS * ROWS):
        part = numbers[begin : begin + COLUMNS * ROWS]
        cells = [_labelled(f"{n}", _crop(numbered[n], frames)) for n in part]
        yield f"faces-{part[0]:04}-{part[-1]:04}", _grid(cells, COLUMNS)


def frame_sheets(
    numbered: Mapping[int, Judged], frames: Mapping[tuple[int, int], Image]
) -> Iterator[tuple[str, Image]]:
    """Draw every frame with the numbers of its candidates; yield the name of each sheet and its picture."""
    boxes: dict[tuple[int, int], list[tuple[str, Judged]]] = {key: [] for key in frames}
    for number, one in numbered.items():
        boxes[one.key].append((str(number), one))
    for movie in sorted({movie for movie, _ in frames}):
        keys = sorted(key for key in frames if key[0] == movie)
        wide = frames[keys[0]].shape[1] > 2 * FRAME_WIDTH
        columns, rows = (1, 1) if wide else (FRAME_COLUMNS, FRAME_ROWS)
        width = 2 * FRAME_WIDTH if wide else FRAME_WIDTH
        for begin in range(0, len(keys), columns * rows):
            part = keys[begin : begin + columns * rows]
            cells = [_labelled(f"{key[0]} {key[1]}", _marked(frames[key], boxes[key], width)) for key in part]
            yield f"frames-{movie}-{part[0][1]:04}-{part[-1][1]:04}", _grid(cells, columns)


def _crop(one: Judged, frames: Mapping[tuple[int, int], Image]) -> Image:
    """Cut out the square around a candidate, scaled to `CROP` pixels, with the box drawn."""
    frame = frames[one.key]
    box = np.array(one.box, np.float64)
    centre, side = (box[:2] + box[2:]) / 2, CONTEXT * one.size
    scale = CROP / side
    matrix = np.hstack([np.eye(2) * scale, (CROP / 2 - scale * centre)[:, None]])
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    if scale < 1:  # warpAffine does not average
        frame = np.asarray(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=smooth), np.uint8)
        matrix = np.hstack([np.eye(2), (CROP / 2 - scale * centre)[:, None]])
    picture = cv2.warpAffine(frame, matrix, (CROP, CROP), flags=cv2.INTER_CUBIC, borderValue=(0, 0, 0))
    picture = _brightened(np.asarray(picture, np.uint8))
    corners = (CROP / 2 + scale * (box.reshape(2, 2) - centre)).round().astype(int)
    cv2.rectangle(picture, corners[0].tolist(), corners[1].tolist(), MARK, 1)
    return np.asarray(picture, np.uint8)


def _marked(frame: Image, boxes: Sequence[tuple[str, Judged]], width: int) -> Image:
    """Scale a frame to `width` and draw its candidates with their numbers."""
    scale = width / frame.shape[1]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = _brightened(
        np.asarray(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=how), np.uint8)
    )
    for number, one in boxes:
        x1, y1, x2, y2 = (np.array(one.box) * scale).round().astype(int).tolist()
        cv2.rectangle(picture, (x1, y1), (x2, y2), MARK, 1)
        cv2.putText(
            picture, number, (x1, max(9, y1 - 2)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, MARK, 1, cv2.LINE_AA
        )
    return picture


def _brightened(picture: Image) -> Image:
    """Brighten a dark picture, so that faces in the dark can be judged."""
    brightest = float(np.percentile(picture, 95))
    if brightest >= DARK:
        return picture
    return np.asarray(np.minimum(picture * (BRIGHT / max(brightest, 10.0)), 255), np.uint8)


def _labelled(text: str, picture: Image) -> Image:
    """Put a line of text above a picture."""
    band = np.full((LABEL, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(band, text, (3, LABEL - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([band, picture])


def _grid(cells: Sequence[Image], columns: int) -> Image:
    """Arrange pictures of one size in rows."""
    blank = np.full_like(cells[0], 255)
    padded = [*cells, *[blank] * (-len(cells) % columns)]
    return np.vstack([np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)])
