"""Times on screen, alone and together, are what counting frame by frame gives."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec.actors.cast import Cast
from facerec.folder.records import Trajectory
from facerec.movies.identities import Identity
from facerec.movies.tables import (
    co_presence_table,
    intersection,
    people_table,
    presence_table,
    shots_table,
    trajectories_table,
    union,
)
from facerec.movies.times import FrameTimes

FRAMES = 40
PEOPLE = ("a", "b", "c")


@st.composite
def films(draw: st.DrawFn) -> tuple[list[int], list[float], list[tuple[int, int, str, int]]]:
    """Cuts, duration of each frame, and faces: begin, end, person and height, none across a cut."""
    cuts = sorted(draw(st.sets(st.integers(1, FRAMES - 1), max_size=4)))
    durations = draw(st.lists(st.sampled_from([0.04, 0.5, 1.0]), min_size=FRAMES, max_size=FRAMES))
    bounds = [0, *cuts, FRAMES]
    faces = []
    for _ in range(draw(st.integers(0, 8))):
        shot = draw(st.integers(0, len(cuts)))
        begin = draw(st.integers(bounds[shot], bounds[shot + 1] - 1))
        end = draw(st.integers(begin + 1, bounds[shot + 1]))
        faces.append((begin, end, draw(st.sampled_from(PEOPLE)), draw(st.integers(1, 99))))
    return cuts, durations, faces


@settings(max_examples=150)
@given(films())
def test_tables_agree_with_counting_frames(
    film: tuple[list[int], list[float], list[tuple[int, int, str, int]]],
) -> None:
    cuts, durations, faces = film
    seconds = np.concatenate([[0.0], np.cumsum(durations)])
    times = FrameTimes(seconds, Fraction(25), False)
    records = [
        Trajectory(i, 7, b, np.tile([0, 0, 9, h], (e - b, 1)), np.ones(e - b, bool), 100, 100)
        for i, (b, e, _, h) in enumerate(faces)
    ]
    identities = [Identity(person, person.upper(), None, "none") for _, _, person, _ in faces]
    trajectories = trajectories_table(records, [0] * len(faces), identities, [0] * len(faces), cuts, times)
    people = people_table(trajectories, identities, Cast(), 100, times)
    presence = presence_table(trajectories, people, times)
    pairs = co_presence_table(presence, people, times)

    shot_of = np.searchsorted(cuts, np.arange(FRAMES), side="right")
    seen = {person: {f for b, e, p, _ in faces if p == person for f in range(b, e)} for person in PEOPLE}
    assert set(people["person"]) == {person for person in PEOPLE if seen[person]}
    for row in people.itertuples():
        frames = seen[row.person]
        assert row.seconds == pytest.approx(sum(durations[f] for f in frames))
        assert row.share == pytest.approx(row.seconds / sum(durations))
        assert (row.first, row.last) == (min(frames), max(frames))
        assert row.n_shots == len({shot_of[f] for f in frames})
        heights = [h for b, e, p, h in faces if p == row.person for _ in range(b, e)]
        assert row.face_height == pytest.approx(np.mean(heights) / 100)
    assert people["seconds"].is_monotonic_decreasing

    shown = defaultdict(set)
    for row in presence.itertuples():
        span = set(range(row.begin, row.end))
        assert {shot_of[f] for f in span} == {row.shot} and not span & shown[row.person]
        edges = {row.begin - 1, row.end} & shown[row.person]
        assert all(shot_of[f] != row.shot for f in edges)  # as long as possible inside the shot
        shown[row.person] |= span
    assert shown == {person: frames for person, frames in seen.items() if frames}

    together = {(row.person_a, row.person_b): row for row in pairs.itertuples()}
    for one in PEOPLE:
        for other in PEOPLE:
            both = seen[one] & seen[other]
            shots = {shot_of[f] for f in seen[one]} & {shot_of[f] for f in seen[other]}
            row = together.get((one, other)) or together.get((other, one))
            if one == other or not shots:
                assert row is None
            else:
                assert (row.frames, row.shots) == (len(both), len(shots))
                assert row.seconds == pytest.approx(sum(durations[f] for f in both))

    shots = shots_table(cuts, times)
    assert shots["begin"].tolist() == [0, *cuts] and shots["end"].tolist() == [*cuts, FRAMES]


Spans = list[tuple[int, int]]
spans = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=6).map(
    lambda drawn: [(begin, begin + length) for begin, length in drawn]
)


@given(spans, spans)
def test_union_and_intersection_are_those_of_sets(one: Spans, other: Spans) -> None:
    def frames(of: Spans) -> set[int]:
        return {f for begin, end in of for f in range(begin, end)}

    assert frames(union(one)) == frames(one)
    assert all(a[1] < b[0] for a, b in pairwise(union(one)))
    assert frames(list(intersection(union(one), union(other)))) == frames(one) & frames(other)
