"""Skipping frames that are not wanted: the same pixels and the same lost frames as without it."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from facerec.video import segments
from facerec.video.film import Film, open_film, read_decoded
from facerec.video.skipping import reference_test
from tests.films import flip_bits, make_film
from tests.video.test_film import KINDS

# share of the frames, at least and at most, that is decoded if only the last one is wanted
DECODED = {
    "1-b-frames.mp4": (0.3, 0.7),
    "1-open-gop.ts": (0.3, 0.7),
    "1-pictures.avi": (0, 0.1),
    "1-constant-rate.mp4": (1, 1),  # every frame refers to the one before it
    "1-mpeg2.mpg": (1, 1),  # damage of a B frame may lose others
    "1-mpeg4.avi": (1, 1),
    "1-no-times.h264": (1, 1),
}


def read(film: Film, beg: int, end: int, wanted: set[int] | None = None) -> list[tuple[int, int]]:
    """Return numbers and checksums of the frames read."""
    chosen = None if wanted is None else np.isin(np.arange(film.frame_count), list(wanted))
    frames = read_decoded(film, beg, end, 2, chosen)
    return [(frame.number, zlib.crc32(frame.image().tobytes())) for frame in frames]


def check(film: Film, whole: list[tuple[int, int]], wanted: set[int], beg: int, end: int) -> None:
    """Check the wanted frames of `[beg, end)`, and the neighbours of those that are lost."""
    found = read(film, beg, end, wanted)
    assert found == sorted(set(found)) and set(found) <= set(whole)
    there, decodable = {number for number, _ in found}, [number for number, _ in whole]
    for frame in sorted(wanted & set(range(beg, end))):
        if frame in decodable:
            assert frame in there
            continue
        before = [number for number in decodable if number < frame][-1:]
        after = [number for number in decodable if frame < number < end][:1]
        if before + after:  # else nothing of the range can be decoded
            assert set(before + after) <= there, frame


FAST = {"1-b-frames.mp4", "1-open-gop.ts", "1-interlaced.ts", "1-times-out-of-order.avi", "1-pictures.avi"}


def marked(name: str) -> Any:
    return pytest.param(name, marks=() if name in FAST else pytest.mark.slow)


@pytest.mark.parametrize("name", [marked(name) for name in KINDS])
def test_wanted_frames_have_the_same_pixels(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = open_film(make_film(tmp_path / name, 130, **KINDS[name]))
    whole = read(film, 0, 130)
    monkeypatch.setattr(segments, "_decode_leniently", None)  # never called
    for step, beg, end in ((25, 0, 130), (7, 0, 130), (7, 11, 90), (2, 65, 130)):
        check(film, whole, set(range(step // 2, 130, step)), beg, end)
    assert read(film, 0, 130, set()) == [] == read(film, 20, 40, {50})
    least, most = DECODED.get(name, (0, 1))
    assert least * 130 <= len(read(film, 0, 130, {129})) <= most * 130


@pytest.mark.parametrize("name", ["1-b-frames.mp4", "1-one-key-frame.mp4", "1-open-gop.ts", "1-pictures.avi"])
@pytest.mark.parametrize("seeds", [(11,), pytest.param(range(12), marks=pytest.mark.slow)])
def test_damage_loses_the_same_frames(name: str, seeds: Sequence[int], tmp_path: Path) -> None:
    intact = make_film(tmp_path / name, 200, **KINDS[name])
    lost = 0
    for seed in seeds:
        film = open_film(flip_bits(intact, tmp_path / f"2-{name}", seed, (1, 3, 12)[seed % 3], keep=3000))
        count = film.frame_count
        whole = read(film, 0, count)
        lost += count - len(whole)
        rng = random.Random(seed)
        for wanted in (set(range(12, count, 25)), set(rng.sample(range(count), count // 2))):
            check(film, whole, wanted, 0, count)
            check(film, whole, wanted, *sorted(rng.sample(range(count + 1), 2)))
    assert 0 < lost < 100 * len(seeds), "some frames must be lost, and by far not all"


@pytest.mark.parametrize(("seed", "lost"), [(22, 50), (39, 74)])
def test_damage_of_a_frame_that_no_other_refers_to_changes_no_other(
    seed: int, lost: int, tmp_path: Path
) -> None:
    intact = make_film(tmp_path / "1-intact.mp4", 200, **KINDS["1-one-key-frame.mp4"])
    data = bytearray(intact.read_bytes())
    with av.open(str(intact)) as container:
        stream = container.streams.video[0]
        test = reference_test(stream.codec_context)
        assert test is not None
        packet = next(p for p in container.demux(stream) if p.pts is not None and p.pts == 512 * lost)
        assert test(packet) and packet.pos is not None
        begin, size = packet.pos, packet.size
    rng = random.Random(seed)
    for _ in range(4):
        data[begin + rng.randrange(12, size)] ^= 1 << rng.randrange(8)
    damaged = tmp_path / "2-damaged.mp4"
    damaged.write_bytes(data)
    there = [(number, checksum) for number, checksum in read(open_film(intact), 0, 200) if number != lost]
    assert read(open_film(damaged), 0, 200) == there


def test_packets_that_cannot_be_parsed_are_not_skipped(tmp_path: Path) -> None:
    film = make_film(tmp_path / "1-a.mp4", 20, bframes=2)
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        test = reference_test(stream.codec_context)
        assert test is not None
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    disposable = next(data for data in packets if test(av.Packet(data)))
    assert not test(av.Packet(packets[0]))
    for damaged in (
        disposable[:-1],
        disposable[:3],
        b"\xff" + disposable[1:],
        bytes(4) + disposable,
        disposable + packets[0],
    ):
        assert not test(av.Packet(damaged))
