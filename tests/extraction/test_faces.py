"""Integer boxes, thumbnails and sharpness of detections."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facerec.extraction.faces import integer_boxes, sharpness
from facerec.folder.thumbnails import THUMBNAIL_SIDE, thumbnail_bytes
from facerec.geometry import Image
from facerec.models.base import Detections
from tests.strategies import boxes

WIDTH, HEIGHT = 320, 180
NOISE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GRAY = np.repeat(NOISE[..., :1], 3, axis=2)
RAMP: Image = np.stack(
    np.broadcast_arrays(np.arange(WIDTH) // 2, np.arange(HEIGHT)[:, None], 128), -1
).astype(np.uint8)


def found(*rows: tuple[float, ...]) -> Detections:
    """Detections of x1, y1, x2, y2, score."""
    made = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(made[:, :4], made[:, 4], np.zeros((len(made), 5, 2), np.float32))


def picture(frame: Image, *box: int) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(thumbnail_bytes(frame, box)))


def kept_boxes(detections: Detections, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes (m, 4) that are kept and the detection (m,) of each."""
    kept = integer_boxes(detections, WIDTH, HEIGHT, least)
    assert all(type(side) is int for box in kept for side in box)
    return np.array([*kept], np.int64).reshape(-1, 4), np.array([*kept.values()], np.int64)


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(0, 12), st.just(4)), elements=st.floats(-50, 400, width=32)),
    st.integers(0, 40),
    st.data(),
)
def test_boxes_are_integers_inside_the_frame_sorted_and_unique(
    raw: np.ndarray, least: int, data: st.DataObject
) -> None:
    scores = data.draw(hnp.arrays(np.float32, len(raw), elements=st.floats(0, 1, width=32)))
    made, kept = kept_boxes(Detections(raw, scores, np.zeros((len(raw), 5, 2), np.float32)), least)
    listed = [tuple(box) for box in made.tolist()]
    assert listed == sorted(set(listed))
    clipped = np.clip(np.rint(raw), 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.int64)
    assert (clipped[kept] == made).all()
    assert ((made[:, 2:] - made[:, :2]).min(1, initial=WIDTH) >= max(1, least)).all()
    large = (clipped[:, 2:] - clipped[:, :2]).min(1, initial=WIDTH) >= max(1, least)
    assert set(listed) == {tuple(box) for box in clipped[large].tolist()}


def test_of_two_detections_with_the_same_box_the_better_is_kept() -> None:
    made, kept = kept_boxes(found((10.2, 10, 50, 50, 0.6), (9.9, 10, 50.4, 50, 0.9)), 1)
    assert (made.tolist(), kept.tolist()) == ([[10, 10, 50, 50]], [1])


def test_a_box_that_leaves_the_frame_is_clipped_and_one_outside_is_dropped() -> None:
    made, kept = kept_boxes(found((-9, -9, 40, 40, 0.9), (300, 10, 350, 60, 0.9), (330, 0, 360, 50, 1)), 20)
    assert made.tolist() == [[0, 0, 40, 40], [300, 10, 320, 60]]
    assert kept.tolist() == [0, 1]


def test_a_frame_without_faces_gives_none() -> None:
    made, kept = kept_boxes(found(), 20)
    assert made.shape == (0, 4) and kept.shape == (0,)


@given(boxes(WIDTH, HEIGHT))
def test_any_thumbnail_is_a_jpeg_within_the_size_limit(box: tuple[int, int, int, int]) -> None:
    shown = picture(NOISE, *box)
    shown.load()
    assert shown.format == "JPEG" and max(shown.size) <= THUMBNAIL_SIDE


def test_a_small_face_is_padded_by_a_tenth_of_its_shorter_side_and_not_enlarged() -> None:
    assert picture(NOISE, 100, 50, 140, 130).size == (40 + 2 * 4, 80 + 2 * 4)


def test_padding_is_clipped_to_the_frame() -> None:
    assert picture(NOISE, 0, 0, 40, 80).size == (44, 84)
    assert picture(NOISE, 280, 100, 320, 180).size == (44, 84)


def test_a_large_face_is_shrunk_in_proportion() -> None:
    assert picture(NOISE, 50, 20, 150, 120).size == (120, 120)
    assert picture(NOISE, 20, 20, 300, 160).size == (160, 87)  # of 308x168 with padding


def test_fine_detail_of_a_large_face_is_averaged() -> None:
    """Points taken at intervals would show stripes that are not there."""
    y, x = np.mgrid[:900, :900]
    checks = np.repeat(((x // 2 + y // 2) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    assert np.asarray(picture(checks, 0, 0, 900, 900)).std() < 20


def test_the_thumbnail_shows_its_box() -> None:
    pixels = np.asarray(picture(RAMP, 200, 60, 280, 140)).astype(int)
    assert abs(pixels[:, 8:88, 0].mean() - 120) < 2 and abs(pixels[8:88, :, 1].mean() - 100) < 2
    assert abs(pixels[..., 2].mean() - 128) < 2


@pytest.mark.parametrize(("frame", "mode"), [(GRAY, "L"), (NOISE, "RGB")])
def test_thumbnails_of_a_gray_film_are_gray(frame: Image, mode: str) -> None:
    assert picture(frame, 100, 50, 140, 130).mode == mode


def test_a_trace_of_colour_from_the_codec_counts_as_gray() -> None:
    trace = GRAY.copy()
    trace[..., 2] = np.clip(trace[..., 2].astype(int) + 1, 0, 255)
    assert picture(trace, 100, 50, 140, 130).mode == "L"


def test_the_same_face_gives_the_same_bytes() -> None:
    box = (50, 20, 250, 160)
    assert thumbnail_bytes(NOISE, box) == thumbnail_bytes(NOISE.copy(), box)


def test_a_blurred_face_is_less_sharp_at_any_size() -> None:
    import cv2

    for box in ((10, 10, 50, 50), (20, 20, 300, 160)):
        blurred = cv2.GaussianBlur(NOISE, (0, 0), 2)
        assert sharpness(NOISE, box) > 4 * sharpness(blurred, box) > 0


def test_a_flat_face_has_no_sharpness() -> None:
    assert sharpness(np.full_like(NOISE, 90), (10, 10, 50, 50)) == 0
