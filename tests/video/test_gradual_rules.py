"""Fades, dissolves and wipes of still pictures with known figures: where the thresholds are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec.settings import ShotSettings
from facerec.video import gradual, mixes
from facerec.video.fades import find_fades
from facerec.video.gradual import Found, find_gradual, spread, unrelated
from facerec.video.likeness import contrast, distance
from facerec.video.miniature import HEIGHT, WIDTH
from facerec.video.mixes import coarse, is_linear_mix, sides

Pictures = NDArray[np.float32]


def still(seed: int, size: float = 40, level: float = 100) -> Pictures:
    """Make squares of 3x3 pixels, so that nothing is lost in coarse pictures."""
    squares = level + size * np.random.default_rng(seed).uniform(-1, 1, (HEIGHT // 3, WIDTH // 3))
    return squares.repeat(3, 0).repeat(3, 1).astype(np.float32).ravel()


OLD, NEW = still(1), still(2)
APART, LESS = float(distance(OLD, NEW)), float(min(contrast(OLD), contrast(NEW)))


def mixed(shares: Sequence[float], old: Pictures = OLD, new: Pictures = NEW) -> Pictures:
    share = np.array(shares, np.float32)[:, None]
    return (old * (1 - share) + new * share).astype(np.float32)


def steps(count: int) -> list[float]:
    return [(k + 1) / (count + 1) for k in range(count)]


@pytest.fixture(autouse=True)
def _no_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Motion is followed in `test_likeness`; in these pictures there is none."""
    monkeypatch.setattr(gradual, "distance_after_motion", lambda one, other: float(distance(one, other)))


def found(
    pictures: Pictures, borders: Sequence[int] = (), first: int = 0, **settings: Any
) -> list[tuple[str, int, int, int]]:
    made = find_gradual(pictures, coarse(pictures), borders, ShotSettings(**settings), first)
    return [(one.kind, one.begin, one.end, one.cut) for one in made]


def dissolved(shares: Sequence[float], side: int = 12) -> Pictures:
    return mixed([*[0.0] * side, *shares, *[1.0] * side])


def wiped(edges: Sequence[int], side: int = 12) -> Pictures:
    """Uncover the new picture column by column."""
    columns = np.tile(np.arange(WIDTH), HEIGHT)
    return np.stack([np.where(columns < edge, NEW, OLD) for edge in (*[0] * side, *edges, *[WIDTH] * side)])


@pytest.mark.parametrize(
    ("shares", "extent"),
    [
        (steps(11), (12, 23, 18)),  # 17 is half of each
        ([0.1, 0.49, 0.51, 0.9], (12, 16, 14)),
        ([0.05, 0.2, 0.6, 0.95], (13, 15, 14)),  # up to 0.06 of the other shot does not count
        ([0.07, 0.2, 0.6, 0.93], (12, 16, 14)),
        ([0.5], (12, 13, 13)),
        ([0.2, 0.55, 0.45, 0.9], (12, 16, 13)),
        ([0.03, 0.6, 0.9], (13, 15, 13)),
    ],
)
def test_the_extent_of_a_dissolve_is_of_the_frames_that_are_mixed(
    shares: list[float], extent: tuple[int, int, int]
) -> None:
    (one,) = found(dissolved(shares), max_step=1, max_abrupt_side=9)
    assert one in [("dissolve", *extent), ("dissolve", *extent[:2], extent[2] - (0.5 in shares))]


def test_a_change_at_once_has_an_extent_of_one_frame() -> None:
    (one,) = found(dissolved([]), max_step=1, max_abrupt_side=9)
    assert one[1:] == (12, 13, 12)


def test_a_wipe_uncovers_the_new_picture() -> None:
    edges = [3 * k for k in range(1, 16)]
    ((kind, begin, end, cut),) = found(wiped(edges))
    assert (kind, begin, end) == ("wipe", 12, 27) and abs(cut - 19) <= 1
    assert found(wiped([24], 12), max_step=0.7, abrupt=1)[0][0] == "wipe"


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("min_gradual_change", APART),
        ("min_gradual_unlikeness", APART / float(max(contrast(OLD), contrast(NEW)))),
        ("max_flat_contrast", LESS),
        ("max_return_gradual", 1.0),
    ],
)
def test_thresholds_of_the_two_ends(name: str, limit: float) -> None:
    for pictures in (dissolved(steps(5), side=6), dissolved(steps(5), side=6)[::-1].copy()):
        assert found(pictures, **{name: 0.98 * limit}) and not found(pictures, **{name: 1.02 * limit})


