"""Transitions from a network's probabilities, without the network."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec.geometry import MINIATURE_BYTES
from facerec.settings import ShotSettings
from facerec.video import network_shots as module
from facerec.video.miniature import HEIGHT, LUMA_BYTES, WIDTH
from facerec.video.network_shots import agreed_transitions, network_transitions
from facerec.video.shots import HARD, Transition
from tests.video.test_shots import dissolve, shot

NUMBERS = np.arange(40) * 3 + 7  # frames that are left out have no picture


def probabilities(middle: dict[int, float], inside: dict[int, float] | None = None) -> NDArray[np.float32]:
    found = np.zeros((40, 2), np.float32)
    for column, marked in enumerate((middle, inside or {})):
        for at, value in marked.items():
            found[at, column] = value
    return found


def stepped(**levels: int) -> NDArray[np.uint8]:
    """40 miniatures that change by so many grey levels at each named frame, in colours that mean nothing."""
    pictures = np.random.default_rng(3).integers(0, 255, (40, MINIATURE_BYTES)).astype(np.uint8)
    pictures[:, :LUMA_BYTES] = 20
    for name, level in levels.items():
        pictures[int(name[1:]) :, :LUMA_BYTES] += np.random.default_rng(level).integers(
            0, level, LUMA_BYTES, np.uint8
        )
    return pictures


def found(
    middle: dict[int, float], inside: dict[int, float] | None = None, **levels: int
) -> list[tuple[str, int, int, int]]:
    transitions = network_transitions(NUMBERS, stepped(**levels), probabilities(middle, inside))
    return [
        (one.kind, *((number - 7) // 3 for number in (one.begin, one.end, one.cut))) for one in transitions
    ]


@pytest.mark.parametrize("marked", [19, 20])
def test_a_cut_of_the_network_lies_where_the_pictures_differ_most(marked: int) -> None:
    assert found({marked: 0.5}, f20=90, f22=100) == [(HARD, 20, 20, 20)]
    assert found({marked: 0.49}, f20=90) == []


def test_a_picture_that_becomes_clearer_after_a_cut_is_no_later_cut() -> None:
    """It is still less like the last one of the old shot, but like the one before it."""
    assert found({19: 0.9}, f19=90, f20=40) == [(HARD, 19, 19, 19)]


def test_a_cut_at_either_end_of_the_film_stays_in_the_film() -> None:
    assert found({0: 0.9}, f1=50) == [(HARD, 1, 1, 1)]
    assert found({39: 0.9}, f39=50) == [(HARD, 39, 39, 39)]
    assert found({38: 0.9}, f39=50) == [(HARD, 39, 39, 39)]


def test_a_film_of_two_frames_may_have_a_cut_of_the_network() -> None:
    marked = np.array([[0, 0], [0.9, 0.9]], np.float32)
    assert network_transitions(NUMBERS[:2], stepped(f1=50)[:2], marked) == [Transition(HARD, 10, 10, 10)]
    assert network_transitions(NUMBERS[:1], stepped()[:1], marked[1:]) == []


def test_two_marked_frames_are_a_cut_and_three_a_gradual_transition() -> None:
    assert found({20: 0.9}, {19: 0.5, 20: 0.9}, f20=50) == [(HARD, 20, 20, 20)]
    assert found({20: 0.9}, {19: 0.5, 20: 0.9, 21: 0.5}, f20=50) == [("gradual", 19, 22, 21)]
    assert found({20: 0.9}, {18: 0.49, 19: 0.5, 20: 0.9, 21: 0.5, 22: 0.49}) == [("gradual", 19, 22, 21)]
    assert found({19: 0.9, 20: 0.9, 21: 0.9}, f20=50) == [("gradual", 19, 22, 21)]
    assert found({20: 0.9}, dict.fromkeys(range(18, 24), 0.9)) == [("gradual", 18, 24, 21)]


def test_a_gradual_transition_of_the_network_stays_in_the_film() -> None:
    assert found({3: 0.9}, dict.fromkeys(range(8), 0.9)) == [("gradual", 1, 8, 5)]
    assert found({0: 0.9}, {1: 0.9, 39: 0.9}, f1=50) == [(HARD, 1, 1, 1)], "the end is not before the begin"
    assert found({1: 0.9}, dict.fromkeys(range(3), 0.9)) == [("gradual", 1, 3, 2)], "of three frames"
    assert found({37: 0.9}, dict.fromkeys(range(30, 40), 0.9)) == [("gradual", 30, 39, 35)]


def test_transitions_of_the_network_do_not_repeat_a_cut() -> None:
    assert found({19: 0.9, 21: 0.9}, dict.fromkeys(range(15, 26), 0.9)) == [("gradual", 15, 26, 21)]
    assert found({10: 0.9, 30: 0.9}, f10=40, f30=40) == [(HARD, 10, 10, 10), (HARD, 30, 30, 30)]


def miniatures_of(*parts: NDArray[np.float32]) -> NDArray[np.uint8]:
    pictures = np.concatenate(parts)
    made = np.full((len(pictures), MINIATURE_BYTES), 128, np.uint8)
    made[:, :LUMA_BYTES] = pictures.clip(0, 255).reshape(len(pictures), LUMA_BYTES)
    return made


def agreed(miniatures: NDArray[np.uint8], sure: list[int], settings: ShotSettings) -> list[Transition]:
    marked = np.zeros((len(miniatures), 2), np.float32)
    marked[sure, 0] = 0.5
    return agreed_transitions(np.arange(len(miniatures)) + 7, miniatures, marked, settings)


@pytest.mark.parametrize(("sure", "count"), [([], 0), ([17], 0), ([18], 1), ([20], 1), ([22], 1), ([23], 0)])
def test_a_cut_in_doubt_needs_the_network_close_to_it(sure: list[int], count: int) -> None:
    miniatures = miniatures_of(shot(1, 20), shot(2, 20))
    missed = ShotSettings(adaptive_ratio=18)  # a ratio of 15 is found
    assert [one.cut for one in agreed(miniatures, sure, missed)] == [27] * count


@pytest.mark.parametrize(
    ("name", "in_doubt", "refused"),
    [
        ("adaptive_ratio", 18.5, 19.5),
        ("min_unlikeness", 1.05, 1.2),
        ("max_dissolve_error", 0.022, 0.02),
        ("max_side_change", 0.02, 0.015),
        ("max_return_gradual", 1.2, 1.5),
    ],
)
def test_what_a_slightly_lower_threshold_finds_is_in_doubt_and_no_more(
    name: str, in_doubt: float, refused: float
) -> None:
    old, new = (20, 21) if name in ("adaptive_ratio", "min_unlikeness") else (30, 42)
    between = dissolve(shot(1, new - old), shot(2, new - old))
    miniatures = miniatures_of(shot(1, old), *([between] if new - old > 1 else []), shot(2, 30))
    middle = (old + new) // 2
    counts = [
        len(agreed(miniatures, sure, ShotSettings(**{name: value})))
        for value, sure in ((in_doubt, []), (in_doubt, [middle]), (refused, [middle]))
    ]
    assert counts == [0, 1, 0]


@pytest.mark.parametrize(("sure", "cuts"), [([], [67]), ([20], [27, 67]), ([40], [47, 67])])
def test_a_transition_in_doubt_is_found_beside_one_that_is_sure(sure: list[int], cuts: list[int]) -> None:
    miniatures = miniatures_of(*(shot(number, 20) for number in (1, 2, 3, 4)))
    assert [one.cut for one in agreed(miniatures, sure, ShotSettings(adaptive_ratio=17))] == cuts


def test_what_is_in_doubt_within_two_frames_of_a_sure_transition_is_the_same_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sure = Transition("dissolve", 50, 60, 55)
    doubtful = [Transition(HARD, cut, cut, cut) for cut in (47, 48, 55, 62, 63)]

    def by_settings(frames: object, miniatures: object, settings: ShotSettings) -> list[Transition]:
        return [sure] if settings == ShotSettings() else doubtful

    monkeypatch.setattr(module, "find_transitions", by_settings)
    found = agreed(np.zeros((80, MINIATURE_BYTES), np.uint8), list(range(80)), ShotSettings())
    assert [one.cut for one in found] == [47, 55, 63] and sure in found


def test_a_wipe_in_doubt_has_an_error_of_up_to_half_as_much_again() -> None:
    old, new = shot(1, 27), shot(2, 27)
    columns = np.tile(np.arange(WIDTH), (HEIGHT, 1))
    between = [np.where(columns < 3 * k - 33, new[k - 12], old[k]) for k in range(12, 27)]
    miniatures = miniatures_of(old[:12], np.asarray(between, np.float32), new[15:])
    limit, counts = 0.0537, []  # from which on the wipe is found without the network
    for share, sure in ((0.95, []), (1.05, []), (1 / 1.4, [20]), (1 / 1.6, [20])):  # type: ignore[var-annotated]
        settings = ShotSettings(max_wipe_error=share * limit, wipe_noise=0, max_dissolve_error=0)
        counts.append(len(agreed(miniatures, sure, settings)))
    assert counts == [0, 1, 1, 0]


def test_the_lowest_ratio_can_be_set() -> None:
    miniatures = miniatures_of(shot(1, 20), shot(2, 20))
    assert [one.cut for one in agreed(miniatures, [], ShotSettings(adaptive_ratio=1.01))] == [27]


def test_the_network_adds_no_transition_alone_and_takes_none_away() -> None:
    miniatures = miniatures_of(shot(1, 20), shot(2, 20))
    for sure in ([], [5], [20], [33]):
        assert [one.cut for one in agreed(miniatures, sure, ShotSettings())] == [27]
