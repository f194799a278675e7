"""Hard cuts as the definition says, and the parts in which a long film is decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec.geometry import MINIATURE_BYTES
from facerec.settings import ShotSettings
from facerec.video import shots as shot_module
from facerec.video.gradual import Found
from facerec.video.hard_cuts import find_hard_cuts
from facerec.video.likeness import contrast, distance
from facerec.video.shots import Transition, decide, find_transitions


def by_definition(pictures: NDArray[np.float32], settings: ShotSettings) -> list[int]:
    """Find the cuts one frame after the other, as `ShotSettings` describes them."""
    n = len(pictures)
    between, contrasts = distance(pictures[:, None], pictures[None]).tolist(), contrast(pictures).tolist()
    change = [0.0] + [between[k - 1][k] for k in range(1, n)]
    cuts: list[int] = []
    for k in range(1, n):
        around = [
            change[j] for j in range(k - settings.window, k + settings.window + 1) if j != k and 0 < j < n
        ]
        mean = max(sum(around) / max(len(around), 1), 0.5)
        unlike = change[k] / max(contrasts[k - 1], contrasts[k], 1)
        if change[k] < settings.min_change or unlike < settings.min_unlikeness:
            continue
        if change[k] / mean * min(unlike, 1) < settings.adaptive_ratio:
            continue
        across = [
            between[i][j]
            for i in range(max(0, k - 1 - settings.max_flash), k)
            for j in range(k, min(n, k + 1 + settings.max_flash))
            if 2 <= j - i <= settings.max_flash + 1
        ]
        if across and min(across) < settings.max_return * change[k]:
            continue
        if not cuts or k - cuts[-1] >= settings.min_shot:
            cuts.append(k)
        elif change[k] > change[cuts[-1]]:
            cuts[-1] = k
    return cuts


def random_film(rng: np.random.Generator) -> NDArray[np.float32]:
    """Make shots of some frames, among them flashes, returns, dark and flat pictures, and motion."""
    scenes = rng.uniform(0, 200, (9, 48)) * rng.uniform(0.05, 1, (9, 1))
    frames: list[Any] = []
    while len(frames) < 40:
        scene, drift = scenes[rng.integers(9)], rng.uniform(0, 12, 48) * rng.integers(0, 2)
        light = rng.uniform(0.5, 1)
        grain = rng.choice([0.2, 2.0])
        frames += [scene * light + drift * k + rng.normal(0, grain, 48) for k in range(rng.integers(1, 10))]
    return np.asarray(frames, np.float32)[: rng.integers(2, 41)]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"window": 3, "adaptive_ratio": 1.3},
        {"window": 1, "min_shot": 3},
        {"min_shot": 9, "max_flash": 1, "max_return": 0.3},
        {"min_change": 25.0, "min_unlikeness": 0.9, "max_flash": 3},
        {"adaptive_ratio": 5.0, "max_return": 0.9, "min_unlikeness": 0.1, "min_change": 1.0},
    ],
)
def test_cuts_are_those_of_the_definition(changed: dict[str, Any]) -> None:
    rng, settings, count = np.random.default_rng(4), ShotSettings(**changed), 0
    for film in range(10):
        pictures = random_film(rng)
        found = find_hard_cuts(pictures, settings)
        assert found == by_definition(pictures, settings), film
        count += len(found)
    assert count >= 3


@pytest.mark.parametrize(("cut", "window", "neighbours"), [(1, 1, [2]), (2, 2, [1, 3, 4]), (1, 2, [2, 3])])
def test_a_cut_near_the_beginning_is_compared_with_the_neighbours_it_has(
    cut: int, window: int, neighbours: list[int]
) -> None:
    rng = np.random.default_rng(0)
    scenes, grain = rng.uniform(60, 140, (2, 400)), rng.uniform(-6, 6, (9, 400))
    pictures = np.asarray([scenes[int(k >= cut)] + grain[k] for k in range(9)], np.float32)
    change = [float(distance(pictures[k - 1], pictures[k])) for k in range(9)]
    unlike = change[cut] / float(max(contrast(pictures[cut - 1]), contrast(pictures[cut])))
    ratio = change[cut] / float(np.mean([change[k] for k in neighbours])) * min(unlike, 1)
    for limit, cuts in ((0.9 * ratio, [cut]), (1.1 * ratio, [])):
        settings = ShotSettings(window=window, adaptive_ratio=limit)
        assert find_hard_cuts(pictures, settings) == cuts


@pytest.mark.parametrize(
    ("contrasts", "lengths", "cuts"),
    [
        ((90, 60, 20, 30, 80), (6, 6, 6, 2, 8), [6, 12, 20]),  # the change at 20 is larger than that at 18
        ((30, 90, 20, 50, 20), (6, 6, 6, 2, 6), [6, 12, 18]),  # equally large
        ((30, 20, 90, 50, 20), (6, 6, 6, 2, 6), [6, 12, 18]),
        ((30, 20, 90, 50, 20), (6, 2, 6, 6, 6), [8, 14, 20]),
        ((30, 20, 50, 40, 20), (6, 5, 6, 6, 6), [6, 11, 17, 23]),  # none is too close
    ],
)
def test_the_largest_of_cuts_that_are_too_close_counts(
    contrasts: Sequence[int], lengths: Sequence[int], cuts: list[int]
) -> None:
    scenes = np.random.default_rng(1).uniform(-1, 1, (5, 400))
    shots = [np.tile(100 + a * scene, (n, 1)) for a, scene, n in zip(contrasts, scenes, lengths, strict=True)]
    settings = ShotSettings(max_flash=0, min_shot=5, adaptive_ratio=1.2, min_change=2)
    assert find_hard_cuts(np.concatenate(shots, dtype=np.float32), settings) == cuts


class Recorded:
    """Stands in for the decision of a part, by the transitions of the whole film."""

    def __init__(self, found: list[Found]) -> None:
        self.found, self.parts = found, []  # type: ignore[var-annotated]

    def __call__(self, miniatures: NDArray[np.uint8], settings: object, first: int = 0) -> list[Found]:
        self.parts.append((first, first + len(miniatures)))
        assert (miniatures[:, 0] == np.arange(first, first + len(miniatures)) % 251).all()
        last = first + len(miniatures)
        return [
            Found(one.kind, one.begin - first, one.end - first, one.cut - first)
            for one in self.found
            if first < one.cut < last
        ]


def decided(found: list[Found], count: int, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Transition], Any]:
    miniatures = np.zeros((count, MINIATURE_BYTES), np.uint8)
    miniatures[:, 0] = np.arange(count) % 251
    recorded = Recorded(found)
    monkeypatch.setattr(shot_module, "_PART", 100)
    monkeypatch.setattr(shot_module, "_MARGIN", 30)
    monkeypatch.setattr(shot_module, "decide", recorded)
    return find_transitions(np.arange(count) * 2 + 7, miniatures), recorded.parts


def test_the_parts_of_a_long_film_overlap_and_each_transition_is_of_one_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [Found("cut", k, k, k) for k in (1, 20, 71, 99, 100, 101, 129, 199, 200, 249)]
    transitions, parts = decided(found, 250, monkeypatch)
    assert transitions == [Transition("cut", *(2 * one.cut + 7,) * 3) for one in found]
    assert parts == [(0, 130), (70, 230), (170, 250)]
    assert decided([], 0, monkeypatch) == ([], []) and decided([], 100, monkeypatch)[1] == [(0, 100)]
    assert decided([], 101, monkeypatch)[1] == [(0, 101), (70, 101)]


def test_transitions_of_two_parts_never_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts may decide in another way about the frames that both have."""
    dissolve = Found("dissolve", 92, 104, 98)
    for other, is_new in (
        (Found("dissolve", 103, 112, 108), False),
        (Found("dissolve", 104, 112, 108), True),
        (Found("dissolve", 90, 109, 100), False),
        (Found("cut", 104, 104, 104), True),
        (Found("cut", 103, 103, 103), False),
    ):
        transitions, _ = decided([dissolve, other], 200, monkeypatch)
        expected = [dissolve, other][: 1 + is_new]
        assert transitions == [
            Transition(one.kind, *(2 * at + 7 for at in (one.begin, one.end, one.cut))) for one in expected
        ]
    (last,), _ = decided([Found("dissolve", 190, 200, 195)], 200, monkeypatch)
    assert (last.begin, last.end, last.cut) == (387, 405, 397), "the end is a frame of the film"


def test_windows_begin_at_the_same_places_of_the_film_in_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    firsts: list[int] = []
    monkeypatch.setattr(shot_module, "find_gradual", lambda *args: firsts.append(args[-1]) or [])
    for first in (0, 7):
        decide(np.zeros((5, MINIATURE_BYTES), np.uint8), ShotSettings(), first)
    assert firsts == [0, 7]


def test_a_film_of_two_frames_may_have_a_cut() -> None:
    made = np.full((2, MINIATURE_BYTES), 128, np.uint8)
    made[:, :1296] = np.random.default_rng(0).integers(0, 200, (2, 1296))
    assert [one.cut for one in decide(made, ShotSettings())] == [1] and decide(made[:1], ShotSettings()) == []


def test_of_flashes_of_one_frame_alone_no_longer_ones_are_left_out() -> None:
    old, new = (np.random.default_rng(seed).uniform(20, 200, (1, 1296)).astype(np.float32) for seed in (1, 2))
    for length, cuts in ((1, []), (2, [10, 12])):
        pictures = np.concatenate([old.repeat(10, 0), new.repeat(length, 0), old.repeat(10, 0)])
        assert find_hard_cuts(pictures, ShotSettings(max_flash=1, min_shot=1)) == cuts