def test_a_mix_rises_neither_at_once_nor_to_and_fro() -> None:
    """Among few frames around it, each of which is sampled."""
    for shares, name, limit in (
        ([0.2, 0.3, 0.8, 0.9], "max_step", 0.5),
        ([0.4, 0.5, 0.6], "max_step", 0.4),
        ([0.1, 0.3, 0.6], "max_step", 0.4),
        ([0.2, 0.45, 0.3, 0.6, 0.8], "max_fall", 0.15),
    ):
        pictures = dissolved(shares, side=6)
        assert found(pictures, **{name: limit + 0.01}), (shares, name)
        assert not found(pictures, **{name: limit - 0.01}), (shares, name)


def test_a_step_of_a_long_transition_is_between_two_of_thirteen_samples() -> None:
    """A third of the change is in three frames of 49, each of which changes a ninth of it."""
    shares = np.interp(np.arange(1, 50), [0, 23, 26, 50], [0, 0.33, 0.67, 1]).tolist()
    pictures = dissolved(shares, side=1)  # one window
    assert found(pictures, max_step=0.3) and not found(pictures, max_step=0.17)


@pytest.mark.parametrize("count", [2, 3])
def test_a_short_transition_needs_a_clear_mix_and_calm_sides(count: int) -> None:
    pictures = dissolved(steps(count), side=6)
    whole = found(pictures)
    for abrupt, strict in ((count, False), (count + 1, True)):
        assert found(pictures, abrupt=abrupt, max_abrupt_error=-1) == ([] if strict else whole)
        assert found(pictures, abrupt=abrupt, max_abrupt_side=-1) == ([] if strict else whole)
        assert found(pictures, abrupt=abrupt, max_abrupt_side=0.01, max_abrupt_error=0.01)


def test_no_window_contains_a_cut() -> None:
    pictures = dissolved(steps(7), side=10)
    whole = found(pictures)
    assert whole and found(pictures, [5, 25]) == whole
    for border in (10, 13, 17):
        assert not any(begin < border < end for _, begin, end, _ in found(pictures, [border])), border


@pytest.mark.parametrize("count", [13, 22])
def test_a_dissolve_is_the_same_wherever_the_part_that_is_decided_begins(count: int) -> None:
    rng = np.random.default_rng(3)
    pictures = dissolved(steps(count), side=12)
    pictures += rng.normal(0, 2, (len(pictures), 1)).astype(np.float32)
    more = np.concatenate([np.repeat(pictures[:1], 9, 0), pictures])
    whole = found(more)
    for first in (1, 6):
        moved = [(kind, a - 9 + first, b - 9 + first, c - 9 + first) for kind, a, b, c in whole]
        assert found(more[9 - first :], first=9 - first) == moved


def test_a_short_dissolve_between_two_cuts_is_found_at_each_place() -> None:
    for before in (1, 2):
        pictures = np.concatenate([np.repeat(still(5)[None], before, 0), dissolved(steps(3), 1)])
        (one,) = found(pictures, [before])
        assert one[1:3] == (before + 1, before + 4)


def test_a_dissolve_of_dim_pictures_after_a_clear_one_is_found() -> None:
    dim = 0.4 * (dissolved(steps(7), side=4) - 100) + 100
    pictures = np.concatenate([np.repeat(still(5, 90, 120)[None], 20, 0), dim])
    assert [one[1:3] for one in found(pictures, [20], min_gradual_change=4)] == [(24, 31)]


def test_each_of_many_dissolves_is_found() -> None:
    """Windows are compared in groups; there are several groups of each length."""
    there, back = dissolved(steps(7), side=6), dissolved(steps(7), side=6)[::-1]
    pictures = np.concatenate([there, back] * 5)
    extents = [one[1:3] for one in found(pictures, max_return_gradual=0)]
    assert extents == [(6 + 19 * k, 13 + 19 * k) for k in range(10)]


def test_two_dissolves_after_each_other_are_two() -> None:
    parts = dissolved(steps(7)), mixed([*steps(7), *[1.0] * 12], NEW, still(3))
    assert [(begin, end) for _, begin, end, _ in found(np.concatenate(parts))] == [(12, 19), (31, 38)]


