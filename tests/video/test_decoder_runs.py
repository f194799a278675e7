"""One run of a decoder, packet by packet: which frames are intact, and when damage ends it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from facerec.video import decoding as module
from facerec.video.decoding import DamagedFilm, Decoding, FrameIndex
from facerec.video.seeking import frames_around

FILM = Path("7-a.mkv")
TENS = FrameIndex(np.arange(10, 80, 10), Fraction(1, 1000))


@dataclass
class Packet:
    """A packet, and what a decoder that holds nothing back makes of it.

    Attributes:
        marks: `k` a key frame, `c` a corrupt packet, `e` an error of the decoder, `d` a frame marked as
            corrupt, `-` no frame, `r` no key frame though the packet says so, `t` an error if there are
            several threads, `m` a reference before it is missing.
        shown: times of the frames that come out with it, in place of its own.
    """

    pts: int | None
    marks: str = ""
    shown: Sequence[int | None] | None = None

    @property
    def is_keyframe(self) -> bool:
        return "k" in self.marks

    @property
    def is_corrupt(self) -> bool:
        return "c" in self.marks


@dataclass
class Decoder:
    """Stands in for a film and FFmpeg's decoder of it."""

    packets: Sequence[Packet]
    name: str = "hevc"
    seek_error: bool = False
    at_end: Sequence[Packet] = ()
    thread_count: int = 0
    thread_type: str = ""
    reorder_depth: int = 2
    extradata: bytes = b""
    options: dict[str, str] = field(default_factory=dict)
    sought: list[int] = field(default_factory=list)
    position: float = -math.inf  # that this run sought
    decoded: list[int | None] = field(default_factory=list)
    codec: Any = field(default_factory=lambda: SimpleNamespace(intra_only=False))

    def decode(self, packet: Packet | None) -> list[Any]:
        if packet is None:
            return [frame for held in self.at_end for frame in self.decode(held)]
        self.decoded.append(packet.pts)
        if "e" in packet.marks or ("t" in packet.marks and self.thread_count > 1):
            raise ValueError("no picture")
        times = [] if "-" in packet.marks else [packet.pts] if packet.shown is None else packet.shown
        is_key = packet.is_keyframe and "r" not in packet.marks
        return [SimpleNamespace(pts=pts, key_frame=is_key, is_corrupt="d" in packet.marks) for pts in times]

    def seek(self, position: int, stream: Any) -> None:
        assert stream.codec_context is self, "the position is in the units of the stream"
        if self.seek_error:
            raise OSError("no index")
        self.position = position
        self.sought.append(position)


def film_of(monkeypatch: pytest.MonkeyPatch, *packets: Packet, **options: Any) -> Decoder:
    """Let every run of a decoder read these packets, from the last key frame before where it seeks to."""
    decoder = Decoder(packets, **options)

    @contextmanager
    def opened(path: Path) -> Iterator[tuple[Any, Any]]:
        assert path == FILM
        decoder.position = -math.inf
        yield decoder, SimpleNamespace(codec_context=decoder)

    def after_seek(container: Decoder, stream: Any) -> Iterator[Packet]:
        assert stream.codec_context is container
        keys = [
            k for k, one in enumerate(packets) if one.is_keyframe and (one.pts or 0) <= container.position
        ]
        return iter(packets[max(keys, default=0) :])

    monkeypatch.setattr(module, "open_video", opened)
    monkeypatch.setattr(module, "packets", after_seek)
    monkeypatch.setattr(module, "cpu_threads", lambda: 5)
    headers = SimpleNamespace(lack_references=lambda packet: "m" in packet.marks)
    monkeypatch.setattr(module, "PacketHeaders", lambda context: headers)
    monkeypatch.setattr(module, "FrameCopier", lambda: SimpleNamespace(copy=lambda frame: frame))
    return decoder


def run(seek_to: int | None = None, threads: int | None = None, skipping: Any = None) -> str:
    """Return the times of the frames that come out, `?` behind those not intact, `!` where it stops."""
    decoding, said = Decoding(FILM, seek_to, threads, skipping), []
    try:
        for frame, is_intact in decoding.frames():
            said.append(f"{frame.pts}" + "?" * (not is_intact))
    except DamagedFilm:
        said.append("!")
    assert decoding.damaged or "!" not in said
    return " ".join(said) + " damaged" * decoding.damaged


