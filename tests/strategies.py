"""Hypothesis strategies: valid records, and JSON that is not, for tests of the readers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from hypothesis import strategies as st

from facerec.folder.frame_records import FaceRecord, FrameRecord, QualityRecord
from facerec.folder.records import SavedFace, Trajectory
from facerec.models.base import normalize_rows

_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_INTS = st.integers(-(2**63), 2**64 - 1)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | _INTS | _FLOATS | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def boxes(draw: st.DrawFn, w: int, h: int) -> tuple[int, int, int, int]:
    """A box inside `w` x `h` pixels."""
    x1, y1 = draw(st.integers(0, w - 1)), draw(st.integers(0, h - 1))
    return x1, y1, draw(st.integers(x1 + 1, w)), draw(st.integers(y1 + 1, h))


@st.composite
def trajectories(draw: st.DrawFn, movie_id: int = 7) -> Trajectory:
    """The trajectory of a file's first line."""
    w, h = draw(st.integers(1, 1 << 16)), draw(st.integers(1, 1 << 16))
    found = draw(st.lists(boxes(w, h), min_size=1, max_size=5))
    detected = [*draw(st.lists(st.booleans(), min_size=len(found) - 1, max_size=len(found) - 1)), True]
    start = draw(st.integers(0, 2**31 - 1 - len(found)))
    return Trajectory(0, movie_id, start, np.array(found, np.int64), np.array(detected), w, h)


@st.composite
def features(draw: st.DrawFn, movie_id: int = 7) -> SavedFace:
    """A saved face."""
    w, h = draw(st.integers(1, 1 << 16)), draw(st.integers(1, 1 << 16))
    places = draw(st.lists(st.floats(-1e4, 6e4, width=32), min_size=10, max_size=10))
    numbers = draw(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=9))
    vector = normalize_rows(np.array([[*numbers, 1]], np.float32))[0]
    keypoints = np.array(places, np.float32).reshape(5, 2)
    return SavedFace(movie_id, draw(st.integers(0, 2**31 - 1)), draw(boxes(w, h)), keypoints, vector, w, h)


SCORES = st.floats(0, 1)
FACES = st.builds(FaceRecord, boxes(1 << 16, 1 << 16), SCORES, st.none() | st.floats(0, 1e6))
FRAMES = st.builds(
    FrameRecord,
    st.integers(0, 2**31 - 1),
    st.lists(FACES, max_size=3).map(tuple),
)
QUALITIES = st.builds(QualityRecord, st.text(max_size=20), SCORES, st.floats(0, 1e6))


@st.composite
def damaged(draw: st.DrawFn, record: Any) -> Any:
    """`record` (JSON) with something else in one place, however deep, or without that place."""
    if isinstance(record, dict | list) and record and draw(st.integers(0, 3)):
        made = copy.copy(record)
        key = draw(st.sampled_from(sorted(made) if isinstance(made, dict) else range(len(made))))
        if draw(st.integers(0, 7)):
            made[key] = draw(damaged(made[key]))
        else:
            del made[key]
        return made
    return draw(ANY_JSON)