def test_a_dissolve_beside_a_jump_that_is_no_cut_is_found() -> None:
    """Windows are compared many at once, and each is decided for itself."""
    whole = np.concatenate([dissolved(steps(7)), np.repeat(still(5)[None], 9, 0)])
    assert ("dissolve", 12, 19) in [one[:3] for one in found(whole)]


def test_a_dissolve_back_to_the_picture_of_a_second_before_is_no_transition() -> None:
    pictures = np.concatenate([np.repeat(NEW[None], 6, 0), dissolved(steps(7))])
    assert found(pictures, [6]) == [] and len(found(pictures[6:])) == 1


def test_a_linear_mix_has_small_errors_and_rises() -> None:
    settings = ShotSettings()

    def is_mix(pictures: Pictures, **changed: Any) -> bool:
        chosen = ShotSettings(**changed) if changed else settings
        return is_linear_mix(coarse(pictures), coarse(OLD[None])[0], coarse(NEW[None])[0], chosen)

    assert is_mix(mixed(steps(5))) and is_mix(mixed([0.4, 0.8])) and not is_mix(mixed([0.5]))
    assert not is_mix(mixed([0.1, 0.9])), "a step"
    wavy = mixed([0.3, 0.6, 0.4, 0.7])
    assert is_mix(wavy, max_fall=0.2 / 1.6 + 0.01) and not is_mix(wavy, max_fall=0.2 / 1.6 - 0.01)
    change = (NEW - OLD).astype(np.float64)
    other = (still(5) - 100).astype(np.float64)
    other -= change * (other @ change) / (change @ change)
    half = mixed(steps(4)) + np.array([1, 0, 1, 0])[:, None] * other
    limit = np.abs(other).mean() / 2 / (np.abs(change).mean() + 1)
    made = half.astype(np.float32)
    assert is_mix(made, max_dissolve_error=1.02 * limit) and not is_mix(made, max_dissolve_error=0.98 * limit)


def test_the_stretches_beside_a_window_end_at_cuts_and_at_the_ends() -> None:
    assert sides(50, 60, 200, []) == (42, 68) and sides(50, 80, 200, []) == (35, 95)
    assert sides(3, 60, 65, []) == (0, 64) and sides(50, 60, 200, [20, 45, 64, 90]) == (45, 63)
    assert sides(50, 60, 200, [20, 30, 90, 99]) == (42, 68) and sides(50, 60, 200, [50, 61]) == (50, 60)
    assert sides(50, 60, 200, [7, 48, 99]) == (48, 68) and sides(50, 60, 200, [7, 10, 62, 99]) == (42, 61)
    low, high = sides(np.array([3, 50, 50]), np.array([60, 60, 80]), 100, [20, 45, 64, 90])
    assert low.tolist() == [0, 45, 45] and high.tolist() == [63, 63, 89]


def test_indices_are_spread_from_the_first_to_the_last() -> None:
    assert spread(3, 9, 3).tolist() == [3, 6, 9] and spread(3, 4, 7).tolist() == [3, 3, 3, 3, 3, 3, 4]
    several = spread(np.array([3, 0]), np.array([4, 10]), 4)
    assert several.tolist() == [[3, 3, 3, 4], [0, 3, 6, 10]]
    pictures = np.stack([OLD, NEW, OLD + 3])
    assert unrelated(pictures, [0, 2], [1], 0.99 * APART)
    assert not unrelated(pictures, [0, 2], [1], 1.01 * APART)
    assert not unrelated(pictures, [1, 2], [0], 0.5)


FLAT = np.full(HEIGHT * WIDTH, 100, np.float32)


def faded(
    out: int = 9, flat: int = 4, into: int = 9, level: float = 100, new: Pictures = NEW, sides: int = 20
) -> Pictures:
    colour = np.full_like(FLAT, level)
    return np.concatenate(
        [mixed([0.0] * sides), mixed(steps(out), OLD, colour), mixed([0.0] * flat, colour),
         mixed(steps(into), colour, new), mixed([1.0] * sides, OLD, new)]
    )  # fmt: skip


def fades(pictures: Pictures, **settings: Any) -> list[Found]:
    return find_fades(pictures, coarse(pictures), ShotSettings(**settings))