def test_frames_are_dropped_from_damage_to_the_next_key_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the decoder conceals the damage, deterministically."""
    for wrong in (Packet(20, "c"), Packet(20, "e")):
        packets = Packet(0, "k"), Packet(10), wrong, Packet(30), Packet(40, "k"), Packet(50)
        own = "20? " if wrong.is_corrupt else ""
        film_of(monkeypatch, *packets)
        assert run() == f"0 10 {own}30? 40 50 damaged"
        assert run(threads=1) == "0 10 ! damaged"
        film_of(monkeypatch, *packets, name="mpeg4")
        assert run() == f"0 10 {own.replace('?', '')}30 40 50 damaged"


def test_a_frame_that_the_decoder_marks_is_dropped_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    film_of(monkeypatch, Packet(0, "k"), Packet(10, "d"), Packet(20))
    assert run() == "0 10? 20 damaged" and run(threads=1) == "0 ! damaged"


def test_only_a_key_frame_that_was_fed_after_the_damage_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder gives out frames late, also key frames from before the damage."""
    before = Packet(0, "k-"), Packet(10, "e"), Packet(20, "k", [0])
    film_of(monkeypatch, *before[:2], Packet(20, "kr", [0]), Packet(30, "k", [20]))
    assert run() == "0? 20 damaged"
    film_of(monkeypatch, *before[:2], Packet(15, shown=[0]), Packet(20, "k"), Packet(30))
    assert run() == "0? 20 30 damaged"
    film_of(monkeypatch, Packet(0, "k"), Packet(10, "e"), Packet(20, "kr"), Packet(30))
    assert run() == "0 20? 30? damaged", "the decoder did not take it for one"
    film_of(
        monkeypatch, Packet(0, "k"), Packet(10, "e"), Packet(40, "k-"), Packet(20, "k"), Packet(50, "k", [40])
    )
    assert run() == "0 20? 40 damaged", "20 comes before the key frame"


