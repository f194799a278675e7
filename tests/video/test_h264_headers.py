"""Missing pictures of H.264: found from the packets' headers, and never where none is missing."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from facerec.video import segments as segments_module
from facerec.video.film import Film, open_film, read_decoded
from facerec.video.h264_headers import PacketHeaders
from facerec.video.reduction import chroma_position
from facerec.video.skipping import reference_test
from tests.films import make_film


def missing(path: Path, change: Callable[[int, bytes], bytes] = lambda _, data: data) -> list[int]:
    """Return the places of the packets before which references are missing."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        headers = PacketHeaders(stream.codec_context)
        packets = [packet for packet in container.demux(stream) if packet.size]
        return [
            place
            for place, packet in enumerate(packets)
            if headers.lack_references(av.Packet(change(place, bytes(packet))))  # type: ignore[arg-type]
        ]


def without(path: Path, to: Path, places: set[int]) -> Path:
    """Copy a film without the packets at `places` in the order of decoding."""
    with av.open(str(path)) as source, av.open(str(to), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for place, packet in enumerate(source.demux(video=0)):
            if packet.size and place not in places:
                packet.stream = stream
                target.mux(packet)
    return to


def places_of(path: Path, *, references: bool) -> list[int]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        test = reference_test(stream.codec_context)
        assert test is not None
        packets = [packet for packet in container.demux(stream) if packet.size]
        return [place for place, packet in enumerate(packets) if test(packet) != references]


def read(film: Film, beg: int, end: int, threads: int) -> list[tuple[int, int]]:
    """Return numbers and checksums of the frames read."""
    frames = read_decoded(film, beg, end, threads)
    return [(frame.number, zlib.crc32(frame.image().tobytes())) for frame in frames]


@pytest.mark.parametrize(
    ("suffix", "pix_fmt", "options"),
    [
        ("mp4", "yuv420p", "bframes=3:b-pyramid=normal"),
        ("ts", "yuv420p", "bframes=3:b-pyramid=strict:open-gop=1"),
        ("mkv", "yuv420p", "bframes=0:slices=3"),
        ("ts", "yuv420p", "bframes=2:interlaced=1:cqm=jvt"),
        ("mp4", "yuv444p", "bframes=2:cqm=jvt"),
        ("h264", "yuv422p10le", "bframes=2:intra-refresh=1"),
    ],
)
def test_a_reference_that_was_cut_out_is_missed_and_no_other_picture(
    suffix: str, pix_fmt: str, options: str, tmp_path: Path
) -> None:
    own = {"preset": "veryfast", "x264-params": f"keyint=20:scenecut=0:{options}"}
    path = make_film(tmp_path / f"1-a.{suffix}", 50, width=96, height=80, pix_fmt=pix_fmt, options=own)
    assert missing(path) == []
    lost = places_of(path, references=True)[6]  # neither a key frame nor the last before one
    assert missing(without(path, tmp_path / f"2-lost.{suffix}", {lost}))[:1] == [lost]
    disposable = places_of(path, references=False)[-9:-3]
    assert missing(without(path, tmp_path / f"3-lost.{suffix}", set(disposable))) == []


def test_a_damaged_number_is_noticed_and_a_damaged_packet_is_no_error(tmp_path: Path) -> None:
    path = make_film(tmp_path / "1-a.mp4", 30, bframes=2, gop=30)
    place = places_of(path, references=False)[4]
    with av.open(str(path)) as container:
        data = bytes([packet for packet in container.demux(video=0) if packet.size][place])
    noticed = {
        bit
        for bit in range(32, 72)
        if missing(path, lambda p, d: d if p != place else flipped(data, bit))  # noqa: B023
    }
    assert 1 <= len(noticed) <= 12
    for size in range(12):
        assert missing(path, lambda p, d: d if p != place else data[:size]) == []  # noqa: B023


def flipped(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 128 >> bit % 8]) + data[bit // 8 + 1 :]


@pytest.mark.parametrize("suffix", ["ts", "mp4"])
def test_a_film_without_one_of_its_references_is_the_same_for_all_threads_and_ranges(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg's decoder replaces the reference without a sign, but not the same with several threads."""
    own = {"preset": "veryfast", "x264-params": "keyint=100:bframes=2:b-adapt=0:scenecut=0:ref=3"}
    intact = make_film(tmp_path / f"1-a.{suffix}", 100, width=96, height=80, options=own)
    film = open_film(without(intact, tmp_path / f"2-lost.{suffix}", {places_of(intact, references=True)[9]}))
    segments: list[int] = []
    leniently = segments_module._decode_leniently

    def counted(film: Film, segment: int, end: int) -> Any:
        segments.append(segment)
        return leniently(film, segment, end)

    monkeypatch.setattr(segments_module, "_decode_leniently", counted)
    whole = read(film, 0, 99, 1)
    assert segments[:1] == [0]
    for threads in (2, 12):
        assert read(film, 0, 99, threads) == whole
        assert read(film, 70, 90, threads) == [item for item in whole if 69 <= item[0] < 90]


def test_a_header_within_the_length_of_another_unit_is_noticed(tmp_path: Path) -> None:
    """FFmpeg's decoder reads it: some programs write MP4 with one length for a whole packet."""
    options = [{"preset": "veryfast", "x264-params": f"chromaloc={location}"} for location in (0, 2)]
    first = make_film(tmp_path / "1-a.mp4", 20, width=64, height=48, options=options[0])
    second = make_film(tmp_path / "2-a.ts", 20, width=64, height=48, options=options[1])
    path = tmp_path / "3-a.mp4"
    with av.open(str(first)) as source, av.open(str(second)) as other, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        data = [bytes(packet) for packet in source.demux(video=0) if packet.size]
        for packet in other.demux(video=0):
            if packet.size:
                unit = b"\x09\xf0" + bytes(packet)  # an access unit delimiter
                data.append(len(unit).to_bytes(4, "big") + unit)
        for number, one in enumerate(data):
            packet = av.Packet(one)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = number in (0, 20)
            target.mux(packet)
    positions: dict[bytes | None, set[bytes]] = {}
    for frame in read_decoded(open_film(path), 0, 40, 1):
        positions.setdefault(frame.header, set()).add(chroma_position(frame.picture))
    unknown = positions.pop(None, set())
    (known,) = positions.values()
    assert len(known) == 1 and unknown - known, "the second part has another position"
