"""Tiles of a frame of any size lose no face and cut none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facerec.models.tiles import tiled

SIDES = st.integers(40, 4000)


@given(SIDES, SIDES, st.sampled_from([(640, 640), (480, 640), (320, 320)]), st.data())
def test_every_box_of_a_tiles_size_is_taken_whole_from_a_tile(height, width, tile, data):
    coarse = min(tile[0] / height, tile[1] / width)
    levels = tiled((height, width), 1.0, coarse, tile)
    assert bool(levels) == (height > tile[0] or width > tile[1])
    for level in levels:
        h, w = data.draw(st.integers(1, int(level.largest))), data.draw(st.integers(1, int(level.largest)))
        h, w = min(h, level.size[0]), min(w, level.size[1])
        y = data.draw(st.integers(0, level.size[0] - h))
        x = data.draw(st.integers(0, level.size[1] - w))
        whole = []
        for top, left, bottom, right in level.windows:
            assert bottom - top <= tile[0] and right - left <= tile[1]
            inside = top <= y and left <= x and y + h <= bottom and x + w <= right
            box = np.array([[x - left, y - top, x + w - left, y + h - top]], np.float32)
            taken = bool(level.takes(box, (top, left, bottom, right))[0])
            whole.append(taken and inside)
            part = not inside and top < y + h and left < x + w and y < bottom and x < right
            assert not (part and taken), "a part of a face was taken"
        assert any(whole)


def test_the_largest_box_of_a_level_is_found_by_the_next():
    """Each level takes boxes down to 24 of its pixels, below the largest of the finer one."""
    for frame in ((1080, 1920), (2160, 3840), (4320, 7680), (300, 9000)):
        coarse = min(640 / frame[0], 640 / frame[1])
        scales = [level.size[1] / frame[1] for level in tiled(frame, 1.0, coarse, (640, 640))] + [coarse]
        for finer, coarser in pairwise(scales):
            assert 24 / coarser < 128 / finer