def test_frames_before_the_first_key_frame_lack_their_references_after_a_seek(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packets = Packet(0, "k"), Packet(30, "k"), Packet(10), Packet(20, "d"), Packet(40), Packet(50, "k")
    decoder = film_of(monkeypatch, *packets)
    assert run() == "0 30 10 20? 40 50 damaged"
    assert run(seek_to=35) == "30 10? 20? 40 50 damaged"
    assert run(seek_to=35, threads=1) == "30 10? ! damaged"
    assert decoder.sought == [35, 35]
    film_of(
        monkeypatch,
        Packet(0, "k"),
        Packet(30, "k-"),
        Packet(10, "d"),
        Packet(20, "e"),
        Packet(40, shown=[30, 40]),
    )
    assert run(seek_to=35, threads=1) == "10? 30? 40? damaged", (
        "the film does not show leading pictures, so their damage must not count"
    )


def test_a_position_that_cannot_be_sought_gives_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    film_of(monkeypatch, Packet(0, "k"), Packet(10), seek_error=True)
    assert run(seek_to=10) == "" and run() == "0 10"


def test_h264_with_several_threads_gets_no_packet_after_damage_and_no_leading_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packets = (
        Packet(0, "k"),
        Packet(30, "k"),
        Packet(10),
        Packet(None),
        Packet(40),
        Packet(20, "d"),
        Packet(50),
    )
    decoder = film_of(monkeypatch, *packets, name="h264")
    assert run(seek_to=35, threads=2) == "30 None 40 50"
    assert decoder.decoded == [30, None, 40, 50] and not Decoding(FILM, 35, 2).fails_for_ever
    assert run(seek_to=35, threads=1) == "30 10? None 40 ! damaged"
    assert run(seek_to=35) == "30 10? None 40 20? 50 damaged"
    assert run(threads=2) == "0 30 10 None 40 ! damaged"
    film_of(monkeypatch, Packet(10), Packet(0), Packet(5), name="h264")
    assert run(seek_to=35, threads=2) == "" and run(seek_to=35, threads=1) == "10 0 5"
    decoder = film_of(monkeypatch, Packet(30, "k-"), Packet(40, "e"), Packet(50), name="h264")
    decoder.decoded.clear()
    assert run(seek_to=35, threads=2) == " damaged" and decoder.decoded == [30, 40]


def test_frames_that_the_decoder_still_holds_come_out_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    film_of(monkeypatch, Packet(0, "k"), Packet(10, "-"), at_end=[Packet(10), Packet(20)])
    assert run() == "0 10 20"
    film_of(monkeypatch, Packet(0, "k"), at_end=[Packet(10, "e")])
    assert run() == "0 damaged" and run(threads=1) == "0 ! damaged"


class Skipping:
    """Skips packets with given times, and keeps what it is told."""

    def __init__(self, skipped: set[int]) -> None:
        self.skipped, self.damaged, self.opened, self.asked = skipped, [], 0, []  # type: ignore[var-annotated]

    def open(self, context: object) -> None:
        self.opened += 1

    def skips(self, packet: Packet) -> bool:
        self.asked.append(packet.pts)
        return packet.pts in self.skipped

    def skipped_all(self, frames: range) -> bool:
        return {TENS.pts[number] for number in frames} <= self.skipped

    def report_damage(self, pts: int | None) -> None:
        self.damaged.append(pts)


def test_damage_is_reported_with_the_time_of_its_packet_or_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    packets = (
        Packet(0, "k"),
        Packet(10, "c"),
        Packet(20, "e"),
        Packet(30),
        Packet(40, "d", [35]),
        Packet(None, "e"),
    )
    for name in ("hevc", "h264"):
        film_of(monkeypatch, *packets, name=name, at_end=[Packet(60, "e")])
        skipping = Skipping({30})
        run(skipping=skipping)
        assert skipping.damaged == [10, 20, 35, None, None] and skipping.opened == 1
        assert skipping.asked == [0, 20, 30, 40, None], "a corrupt packet is never skipped"


def numbered(index: FrameIndex, *args: Any) -> list[int | str]:
    found: list[int | str] = []
    try:
        for number, _ in Decoding(FILM, *args).numbered(index):
            found.append(number)
    except DamagedFilm as damage:
        found.append(str(damage))
    return found


@pytest.mark.parametrize(
    ("times", "strictly", "leniently"),
    [
        ((10, 20, 30), [0, 1, 2], [0, 1, 2]),
        ((0, 10, 20, 80, 30), [0, 1], [0, 1]),
        ((10, 30), [0, "frame 2 follows frame 0"], [0, 2]),
        ((20, 30), ["frame 1 follows frame -1"], [1, 2]),
        ((10, 20, 20, 30), [0, 1, "frame 1 follows frame 1"], [0, 1, 2]),
        ((10, 20, 25, 30), [0, 1, "frame None follows frame 1"], [0, 1, 2]),
        ((10, 20, 10, 30), [0, 1, "frame 0 follows frame 1"], [0, 1, 2]),
        ((10, None, 20), [0, "frame None follows frame 0"], [0, 1]),
        ((70, 80), ["frame 6 follows frame -1"], [6]),
    ],
)
def test_a_frame_that_does_not_follow_the_last_one_is_damage(
    times: Sequence[int | None],
    strictly: list[int | str],
    leniently: list[int | str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film_of(monkeypatch, *(Packet(pts, "k" * (k == 0)) for k, pts in enumerate(times)))
    assert numbered(TENS, None, 1) == strictly and numbered(TENS, None, None) == leniently


def test_frames_that_are_not_intact_have_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    film_of(
        monkeypatch,
        Packet(10, "k"),
        Packet(20, "d"),
        Packet(30),
        Packet(40, "c"),
        Packet(50),
        Packet(60, "k"),
    )
    assert numbered(TENS, None, None) == [0, 2, 5]


def test_the_first_frame_after_a_seek_may_have_any_number_and_skipped_ones_may_lack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packets = [Packet(pts, "k" * (pts == 30)) for pts in (10, 20, 30, 40, 50, 60, 70)]
    film_of(monkeypatch, *packets)
    assert numbered(TENS, 35, 1) == [2, 3, 4, 5, 6]
    assert numbered(TENS, 35, 1, Skipping({50, 60})) == [2, 3, 6]
    assert numbered(TENS, None, 1, Skipping({10, 20, 40})) == [2, 4, 5, 6]
    film_of(monkeypatch, *packets[:4], *packets[5:])
    assert numbered(TENS, 35, 1) == [2, 3, "frame 5 follows frame 3"]
    assert numbered(TENS, 35, 1, Skipping({60})) == [2, 3, "frame 6 follows frame 3"]
    assert numbered(TENS, 35, None) == [2, 3, 5, 6]
    film_of(monkeypatch, packets[0], packets[2], packets[2])
    assert numbered(TENS, 15, 1) == [0, "frame 2 follows frame 0"], "the second one may not"
    assert numbered(TENS, 15, 1, Skipping({20})) == [0, 2, "frame 2 follows frame 2"]


@pytest.mark.parametrize(
    ("name", "threads", "options", "used"),
    [
        ("hevc", 4, True, (4, "SLICE", 2)),
        ("hevc", 1, True, (2, "SLICE", 2)),
        ("hevc", 40, True, (12, "SLICE", 2)),
        ("h264", 4, True, (4, "FRAME", 6)),
        ("h264", 40, True, (12, "FRAME", 14)),
        ("vp9", 3, True, (3, "FRAME", 2)),
        ("libdav1d", 3, True, (3, "FRAME", 2)),
        ("mpeg2video", 5, True, (1, "SLICE", 2)),
        ("vp8", 5, True, (1, "SLICE", 2)),
        ("mpeg4", 5, True, (5, "SLICE", 2)),
        ("hevc", None, True, (1, "", 2)),
        ("h264", None, False, (1, "", 2)),
        ("mpeg2video", None, False, (1, "", 2)),
    ],
)
def test_damage_is_an_error_and_threads_are_those_that_report_it(
    name: str, threads: int | None, options: bool, used: tuple[int, str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that conceals damage in the same way each time may do so where its frames are dropped."""
    decoder = film_of(monkeypatch, Packet(0, "k"), name=name)
    assert run(threads=threads) == "0"
    assert (decoder.thread_count, decoder.thread_type, decoder.reorder_depth) == used
    deep = film_of(monkeypatch, Packet(0, "k"), name=name, reorder_depth=5)
    assert run(threads=threads) == "0" and deep.reorder_depth == min(16, 5 + used[2] - 2), "of 16 frames"
    assert decoder.options == ({"err_detect": "crccheck+bitstream+buffer+explode"} if options else {})


def test_a_missing_reference_is_damage_of_h264_only_if_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    packets = Packet(0, "k"), Packet(10), Packet(20, "m"), Packet(30), Packet(40, "k"), Packet(50)
    film_of(monkeypatch, *packets, name="h264")
    assert run(threads=1) == run(threads=2) == "0 10 ! damaged" and run() == "0 10 20 30 40 50"
    film_of(monkeypatch, *packets)
    assert run(threads=1) == "0 10 20 30 40 50"
    packets = Packet(0, "k"), Packet(30, "k"), Packet(10, "m"), Packet(40), Packet(50, "k")
    film_of(monkeypatch, *packets, name="h264")
    assert run(seek_to=35, threads=2) == "30 40 50", "the leading picture is not decoded"
    film_of(monkeypatch, *packets[:2], Packet(20), packets[2], *packets[3:], name="h264")
    assert run(seek_to=35, threads=1) == "30 20? ! damaged"
    skipping = Skipping({20})
    film_of(monkeypatch, Packet(0, "k"), Packet(10), Packet(20, "m"), Packet(30), name="h264")
    assert run(threads=1, skipping=skipping) == "0 10 ! damaged" and skipping.damaged == [None]


def test_the_budget_of_processors_is_used_if_no_threads_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = film_of(monkeypatch, Packet(0, "k"), name="h264")
    for budget, used in ((5, 5), (99, 12)):
        monkeypatch.setattr(module, "cpu_threads", lambda budget=budget: budget)
        assert run(threads=0) == "0" and decoder.thread_count == used
        assert run(threads=3) == "0" and decoder.thread_count == 3


def around(index: FrameIndex, number: int, threads: int | None) -> list[int]:
    return [found for found, _ in frames_around(FILM, index, number, threads)]


def test_decoding_begins_a_second_before_and_further_back_where_that_is_not_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = FrameIndex(np.arange(0, 20_000, 100), Fraction(1, 1000))  # ten frames a second
    keys = {0, 3000, 9000, 9100, 15000}
    packets = [Packet(pts, "k" * (pts in keys)) for pts in index.pts.tolist()]
    for threads in (None, 1):
        decoder = film_of(monkeypatch, *packets)
        for number, first, sought in (
            (0, 0, []),
            (5, 0, []),
            (10, 0, []),
            (11, 0, [100]),
            (100, 90, [9000]),
            (95, 30, [8500]),
            (199, 150, [18900]),
        ):
            decoder.sought.clear()
            assert around(index, number, threads) == list(range(first, 200)), (number, threads)
            assert decoder.sought == sought
    decoder = film_of(monkeypatch, *packets[:90], *[Packet(pts, "ke") for pts in (9000, 9100)], *packets[92:])
    assert around(index, 95, None)[:1] == [30] and decoder.sought == [8500]
    decoder.sought.clear()
    assert around(index, 105, None)[:1] == [30] and decoder.sought == [9500, 8500]
    decoder = film_of(monkeypatch, *packets[:90], *[Packet(pts, "ke") for pts in range(9000, 20_000, 100)])
    assert around(index, 150, None) == [*range(30, 90)] and decoder.sought == [14000, 13000, 11000, 7000]


def test_decoding_begins_further_back_if_the_first_frame_is_the_wanted_one_or_no_key_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = FrameIndex(np.arange(0, 20_000, 100), Fraction(1, 1000))
    packets = [Packet(pts, "k" * (pts in (0, 3000, 9000, 9500))) for pts in index.pts.tolist()]
    packets[30] = Packet(3000, "ke")  # so that the first frame is that of 9000
    decoder = film_of(monkeypatch, *packets)
    assert around(index, 90, None)[0] == 0 and decoder.sought == [8000, 7000, 5000, 1000]
    packets[30], packets[90] = Packet(3000, "k"), Packet(9000, "k-")  # a gradual refresh
    for name, first in (("h264", 30), ("hevc", 91)):
        decoder = film_of(monkeypatch, *packets, name=name)
        frames = list(frames_around(FILM, index, 104, None))
        assert frames[0][0] == first and len(frames) == 200 - first - (first < 90), name


def test_packets_that_are_chosen_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    film_of(monkeypatch, *(Packet(pts, "k" * (pts == 10)) for pts in TENS.pts.tolist()))
    for threads in (None, 1, 4):
        frames = frames_around(FILM, TENS, 1, threads, Skipping({30, 40, 60}))
        assert [number for number, _ in frames] == [0, 1, 4, 6]


def test_a_film_is_not_read_into_memory_before_its_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    film_of(monkeypatch, Packet(0, "k"), *(Packet(pts) for pts in range(10, 5000, 10)))
    read: list[int | None] = []

    def source(*_: object) -> Iterator[Packet]:
        for pts in range(0, 5000, 10):
            read.append(pts)
            yield Packet(pts, "k" * (pts == 0))

    monkeypatch.setattr(module, "packets", source)
    assert next(Decoding(FILM, None, 1).frames())[0].pts == 0
    assert len(read) <= module.PACKETS


def test_one_thread_is_tried_where_several_find_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else such a film would be decoded from its beginning for every shard."""
    index = FrameIndex(np.arange(0, 20_000, 100), Fraction(1, 1000))
    for mark, sought, threads in (("k", [9000], 4), ("kt", [9000, 9000], 1), ("ke", [9000, 9000, 8000], 4)):
        packets = [Packet(pts, "k" * (pts in (0, 3000))) for pts in index.pts.tolist()]
        packets[90] = Packet(9000, mark)
        decoder = film_of(monkeypatch, *packets, name="h264")
        frames = frames_around(FILM, index, 100, 4)
        assert next(frames)[0] == (30 if mark == "ke" else 90)
        assert decoder.sought == sought and decoder.thread_count == threads


def test_strict_decoding_stops_at_damage_and_lenient_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    packets = [Packet(pts, "k" * (pts == 10) + "d" * (pts == 40)) for pts in TENS.pts.tolist()]
    film_of(monkeypatch, *packets)
    assert around(TENS, 1, None) == [0, 1, 2, 4, 5, 6]
    with pytest.raises(DamagedFilm):
        around(TENS, 1, 1)
    frames = frames_around(FILM, TENS, 1, None)
    assert [next(frames)[0] for _ in range(4)] == [0, 1, 2, 4]


def test_a_film_without_times_is_counted_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = film_of(monkeypatch, Packet(5, "k"), Packet(5), Packet(None, "d"), Packet(3))
    index = FrameIndex(np.arange(4), Fraction(1, 25), seekable=False)
    for number in (0, 3):
        assert around(index, number, 4) == [0, 1, 3]
    assert decoder.sought == [] and decoder.thread_count == 1


def test_numbers_of_frames_do_not_depend_on_the_guess() -> None:
    for guess in range(9):
        assert [TENS.number(pts, guess) for pts in (10, 70, 75, 5, 80, None)] == [
            0,
            6,
            None,
            None,
            None,
            None,
        ]
