"""Transitions between shots, and what is none: light, motion, and what passes before the lens."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import facerec.video.shots as shot_module
from facerec.errors import InputError
from facerec.geometry import MINIATURE_BYTES
from facerec.settings import ShotSettings
from facerec.video.film import open_film, read_decoded
from facerec.video.gradual import Found
from facerec.video.miniature import HEIGHT, LUMA_BYTES, WIDTH, pixels_of
from facerec.video.shots import HARD, Transition, cuts_of, decide, find_transitions

CUTS = {
    "10001-HamiltonAtTheWhiteHouse": [20, 82, 211],
    "10002-Chaplin": [],
    "10003-StreetCrowd": [],
    "10004-BasketballRobot": [42, 142, 251, 441, 478, 620, 659, 757, 859],
    "10005-Anamorphic": [70, 170, 301, 421, 484],
    "10006-VariableFrameRate": [60, 140],
}
Pictures = NDArray[np.float32]


@cache
def scene(number: int) -> Pictures:
    """A wide picture of a scene, larger than a frame."""
    coarse = np.random.default_rng(number).integers(20, 200, (9, 16)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (3 * WIDTH, 3 * HEIGHT), interpolation=cv2.INTER_CUBIC), np.float32)


def shot(number: int, count: int, speed: float = 0.05) -> Pictures:
    """Frames of a scene under a camera that moves by `speed` pixels a frame."""
    return filmed(number, [speed * k for k in range(count)])


def filmed(number: int, path: list[float]) -> Pictures:
    """Frames of a scene from places along a path, in pixels."""
    places, count = [(30 + at, 20 + at / 2) for at in path], len(path)
    size = WIDTH, HEIGHT
    frames = [cv2.getRectSubPix(scene(number), size, (x + WIDTH / 2, y + HEIGHT / 2)) for x, y in places]
    grain = np.random.default_rng(number).normal(0, 1.5, (count, HEIGHT, WIDTH))
    return np.asarray(np.stack(frames) + grain, np.float32)


def transitions(*parts: Pictures, settings: ShotSettings | None = None) -> list[Transition]:
    pictures = np.concatenate(parts)
    miniatures = np.full((len(pictures), MINIATURE_BYTES), 128, np.uint8)
    miniatures[:, :LUMA_BYTES] = pictures.clip(0, 255).reshape(len(pictures), LUMA_BYTES)
    return find_transitions(np.arange(len(pictures)), miniatures, settings)


def dissolve(old: Pictures, new: Pictures) -> Pictures:
    share = (np.arange(len(old), dtype=np.float32)[:, None, None] + 0.5) / len(old)
    return np.asarray(old * (1 - share) + new * share, np.float32)


def fade(old: Pictures, new: Pictures, level: float) -> Pictures:
    half, colour = len(old) // 2, np.full_like(old, level)
    return np.concatenate(
        [dissolve(old[:half], colour[:half]), dissolve(colour[half:], new[half:])], dtype=np.float32
    )


def wipe(old: Pictures, new: Pictures) -> Pictures:
    edges = (np.arange(len(old)) + 0.5) / len(old) * WIDTH
    return np.where(np.arange(WIDTH) < edges[:, None, None], new, old).astype(np.float32)


@pytest.mark.parametrize("cut", [1, 2, 3, 40, 76, 77, 78, 79])
def test_a_cut_is_found_wherever_it_is(cut: int) -> None:
    assert transitions(shot(0, cut), shot(1, 80 - cut)) == [Transition("cut", cut, cut, cut)]


def test_cuts_between_moving_pictures_and_between_dark_ones() -> None:
    moving = transitions(shot(0, 40, speed=1.5), shot(1, 40, speed=1.5))
    assert cuts_of(moving) == [40]
    dark = transitions(*(0.3 * shot(number, 40) for number in (2, 3)))
    assert cuts_of(dark) == [40]


@pytest.mark.parametrize("length", [4, 5, 7, 12])
def test_a_short_shot_between_two_others_has_both_cuts(length: int) -> None:
    assert cuts_of(transitions(shot(0, 40), shot(1, length), shot(2, 40))) == [40, 40 + length]


@pytest.mark.parametrize("length", [4, 8, 12, 24, 48])
def test_a_dissolve_is_found_with_its_extent(length: int) -> None:
    old, new = shot(0, 60 + length), shot(1, 60 + length)
    (found,) = transitions(old[:60], dissolve(old[60:], new[:length]), new[length:])
    assert found.kind == "dissolve"
    assert abs(found.cut - (60 + length // 2)) <= 2 + length // 10
    assert 60 <= found.begin <= 62 + length // 3 and 58 + 2 * length // 3 <= found.end <= 61 + length


@pytest.mark.parametrize("length", [12, 24, 36])
@pytest.mark.parametrize(("level", "kind"), [(0, "fade through black"), (255, "fade through white")])
def test_a_fade_is_one_transition(level: float, kind: str, length: int) -> None:
    old, new = shot(0, 60 + length), shot(1, 60 + length)
    (found,) = transitions(old[:60], fade(old[60:], new[:length], level), new[length:])
    assert found.kind == kind and abs(found.cut - (60 + length // 2)) <= 2


def test_fades_are_found_in_a_film_that_begins_and_ends_with_black_frames() -> None:
    old, new, black = shot(0, 72), shot(1, 72), np.zeros((12, HEIGHT, WIDTH), np.float32)
    (found,) = transitions(black, old[:60], fade(old[60:], new[:12], 0), new[12:], black)[1:-1]
    assert found.kind == "fade through black" and abs(found.cut - 78) <= 2


@pytest.mark.parametrize("more", [0, 1, 2, 3])
def test_a_fade_may_begin_and_end_with_the_film(more: int) -> None:
    old, new = shot(0, 12 + more), shot(1, 12 + more)
    (found,) = transitions(old[:more], fade(old[more:], new[:12], 0), new[12:])
    assert found.kind == "fade through black" and abs(found.cut - (more + 6)) <= 2


def test_a_fade_with_black_frames_between_is_one_transition_and_a_cut_to_black_two_cuts() -> None:
    old, new, black = shot(0, 72), shot(1, 72), np.zeros((20, HEIGHT, WIDTH), np.float32)
    half = np.zeros((12, HEIGHT, WIDTH), np.float32)
    (found,) = transitions(old[:60], dissolve(old[60:], half), black, dissolve(half, new[:12]), new[12:])
    assert found.kind == "fade through black" and abs(found.cut - 82) <= 2
    assert cuts_of(transitions(old, black, new)) == [72, 92]


def test_a_film_that_fades_in_at_its_start_and_out_at_its_end_has_no_transition() -> None:
    one, black = shot(0, 100), np.zeros((12, HEIGHT, WIDTH), np.float32)
    assert transitions(black, dissolve(black, one[:12]), one[12:88], dissolve(one[88:], black), black) == []


FADE = Found("fade through black", 20, 32, 26)


def decided(monkeypatch: pytest.MonkeyPatch, *found: Found, light: Found | None = None) -> list[Found]:
    """Decide what is found besides a fade, if `light` alone is due to light."""
    empty = np.zeros((60, MINIATURE_BYTES), np.uint8)
    monkeypatch.setattr(shot_module, "find_fades", lambda *_: [FADE])
    cuts, slow = [one.cut for one in found if one.kind == HARD], [one for one in found if one.kind != HARD]
    monkeypatch.setattr(shot_module, "find_hard_cuts", lambda *_: cuts)
    monkeypatch.setattr(shot_module, "find_gradual", lambda *_: slow)
    chosen = ShotSettings(max_flat_contrast=1.5)

    def is_flash(pictures: Pictures, one: Found, settings: ShotSettings) -> bool:
        assert len(pictures) == 60 and settings == chosen
        return one == light

    monkeypatch.setattr(shot_module, "is_flash", is_flash)
    return [one for one in decide(empty, chosen) if one != FADE]


def test_what_overlaps_a_fade_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut to black, or the slow end of a fade, is no transition besides."""
    for cut, is_part in ((19, False), (20, True), (21, True), (26, True), (32, True), (33, False)):
        hard = Found(HARD, cut, cut, cut)
        assert decided(monkeypatch, hard) == ([] if is_part else [hard]), cut
    extents = {(5, 19): False, (5, 20): True, (22, 30): True, (32, 40): True, (33, 40): False}
    for (begin, end), is_part in extents.items():
        slow = Found("dissolve", begin, end, (begin + end) // 2)
        assert decided(monkeypatch, slow) == ([] if is_part else [slow]), (begin, end)


def test_light_is_no_transition_of_any_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    others = Found(HARD, 7, 7, 7), Found("dissolve", 40, 50, 45)
    for light in (*others, FADE):
        found = decided(monkeypatch, *others, light=light)
        assert found == [one for one in others if one != light], light
    assert decided(monkeypatch, Found("wipe", 22, 30, 26), light=FADE) == [Found("wipe", 22, 30, 26)]


@pytest.mark.parametrize("length", [10, 16, 24])
def test_a_wipe_is_found(length: int) -> None:
    old, new = shot(4, 60 + length), shot(5, 60 + length)
    (found,) = transitions(old[:60], wipe(old[60:], new[:length]), new[length:])
    assert found.kind == "wipe" and abs(found.cut - (60 + length // 2)) <= 2


def lit(frames: Pictures, first: int, last: int, gain: float, offset: float = 0.0) -> Pictures:
    changed = frames.copy()
    changed[first:last] = (changed[first:last] * gain + offset).clip(0, 255)
    return changed


@pytest.mark.parametrize("length", [*range(1, 9), 16])
@pytest.mark.parametrize(("gain", "offset"), [(0.2, 204), (3, 0), (0, 255), (0.1, 0)])
def test_a_flash_is_no_transition(length: int, gain: float, offset: float) -> None:
    assert transitions(lit(shot(0, 80), 40, 40 + length, gain, offset)) == []


@pytest.mark.parametrize("length", [3, 4])
def test_a_flash_that_fades_while_the_camera_moves_is_no_transition(length: int) -> None:
    """The picture after it is the one before, moved so far that pixel by pixel they are unrelated."""
    for number in range(4):
        frames = filmed(number, [2.5 * k for k in range(26)])
        for k in range(length):
            light = 0.97 * 0.8**k
            frames[12 + k] = frames[12 + k] * (1 - light) + 255 * light
        assert transitions(frames) == [], number


def test_a_cut_that_is_hidden_in_light_is_found() -> None:
    frames = np.concatenate([shot(0, 40), shot(1, 40)])
    out = frames.copy()  # a lamp goes out before the cut and glows up to it
    for k, light in enumerate((0.05, 0.2, 0.4, 0.55)):
        out[36 + k] *= light
    assert cuts_of(transitions(out)) == [40]
    for first, last in ((37, 40), (40, 43)):
        (found,) = transitions(lit(frames, first, last, 0, 255))
        assert first <= found.cut <= last, (first, found)


def test_a_short_shot_between_two_of_one_scene_is_no_flash() -> None:
    """Its pictures are brighter, but in parts darker, which light is not."""
    frames = shot(0, 88)
    frames[40:48] = shot(1, 8) + 20
    assert cuts_of(transitions(frames)) == [40, 48]


def test_a_jump_within_a_scene_after_a_flicker_is_a_cut() -> None:
    """Light that hides nothing does not explain the change."""
    for jump in (6.0, 8.0):
        frames = filmed(0, [0.0] * 40 + [jump] * 40)
        assert cuts_of(transitions(lit(frames, 39, 40, 1.2))) == [40], jump


@pytest.mark.parametrize("gain", [0.4, 0.6, 1.5])
def test_a_step_and_a_ramp_of_exposure_are_no_transition(gain: float) -> None:
    frames = shot(0, 80)
    assert transitions(lit(frames, 40, 80, gain)) == []
    ramp = 1 + (gain - 1) * np.clip((np.arange(80) - 30) / 12, 0, 1)
    assert transitions((frames * ramp[:, None, None]).clip(0, 255)) == []


def test_strobe_and_flicker_are_no_transition() -> None:
    frames = shot(0, 80)
    strobe = frames.copy()
    strobe[30:54:3] = (2.2 * strobe[30:54:3]).clip(0, 255)
    assert transitions(strobe) == []
    light = np.random.default_rng(0).normal(1, 0.1, (80, 1, 1))
    assert transitions((frames * light).clip(0, 255)) == []


def test_a_ball_before_the_lens_a_fast_pan_and_a_subtitle_are_no_transition() -> None:
    frames = shot(0, 80)
    ball = frames.copy()
    for k, middle in enumerate((8, 20, 32, 44)):
        ball[40 + k, :, max(0, middle - 18) : middle + 18] = 230
    assert transitions(ball) == []
    for number in range(3):
        for speed, length in ((0.5, 60), (1, 30), (1.5, 20), (3, 12)):
            pan = [0.0] * 30 + [speed * k for k in range(length)] + [speed * length] * 30
            assert transitions(filmed(number, pan)) == [], (number, speed)
    subtitle = frames.copy()
    subtitle[30:60, 22:25, 8:40] = 255
    assert transitions(subtitle) == []


def grown(number: int, length: int) -> Pictures:
    """A picture that grows over a plain background, with still frames before and after."""
    frames = []
    for share in np.clip((np.arange(length + 60) - 30) / length, 0, 1):
        size = 0.2 + 0.8 * share
        matrix = np.array([[size / 3, 0, (1 - size) * WIDTH / 2], [0, size / 3, (1 - size) * HEIGHT / 2]])
        frame = cv2.warpAffine(scene(number), matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderValue=110)
        frames.append(frame)
    return np.asarray(np.stack(frames), np.float32)


def test_a_picture_that_grows_over_a_plain_background_is_no_transition() -> None:
    for number in (1, 2):
        frames = grown(number, 36)
        assert transitions(frames) == [] and transitions(frames[::-1]) == [], number


def titled(number: int) -> Pictures:
    """A camera that moves and then rests while a title appears over half of the picture."""
    rows, share = 13, np.clip((np.arange(120) - 60) / 16, 0, 1)[:, None, None]
    frames = filmed(number, [0.15 * min(k, 58) for k in range(120)])
    letters = (np.random.default_rng(number).random((4, 12)) > 0.5).astype(np.float32)
    title = 60 + 180 * cv2.resize(letters, (WIDTH, rows), interpolation=cv2.INTER_NEAREST)
    frames[:, :rows] = frames[:, :rows] * (1 - share) + title * share
    return frames


@pytest.mark.parametrize("number", [6, 7])
def test_a_title_that_appears_after_the_camera_has_moved_is_no_transition(number: int) -> None:
    assert transitions(titled(number)) == []


def test_a_frame_after_lost_ones_is_compared_across_the_gap() -> None:
    def cuts(pictures: Pictures) -> list[int]:
        miniatures = np.full((len(pictures), MINIATURE_BYTES), 128, np.uint8)
        miniatures[:, :LUMA_BYTES] = pictures.clip(0, 255).reshape(len(pictures), -1)
        return cuts_of(find_transitions(np.array([*range(20), *range(120, 140)]), miniatures))

    assert cuts(shot(0, 40)) == [] and cuts(np.concatenate([shot(0, 20), shot(1, 20)])) == [120]


def test_empty_and_still_films_have_no_transition() -> None:
    for count in (0, 1, 2, 40):
        assert transitions(np.repeat(shot(0, 1), count, 0)) == []
        assert transitions(np.zeros((count, HEIGHT, WIDTH), np.float32)) == []


@pytest.mark.slow
def test_the_parts_that_a_long_film_is_decided_in_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[Pictures] = []
    for number in range(0, 6, 2):
        old, new = shot(number, 80), shot(number + 1, 80)
        parts += [old[:60], dissolve(old[60:], new[:20]), new[20:]]
    whole = transitions(*parts)
    assert len(whole) == 5 and {one.kind for one in whole} == {"cut", "dissolve"}
    for part in (70, 140):  # 70 is in the middle of a dissolve
        monkeypatch.setattr(shot_module, "_PART", part)
        monkeypatch.setattr(shot_module, "_MARGIN", 130)
        assert transitions(*parts) == whole, part


def test_settings_that_make_no_sense_are_refused() -> None:
    ratios = [{"adaptive_ratio": ratio} for ratio in (0.9, float("nan"), float("inf"))]
    for wrong in ({"shots": "guess"}, *ratios, {"min_shot": 0}):
        with pytest.raises(InputError):
            ShotSettings(**wrong)  # type: ignore[arg-type]


def test_a_higher_ratio_finds_fewer_cuts() -> None:
    moving = shot(0, 40, speed=1.5), shot(1, 40, speed=1.5)
    assert transitions(*moving, settings=ShotSettings(adaptive_ratio=50)) == []


@pytest.mark.parametrize("clip", CUTS)
def test_transitions_of_real_film(clip: str, shared: Path) -> None:
    opened = open_film(shared / "data" / "clips" / f"{clip}.mp4")
    read = [(one.number, pixels_of(one.reduced())) for one in read_decoded(opened, 0, opened.frame_count)]
    found = find_transitions(np.array([n for n, _ in read]), np.stack([one for _, one in read]))
    assert found == [Transition("cut", cut, cut, cut) for cut in CUTS[clip]]
