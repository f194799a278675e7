"""Strict decoding with threads reports all damage before it gives out a frame that the damage could touch."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.geometry import Image
from facerec.video import decoding as module
from facerec.video import seeking
from facerec.video.container import open_video
from facerec.video.decoding import DamagedFilm, Decoding, FrameIndex
from facerec.video.film import open_film, read_decoded, read_frames
from facerec.video.seeking import MAX_B_FRAMES, frames_around
from tests.films import cut_off, flip_bits, make_film


@pytest.mark.parametrize(
    ("bframes", "damaged", "last_safe"), [(0, 40, 39), (2, 42, 39), (2, 41, 39), (16, 34, 17)]
)
@pytest.mark.parametrize("threads", [1, 3])
def test_no_frame_is_given_out_whose_reference_may_prove_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bframes: int, damaged: int, last_safe: int, threads: int
) -> None:
    """A bidirectionally predicted frame comes out before one of its references is known to be intact."""
    film = open_film(make_film(tmp_path / "1-a.mp4", 60, bframes=bframes, gop=60))
    original = Decoding.numbered

    def damaged_late(self: Decoding, index: FrameIndex) -> Iterator[tuple[int, Any]]:
        for number, frame in original(self, index):
            if number == damaged:
                raise DamagedFilm(f"frame {number}")
            yield number, frame

    monkeypatch.setattr(Decoding, "numbered", damaged_late)
    given = []
    with pytest.raises(DamagedFilm):
        for number, _ in frames_around(film.path, film.index, 0, threads):
            given.append(number)
    assert given == list(range(last_safe + 1))


def test_frames_wait_for_as_long_as_any_encoder_may_need_if_their_order_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = open_film(make_film(tmp_path / "1-a.mp4", 60, bframes=2))
    original = Decoding._feed

    def forgetful(self: Decoding, context: Any, packet: Any) -> Iterator[Any]:
        self._fed.clear()
        yield from original(self, context, packet)

    monkeypatch.setattr(Decoding, "_feed", forgetful)
    decoding, came_out = Decoding(film.path, None, 1), []
    numbered = Decoding.numbered

    def counting(self: Decoding, index: FrameIndex) -> Iterator[tuple[int, Any]]:
        for item in numbered(self, index):
            came_out.append(item[0])
            yield item

    monkeypatch.setattr(Decoding, "numbered", counting)
    given = [(number, len(came_out)) for number, _ in seeking._delay(decoding, film.index)]
    assert [number for number, _ in given] == list(range(60))
    assert given[0] == (0, MAX_B_FRAMES + 1)


def test_a_packet_that_never_gives_a_frame_does_not_delay_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = open_film(make_film(tmp_path / "1-a.mp4", 150, bframes=2, gop=150))
    decoding = Decoding(film.path, None, 1)
    decoding._fed[-1] = -1
    came_out = 0
    numbered = decoding.numbered

    def counting(index: FrameIndex) -> Iterator[tuple[int, Any]]:
        nonlocal came_out
        for item in numbered(index):
            came_out += 1
            yield item

    monkeypatch.setattr(decoding, "numbered", counting)
    held = [came_out - number - 1 for number, _ in seeking._delay(decoding, film.index)]
    assert held[0] == MAX_B_FRAMES
    assert max(held[100:]) <= 3


@pytest.mark.parametrize("threads", [1, 4, 12])
def test_the_reordering_buffer_holds_a_frame_until_its_threads_have_reported(
    tmp_path: Path, threads: int
) -> None:
    """A thread may set the flag "corrupt" of a frame after the frame left a shorter buffer."""
    path = make_film(tmp_path / "1-a.mp4", 30, bframes=2)
    with open_video(path) as (_, stream):
        context = stream.codec_context
        before = context.reorder_depth
        module._use_threads(context, threads)
        assert context.name == "h264" and context.thread_count == threads
        assert context.reorder_depth == min(16, before + threads) > before


@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_packets_that_are_read_ahead_change_no_frame_of_a_damaged_film(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packets are read in groups; damage may be in the middle of one, and the film may end there."""
    intact = make_film(tmp_path / "1-a.mp4" if damage == "flipped" else tmp_path / "1-a.mkv", 90, bframes=2)
    to = intact.with_stem("1-b")
    broken = flip_bits(intact, to, 3, 12) if damage == "flipped" else cut_off(intact, to, 0.6)

    def read() -> list[tuple[int, int]]:
        film = open_film(broken)
        return [(number, zlib.crc32(image)) for number, image in read_frames(film, 0, 90, 3)]

    found = read()
    assert 20 < len(found) < 90
    monkeypatch.setattr(module, "PACKETS", 1)
    assert read() == found


def rolling_noise(number: int, width: int, height: int) -> Image:
    """Return noise that moves by two pixels a frame, and changes a little."""
    moving = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    change = np.random.default_rng(number).integers(-12, 13, moving.shape)
    return np.clip(np.roll(moving, 2 * number, axis=1) + change, 0, 255).astype(np.uint8)


def test_damaged_frames_are_the_same_however_long_their_reader_keeps_them(tmp_path: Path) -> None:
    """What is missing is left as it was in the decoder's memory, which a reader's frames take from it."""
    options = {"preset": "veryfast", "crf": "22", "x264-params": "keyint=12:bframes=1:slices=4"}
    size: dict[str, Any] = {"width": 64, "height": 48, "draw": rolling_noise}
    path, broken = make_film(tmp_path / "1-a.ts", 48, options=options, **size), tmp_path / "1-b.ts"
    for seed in (6, 9, 20, 42):  # damage for which it was so
        film = open_film(flip_bits(path, broken, seed, 3, keep=1500))
        dropped = [zlib.crc32(bytes(one.picture.planes[2])) for one in read_decoded(film, 0, 48, 1)]
        kept = [zlib.crc32(bytes(one.picture.planes[2])) for one in list(read_decoded(film, 0, 48, 1))]
        assert kept == dropped and len(kept) > 40


def test_an_index_finds_frames_by_their_times() -> None:
    index = FrameIndex(np.array([10, 20, 40]), module.Fraction(1, 25))
    assert [index.number(pts) for pts in (10, 40, 30, 50, None)] == [0, 2, None, None, None]
