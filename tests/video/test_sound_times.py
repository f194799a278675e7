"""Where each piece of sound is placed: at its time, unless the time is rounded, wrong or not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from facerec.video import sound as module
from facerec.video.sound import RATE, Sound, SoundReading, _Piece, open_sound, sample_at

SECOND = Fraction(1)
MS = Fraction(1, 1000)
SOUND = Sound(Path("7-a.mkv"), Fraction(0), True, "aac", RATE, 2)


def piece(
    time: Fraction | None, seconds: Fraction, level: float, damaged: int = 0, rate: int = RATE
) -> _Piece:
    return _Piece(time, rate, np.full(int(seconds * rate), level, np.float32), damaged)


def placed(
    pieces: Sequence[_Piece],
    monkeypatch: pytest.MonkeyPatch,
    *,
    end: int | None = 5 * RATE,
    sound: Sound = SOUND,
) -> tuple[list[tuple[int, float]], SoundReading]:
    """Return at which samples the level changes, and the reading."""
    monkeypatch.setattr(module, "_decode", lambda _: iter(pieces))
    reading = SoundReading(sound, 0, end)
    samples = np.concatenate([np.empty(0, np.float32), *reading.blocks()])
    at = [0, *(np.flatnonzero(np.diff(samples)) + 1).tolist()]
    return [(k, float(samples[k])) for k in at if k < len(samples)], reading


@pytest.mark.parametrize(
    ("late", "damaged", "moved"),
    [
        (Fraction(0), 0, 0),
        (14 * MS, 0, 0),
        (-14 * MS, 0, 0),
        (15 * MS, 0, 240),
        (16 * MS, 0, 256),
        (-16 * MS, 0, -256),
        (Fraction(3, 2) * MS, 1, 0),
        (2 * MS, 1, 32),
        (-3 * MS, 1, -48),
        (500 * MS, 0, 8000),
    ],
)
def test_a_piece_is_moved_to_its_time_if_that_is_no_rounding(
    late: Fraction, damaged: int, moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After damage, where packets are known to be missing, less is believed to be rounding."""
    pieces = [
        piece(Fraction(0), SECOND, 0.25),
        piece(1 + late, SECOND, 0.5, damaged),
        piece(None if damaged else 2 + late, SECOND, 0.75),
    ]
    found, reading = placed(pieces, monkeypatch)
    gap = [(RATE, 0.0)] if moved > 0 else []
    begin, overlap = RATE + max(moved, 0), max(-moved, 0)
    later = [(begin, 0.5), (begin + RATE - overlap, 0.75), (begin + 2 * RATE - overlap, 0.0)]
    assert found == [(0, 0.25), *gap, *later]
    assert reading.silent_samples(0, 2 * RATE) == max(moved, 0)
    assert reading.damaged_packets(0, 5 * RATE) == damaged == reading.damaged_packets(RATE, RATE + 1)
    assert reading.damaged_packets(0, RATE) == reading.damaged_packets(RATE + 1, 5 * RATE) == 0


def test_a_time_that_the_next_piece_contradicts_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    for late, following, is_wrong in ((60, 14, True), (60, 16, False), (60, -16, False), (-60, -14, True)):
        pieces = [
            piece(Fraction(0), SECOND, 0.25),
            piece(1 + late * MS, SECOND, 0.5),
            piece(2 + following * MS, SECOND, 0.75),
        ]
        found, _ = placed(pieces, monkeypatch)
        assert (found[1][0] == RATE and found[1][1] == 0.5) is is_wrong, (late, following)
    unknown = [piece(Fraction(0), SECOND, 0.25), piece(1 + 60 * MS, SECOND, 0.5), piece(None, SECOND, 0.75)]
    assert placed(unknown, monkeypatch)[0][1:3] == [(RATE, 0.0), (RATE + 960, 0.5)], "nothing contradicts it"