@pytest.mark.parametrize("level", [60, 120, 140, 220])
def test_a_fade_is_of_the_colour_of_its_flat_pictures(level: float) -> None:
    kind = "fade through black" if level < 128 else "fade through white"
    (one,) = fades(faded(level=level))
    assert (one.kind, one.begin, one.end) == (kind, 20, 42) and one.cut in (31, 32)


def test_the_colour_of_a_fade_is_not_that_of_the_picture_after_it() -> None:
    (one,) = fades(faded(9, 1, 0, level=140, new=still(2, 25, 30)))
    assert (one.kind, one.begin) == ("fade through white", 20)


def test_a_fade_beside_a_cut_has_both_sides() -> None:
    """The shot that fades out, or comes in, is one frame long besides."""
    before, after = (np.repeat(still(seed, 30)[None], 15, 0) for seed in (3, 4))
    (one,) = fades(np.concatenate([before, faded()[19:43], after]))
    assert (one.begin, one.end) == (16, 38)


@pytest.mark.parametrize(
    ("out", "into", "extent"),
    [
        (9, 9, (20, 42)),
        (9, 0, (20, 33)),
        (0, 9, (20, 33)),
        (30, 14, (20, 68)),
        (2, 2, (20, 28)),
        (0, 0, None),
    ],
)  # fmt: skip
def test_a_fade_may_have_one_abrupt_side_but_not_two(
    out: int, into: int, extent: tuple[int, int] | None
) -> None:
    one = fades(faded(out, 4, into))
    assert [(fade.begin, fade.end) for fade in one] == ([extent] if extent else [])


def test_a_fade_ends_with_its_abrupt_side_even_if_the_picture_there_becomes_clearer() -> None:
    clearer = mixed([0.3, 0.2, 0.1, *[0.0] * 17], NEW, FLAT)
    (one,) = fades(np.concatenate([faded(9, 4, 0)[:33], clearer]))
    assert (one.begin, one.end) == (20, 33)
    (other,) = fades(np.concatenate([mixed([*[0.0] * 10, 0.1, 0.2, 0.3], OLD, FLAT), faded(0, 4, 9)[20:]]))
    assert (other.begin, other.end) == (13, 26)


def test_the_pictures_beside_a_fade_are_compared_two_frames_away_from_it() -> None:
    for shift, count in ((2, 0), (3, 1)):
        before = mixed([*[0.0] * (20 - shift), *[1.0] * shift], 0.9 * NEW, OLD)  # of no more contrast
        assert len(fades(np.concatenate([before, faded()[20:]]), max_return_gradual=0)) == count
        after = mixed([*[1.0] * shift, *[0.0] * 18])
        assert len(fades(np.concatenate([faded()[:42], after]), max_return_gradual=0)) == count


def test_the_cut_of_a_fade_is_the_middle_of_its_flat_pictures() -> None:
    for flat in (5, 8):
        (one,) = fades(faded(flat=flat), max_flat_contrast=0.5)
        assert one.cut == 29 + (flat - 1) // 2 + 1
    contrasts = contrast(faded(flat=1))
    for limit in (2.5, 5.0):
        (one,) = fades(faded(flat=1), max_flat_contrast=limit)
        flats = np.flatnonzero(contrasts < limit)
        assert one.cut == (flats[0] + flats[-1]) // 2 + 1
    assert fades(faded(flat=0), max_flat_contrast=0.5) == []


def test_a_film_that_begins_or_ends_flat_has_no_fade_there() -> None:
    pictures = faded()
    assert fades(pictures[30:]) == [] == fades(pictures[:32]) and len(fades(pictures[25:])) == 1
    both = np.concatenate([pictures[30:], pictures[:20], pictures])
    assert len(fades(both)) == 1


def test_a_fade_leads_to_another_picture() -> None:
    limit = float(distance(OLD, NEW))
    assert fades(faded(new=OLD)) == []
    assert fades(faded(), min_gradual_change=0.99 * limit) and not fades(
        faded(), min_gradual_change=1.01 * limit
    )
    share = limit / float(max(contrast(OLD), contrast(NEW)))
    for name, at in (("min_gradual_unlikeness", share), ("max_return_gradual", 1.0)):
        assert fades(faded(), **{name: 0.98 * at}) and not fades(faded(), **{name: 1.02 * at}), name
    back = np.concatenate([faded()[:48], mixed([0.0] * 20)])  # six frames after the fade
    assert fades(back) == []


def test_a_fade_of_a_dim_picture_begins_where_it_darkens() -> None:
    (one,) = fades(0.4 * (faded() - 100) + 100, min_gradual_change=4)
    assert (one.begin, one.end) == (20, 42)


def test_the_first_picture_of_a_film_may_be_the_one_that_fades() -> None:
    (one,) = fades(faded()[19:])
    assert (one.begin, one.end) == (1, 23)
    (one,) = fades(faded()[:43])
    assert (one.begin, one.end) == (20, 42)


def test_a_slow_fade_has_its_whole_extent() -> None:
    (one,) = fades(faded(60, 4, 40))
    assert 20 <= one.begin <= 22 and 122 <= one.end <= 124


def with_motion(whole: float, parts: float, steps: float) -> Any:
    """Let motion explain a share of the whole change, of its halves to quarters, and of its single steps."""

    def after_motion(one: Pictures, other: Pictures) -> float:
        found = float(distance(one, other))
        return found * (whole if found > 0.995 * APART else parts if found > 0.17 * APART else steps)

    return after_motion


WHOLE = {"min_gradual_change": 0.998 * APART}  # of windows, the ends of which are not mixed
ANY = {**WHOLE, "min_left_by_motion": 0.0, "min_left_in_extent": 0.0, "min_left_in_steps": 0.0}


@pytest.mark.parametrize(
    ("name", "left", "limit"),
    [
        ("min_left_by_motion", (1, 0.8, 0.8), 0.8),
        ("min_left_in_extent", (1, 0.8, 0.8), 0.8),
        ("min_left_in_steps", (1, 1, 0.5), 0.5),
    ],
)
def test_what_motion_explains_is_no_transition(
    name: str, left: tuple[float, float, float], limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradual, "distance_after_motion", with_motion(*left))
    pictures = dissolved(steps(11), side=8)
    assert found(pictures, **{**ANY, name: limit - 0.02}) and not found(
        pictures, **{**ANY, name: limit + 0.02}
    )