def test_sound_begins_at_its_time_in_the_film_or_with_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [piece(3 + MS, SECOND, 0.25), piece(4 + MS, SECOND, 0.5)]
    in_film = replace(SOUND, origin=Fraction(3))
    assert placed(pieces, monkeypatch, sound=in_film)[0][:2] == [(0, 0.0), (16, 0.25)], (
        "a first time is exact"
    )
    early = replace(SOUND, origin=Fraction(7, 2))
    assert placed(pieces, monkeypatch, sound=early)[0][:2] == [(0, 0.25), (RATE // 2 + 16, 0.5)]
    alone = replace(SOUND, origin=None)
    assert placed(pieces, monkeypatch, sound=alone)[0][:2] == [(0, 0.25), (RATE, 0.5)]
    untimed = replace(SOUND, timed=False)
    assert placed(pieces, monkeypatch, sound=untimed)[0][:2] == [(0, 0.25), (RATE, 0.5)]
    nothing = [piece(None, SECOND, 0.25), piece(Fraction(9), Fraction(0), 0), piece(SECOND, SECOND, 0.5)]
    assert placed(nothing, monkeypatch)[0][:2] == [(0, 0.25), (RATE, 0.5)]


def test_hours_without_sound_are_believed_only_in_a_film(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_GAP", 2)
    for late, is_gap in ((SECOND * 2, True), (SECOND * 2 + MS, False)):
        pieces = [piece(Fraction(0), SECOND, 0.25), piece(1 + late, SECOND, 0.5)]
        found, _ = placed(pieces, monkeypatch, end=None)
        assert found == [(0, 0.25), *([(RATE, 0.0), (3 * RATE, 0.5)] if is_gap else [(RATE, 0.5)])]
        in_film, _ = placed(pieces, monkeypatch)
        assert in_film[1:3] == [(RATE, 0.0), (RATE + sample_at(late), 0.5)]


def test_gaps_are_counted_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [piece(Fraction(0), SECOND, 0.25), piece(Fraction(7, 2), SECOND / 2, 0.5)]
    _, reading = placed(pieces, monkeypatch)
    assert reading._gaps == [(RATE, 7 * RATE // 2), (4 * RATE, 5 * RATE)], (
        "one gap is one, however it is read"
    )
    counts = [reading.silent_samples(*part) for part in ((0, RATE), (0, RATE + 5), (3 * RATE, 4 * RATE + 7))]
    assert counts == [0, 5, RATE // 2 + 7] and reading.silent_samples(2 * RATE, 2 * RATE + 9) == 9


def test_a_sound_without_any_packet_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    found, reading = placed([], monkeypatch, sound=replace(SOUND, sample_rate=0))
    assert found == [(0, 0.0)] and reading.silent_samples(0, 5 * RATE) == 5 * RATE


def test_the_rate_may_be_known_only_from_the_first_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [piece(Fraction(0), SECOND, 0.25, rate=8000), piece(SECOND, SECOND, 0.5, rate=8000)]
    found, _ = placed(pieces, monkeypatch, sound=replace(SOUND, sample_rate=0), end=2 * RATE)
    by_level = np.array([level for _, level in found])
    at = np.array([k for k, _ in found])
    assert abs(at[np.flatnonzero(by_level > 0.375)[0]] - RATE) < 20


@pytest.mark.parametrize("missing", [1, RATE + 1])
def test_no_sound_is_lost_after_a_gap_of_any_length(missing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gaps are filled second by second; one sample may remain."""
    found, reading = placed([piece(Fraction(missing, RATE), SECOND, 0.25)], monkeypatch)
    assert found == [(0, 0.0), (missing, 0.25), (missing + RATE, 0.0)]
    assert reading.silent_samples(0, RATE) == min(missing, RATE)


def test_a_later_part_at_another_rate_is_as_long_as_its_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [piece(Fraction(0), SECOND, 0.25), piece(SECOND, SECOND, 0.5, rate=8000)]
    monkeypatch.setattr(module, "_decode", lambda _: iter(pieces))
    samples = np.concatenate(list(SoundReading(SOUND).blocks()))
    assert len(samples) == 2 * RATE and samples[-RATE // 2 : -50] == pytest.approx(0.5, abs=1e-3)


def test_a_time_before_zero_gives_the_nearest_sample() -> None:
    assert [sample_at(Fraction(k, 10 * RATE)) for k in (-12, -5, -6, 4, 5, 15)] == [-1, 0, -1, 0, 1, 2]


def decoded(
    packets: Sequence[Any], rate: int, monkeypatch: pytest.MonkeyPatch, last: Sequence[Any] = ()
) -> list[tuple[Any, int, int, int]]:
    """Return time, rate, number of samples and damage of each piece; `last`: what the decoder kept back."""
    context = SimpleNamespace(thread_count=0, options={})

    def decode(packet: Any) -> list[Any]:
        made = last if packet is None else packet.frames
        if isinstance(made, Exception):
            raise made
        return list(made)

    @contextmanager
    def opened(path: Path) -> Iterator[tuple[Any, Any]]:
        yield None, SimpleNamespace(codec_context=context)

    context.decode = decode
    monkeypatch.setattr(module, "open_audio", opened)
    monkeypatch.setattr(module, "packets", lambda *_: iter(packets))
    pieces = list(module._decode(replace(SOUND, sample_rate=rate)))
    assert context.thread_count == 1 and context.options == {"err_detect": "crccheck+explode"}
    return [(one.time, one.rate, len(one.samples), one.damaged) for one in pieces]


def frame(pts: int | None, rate: int = 8000, count: int = 100) -> Any:
    made = av.AudioFrame.from_ndarray(np.zeros((1, count), np.float32), format="fltp", layout="mono")
    made.sample_rate, made.time_base = rate, Fraction(1, 1000)
    made.pts = pts
    return made


def packet(*frames: Any, error: Exception | None = None, is_corrupt: bool = False) -> Any:
    return SimpleNamespace(frames=error or frames, is_corrupt=is_corrupt)


def test_damage_counts_with_the_piece_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = (ValueError("no"), OSError("no"), av.error.InvalidDataError(1, "no"))
    packets = [
        packet(frame(0)),
        packet(frame(100), is_corrupt=True),
        *(packet(error=error) for error in errors),
        packet(frame(200), frame(300), is_corrupt=True),
        packet(frame(400, rate=900), frame(500, rate=800_000), frame(600)),
        packet(error=errors[0], is_corrupt=True),
        packet(frame(None)),
        packet(error=errors[1]),
    ]
    times = [Fraction(k, 10) for k in (0, 1, 2, 3, 6)]
    expected = [(time, 8000, 100, damaged) for time, damaged in zip(times, (0, 1, 4, 0, 2), strict=True)]
    assert decoded(packets, 8000, monkeypatch) == [*expected, (None, 8000, 100, 2), (None, 8000, 0, 1)]
    assert decoded([packet(error=errors[0])], 11025, monkeypatch) == [(None, 11025, 0, 1)]
    assert decoded([packet(error=errors[0])], 0, monkeypatch) == [(None, RATE, 0, 1)]
    assert decoded([packet(frame(0, rate=1000), frame(1, rate=768_000))], 8000, monkeypatch) == [
        (0, 1000, 100, 0),
        (Fraction(1, 1000), 768_000, 100, 0),
    ]


def test_the_sound_that_a_decoder_keeps_back_is_read_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    found = decoded([packet(frame(0))], 8000, monkeypatch, last=[frame(100)])
    assert found == [(0, 8000, 100, 0), (Fraction(1, 10), 8000, 100, 0)]


def test_a_sound_says_how_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    context = SimpleNamespace(name="aac", sample_rate=44100, channels=6)

    @contextmanager
    def opened(path: Path) -> Iterator[tuple[Any, Any]]:
        yield None, SimpleNamespace(codec_context=context)

    monkeypatch.setattr(module, "open_audio", opened)
    path = Path("7-a.mkv")
    assert open_sound(path) == Sound(path, None, True, "aac", 44100, 6)
    film: Any = SimpleNamespace(seekable=True, pts=np.array([250, 290]), time_base=Fraction(1, 1000))
    assert open_sound(path, film) == Sound(path, Fraction(1, 4), True, "aac", 44100, 6)
    film.seekable = False
    assert open_sound(path, film) == Sound(path, None, False, "aac", 44100, 6)
    context.sample_rate = 0  # known once a packet is decoded
    assert open_sound(path) == Sound(path, None, True, "aac", 0, 6)