@pytest.mark.parametrize(("least", "explained"), [(0.5, 1), (0.37, 2), (0.27, 3)])
def test_motion_is_followed_over_halves_thirds_and_quarters_of_a_change(
    least: float, explained: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it explains half of the parts that change enough: halves, thirds or quarters."""

    def after_motion(one: Pictures, other: Pictures) -> float:
        found = float(distance(one, other))
        return found * (0.5 if least * APART < found < 0.9 * APART else 1.0)

    monkeypatch.setattr(gradual, "distance_after_motion", after_motion)
    pictures = dissolved(steps(49), side=1)  # one window
    free = {**ANY, "pure_share": 0.01}  # its extent is the whole window
    left = 1 - 0.5 * explained / 3
    for name in ("min_left_by_motion", "min_left_in_extent"):
        assert found(pictures, **{**free, name: left - 0.02})
        assert not found(pictures, **{**free, name: left + 0.02})


@pytest.mark.parametrize(("left", "count"), [(0.68, 0), (0.72, 1)])
def test_ends_that_motion_turns_into_each_other_are_no_transition(
    left: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradual, "distance_after_motion", with_motion(left, 1, 1))
    assert len(found(dissolved(steps(7), side=6), **ANY)) == count


@pytest.mark.parametrize("name", ["max_shared_parts", "max_shared_in_extent"])
def test_a_picture_of_which_parts_stay_is_no_transition(name: str) -> None:
    new = NEW.reshape(HEIGHT, WIDTH).copy()
    new[:9, :16] = OLD.reshape(HEIGHT, WIDTH)[:9, :16]  # two of 18 blocks
    pictures = mixed([*[0.0] * 6, *steps(7), *[1.0] * 6], OLD, new.ravel())
    both = {"max_shared_parts": 1, "max_shared_in_extent": 1}
    assert found(pictures, **{**both, name: 0.12}) and not found(pictures, **{**both, name: 0.1})


def restless(old: float, new: float) -> Pictures:
    """A dissolve with pictures on its sides that differ by so much of its change from those next to it."""
    pictures = dissolved(steps(11), side=14)
    change = (NEW - OLD).astype(np.float64)
    other = (still(6) - 100).astype(np.float64)
    other -= change * (other @ change) / (change @ change)
    for part, base, share in ((slice(0, 12), OLD, old), (slice(27, None), NEW, new)):
        size = 1.0
        for _ in range(30):  # to the picture at this distance
            size *= (
                max(share, 1e-9)
                * APART
                / max(float(distance(base, (base + size * other).astype(np.float32))), 1e-9)
            )
        pictures[part] += np.asarray(size * other, np.float32)
    return pictures


@pytest.mark.parametrize(
    ("old", "new", "limit"), [(0.2, 0.2, 0.2), (0.3, 0.2, 0.2), (0.4, 0, 0.2), (0, 0.4, 0.2)]
)
def test_one_side_of_a_transition_is_calm_and_the_other_not_much_less(
    old: float, new: float, limit: float
) -> None:
    """The other one may change twice as much, if the window has twelve frames or more."""
    pictures = restless(old, new)
    free: dict[str, Any] = {**WHOLE, "max_badness": 9, "max_return_gradual": 0}
    free |= {"max_dissolve_error": 0.01, "max_wipe_error": -1, "wipe_noise": 0}
    assert found(pictures, max_side_change=1.08 * limit, **free)
    assert not found(pictures, max_side_change=0.92 * limit, **free)


def test_a_short_transition_needs_sides_that_change_less_than_it_does_itself() -> None:
    pictures = restless(0.2, 0.2)
    pictures = np.concatenate([pictures[:14], dissolved(steps(3), 0), pictures[25:]])
    free: dict[str, Any] = {**WHOLE, "max_return_gradual": 0, "max_dissolve_error": 0.01}
    free |= {"max_wipe_error": -1, "wipe_noise": 0}
    assert found(pictures, abrupt=4, max_abrupt_side=0.22, **free)
    assert not found(pictures, abrupt=4, max_abrupt_side=0.18, **free)


def test_a_dissolve_may_leave_a_share_of_its_change_unexplained_which_speaks_against_it() -> None:
    """Every second frame has something besides the mix of the two shots."""
    pictures = dissolved(steps(12), side=1)  # one window
    change = (NEW - OLD).astype(np.float64)
    other = (still(5) - 100).astype(np.float64)
    other -= change * (other @ change) / (change @ change)
    pictures[1:13:2] += (0.2 * other).astype(np.float32)
    error = 0.2 * np.abs(other).mean() / 2 / (np.abs(change).mean() + 1)
    free: dict[str, Any] = {"max_wipe_error": -1, "wipe_noise": 0, "max_return_gradual": 0, "max_badness": 9}
    assert found(pictures, **{**free, "max_dissolve_error": 1.02 * error})
    assert not found(pictures, **{**free, "max_dissolve_error": 0.98 * error})
    badness = 1.5 * error - 0.3 * APART / 40
    assert found(pictures, **{**free, "max_dissolve_error": 1, "max_badness": badness + 0.01})
    assert not found(pictures, **{**free, "max_dissolve_error": 1, "max_badness": badness - 0.01})


def test_the_extent_of_a_transition_does_not_depend_on_the_shot_after_a_cut() -> None:
    whole = found(dissolved(steps(7))[:20])
    followed = np.concatenate([dissolved(steps(7))[:20], np.repeat(still(5)[None], 9, 0)])
    assert whole == found(followed, [20]) and whole[0][1:3] == (12, 19)


def test_the_error_of_a_wipe_counts_half_as_much_again() -> None:
    pictures = wiped([3 * k for k in range(1, 13)], side=1)  # one window
    pictures[1:13:2] += (0.1 * (still(5) - 100)).astype(np.float32)
    small = coarse(pictures)
    error = mixes.wipe_of(small[1:13], small[0], small[13])[1].mean() / (np.abs(NEW - OLD).mean() + 1)
    badness = 1.5 * 1.5 * float(error) - 0.3 * APART / 40
    free: dict[str, Any] = {"max_dissolve_error": -1, "max_wipe_error": 1, "max_return_gradual": 0}
    assert found(pictures, **free, max_badness=badness + 0.01)
    assert not found(pictures, **free, max_badness=badness - 0.01)


def test_the_cut_of_a_wipe_is_where_half_of_the_change_is_covered() -> None:
    """The left half of the picture changes less: half of the change is in two thirds of the columns."""
    columns = np.tile(np.arange(WIDTH), HEIGHT)
    new = (OLD + (NEW - 100) * np.where(columns < WIDTH // 2, 0.5, 1.5)).astype(np.float32)
    pictures = [np.where(columns < 3 * k, new, OLD) for k in range(0, 17)]
    film = np.stack([OLD] * 10 + pictures + [new] * 10)
    weight = np.abs(coarse(new[None]) - coarse(OLD[None])).reshape(HEIGHT // 3, WIDTH // 3).sum(0)
    first = int(np.flatnonzero(np.cumsum(weight) / weight.sum() >= 0.5)[0]) + 1
    ((kind, _, _, cut),) = found(film, max_dissolve_error=0)
    assert (kind, cut) == ("wipe", 10 + first)


def test_in_a_short_window_the_livelier_side_may_change_a_tenth_more() -> None:
    pictures = restless(0.2, 0.3)
    pictures = np.concatenate([pictures[:14], dissolved(steps(3), 0), pictures[25:]])
    free: dict[str, Any] = {**WHOLE, "max_badness": 9, "max_return_gradual": 0, "abrupt": 0}
    free |= {"max_dissolve_error": 0.01, "max_wipe_error": -1, "wipe_noise": 0}
    for share, is_found in ((1.05, True), (0.95, False)):
        assert bool(found(pictures, max_side_change=share * 0.3 / 1.1, **free)) is is_found


@pytest.mark.parametrize(("side", "size"), [(0.0, 1.0), (0.4, 1.0), (0.4, 2.3)])
def test_similar_ends_and_restless_sides_speak_against_a_transition(side: float, size: float) -> None:
    """Ends that are 40 grey levels apart are not similar."""
    pictures = size * (restless(side, side) - 100) + 112
    limit = 0.3 * side - 0.3 * min(1, size * APART / 40)
    assert found(pictures, max_badness=limit + 0.02, max_return_gradual=0)
    assert not found(pictures, max_badness=limit - 0.02, max_return_gradual=0)


def test_a_wipe_between_restless_pictures_may_have_a_larger_error() -> None:
    pictures = wiped([3 * k for k in range(1, 16)])
    grain = 6 * np.random.default_rng(5).choice([-1, 1], (9, 16)).repeat(3, 0).repeat(3, 1).ravel()
    pictures[1:12:2] += grain
    pictures[28::2] += grain
    noise = 6 / (float(np.abs(NEW - OLD).mean()) + 1)
    for factor, count in ((1.05, 1), (0.8, 0)):
        settings = {
            **WHOLE,
            "max_wipe_error": -10,
            "max_dissolve_error": 0,
            "wipe_noise": factor * 10 / noise,
        }
        assert bool(found(pictures, max_return_gradual=0, **settings)) == count


def test_a_wipe_that_fills_its_part_of_the_film_has_no_frames_around_that_change() -> None:
    pictures = wiped([3 * k for k in range(1, 13)], side=1)  # one window
    assert found(pictures, max_dissolve_error=0, max_wipe_error=0.2)
    assert not found(pictures, max_dissolve_error=0, max_wipe_error=-1, wipe_noise=9)


def test_the_noise_around_a_window_is_the_median_of_the_changes_beside_it() -> None:
    rng = np.random.default_rng(5)
    changes, length = rng.uniform(0, 9, 80).astype(np.float32), 10
    begins = np.array([*range(0, 20), *range(30, 65), 69])
    borders = [30, 75]
    low, high = sides(begins, begins + length, len(changes), borders)
    expected = [
        np.median([*changes[a + 1 : begin + 1], *changes[begin + length + 1 : b + 1]] or [0])
        for a, b, begin in zip(low, high, begins.tolist(), strict=True)
    ]
    found = mixes._changes_beside(changes, begins, length, borders)
    assert found == pytest.approx(expected) and len(set(expected)) > 40
    alone = mixes._changes_beside(changes[:11], np.array([0]), length, [])
    assert alone.tolist() == [0], "no frame is beside it"
    beside = mixes._changes_beside(changes[:12], np.array([1]), length, [])
    assert beside.tolist() == [changes[1]], "one frame is"
