"""What a demuxer passes over without an error is reported, and the film after it is read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.geometry import Image
from facerec.video import open_film, read_frames
from facerec.video import unread_parts as module
from facerec.video.unread_parts import UnreadParts, _Part
from tests.films import make_film, number_in, picture

CLEAR = {"preset": "ultrafast", "x264-params": "keyint=12:qp=4"}  # 10 kB a frame and more


def noisy(number: int, width: int, height: int) -> Image:
    """`picture` with noise below its number, which takes many bytes."""
    image = picture(number, width, height)
    noise = np.random.default_rng(number).integers(0, 255, (height // 2, width, 3), dtype=np.uint8)
    image[height // 2 :] = noise
    return image


def film_of(path: Path, frames: int = 150, **options: Any) -> Path:
    clear = CLEAR if options.get("codec", "libx264") == "libx264" else {"b": "3M"}
    return make_film(path, frames, draw=noisy, options=clear, **options)


def test_a_part_of_a_file_ends_where_the_next_one_begins() -> None:
    part = _Part(io.BytesIO(b"0123456789"), 2, 7)
    assert (part.read(2), part.tell(), part.read(), part.tell(), part.read(1)) == (b"23", 2, b"456", 5, b"")
    assert (part.seek(-2, io.SEEK_END), part.read(9)) == (3, b"56")
    assert (part.seek(1), part.seek(2, io.SEEK_CUR), part.read(1)) == (1, 3, b"5")
    assert (part.seek(-9, io.SEEK_CUR), part.read(1), part.seek(9), part.read()) == (0, b"2", 9, b"")


@pytest.mark.parametrize("suffix", ["ts", "mkv", "flv", "mp4"])
def test_a_film_with_a_hole_is_read_to_its_end(suffix: str, tmp_path: Path) -> None:
    whole = film_of(tmp_path / f"whole.{suffix}")
    assert open_film(whole).losses == ()
    data = bytearray(whole.read_bytes())
    begin, size = len(data) // 3, len(data) // 8
    assert size > 100_000
    data[begin : begin + size] = bytes(size)
    (tmp_path / f"1-hole.{suffix}").write_bytes(data)
    film = open_film(tmp_path / f"1-hole.{suffix}")
    seen = [number_in(image) for _, image in read_frames(film, 0, film.frame_count)]
    assert 120 <= len(seen) < 145 and seen[-1] == 149 and seen == sorted(seen)
    if film.frame_count == 150:  # the index is elsewhere: the frames are known, and cannot be decoded
        assert suffix == "mp4"
    else:
        assert any("zeros in place of video" in loss for loss in film.losses)
    if suffix == "ts":
        assert any("data could not be read at 1 place" in loss for loss in film.losses)


@pytest.mark.parametrize("suffix", ["ts", "mkv", "flv", "mpg", "wmv", "h264"])
def test_a_hole_that_is_small_or_of_other_bytes_is_reported(suffix: str, tmp_path: Path) -> None:
    """A second of the film is gone, and the demuxer goes on without a word."""
    codec = {"mpg": "mpeg2video", "wmv": "wmv2"}.get(suffix, "libx264")
    data = bytearray(film_of(tmp_path / f"whole.{suffix}", codec=codec).read_bytes())
    begin, size = len(data) // 3, len(data) // 12
    data[begin : begin + size] = b"\xff" * size
    (tmp_path / f"1-hole.{suffix}").write_bytes(data)
    film = open_film(tmp_path / f"1-hole.{suffix}")
    assert 110 <= film.frame_count < 149
    jump, damage = "the times of the frames jump by", f"{film.frame_count} frames came out of"
    assert any((damage if suffix == "h264" else jump) in loss for loss in film.losses)


def test_fragments_behind_a_damaged_one_are_reported(tmp_path: Path) -> None:
    """A demuxer of MP4 stops at bytes that are no box."""
    options = {"movflags": "frag_keyframe+empty_moov"}
    whole = film_of(tmp_path / "whole.mp4", container_options=options)
    assert open_film(whole).losses == ()
    data = bytearray(whole.read_bytes())
    at = data.index(b"moof", len(data) // 2) - 4
    data[at : at + 500] = bytes(500)
    (tmp_path / "1-hole.mp4").write_bytes(data)
    film = open_film(tmp_path / "1-hole.mp4")
    assert 60 < film.frame_count < 90
    assert any("fragments of the film behind a damaged one" in loss for loss in film.losses)


def test_a_hole_before_the_first_packet_is_reported(tmp_path: Path) -> None:
    data = bytearray(film_of(tmp_path / "whole.ts").read_bytes())
    data[: len(data) // 8] = bytes(len(data) // 8)
    (tmp_path / "1-hole.ts").write_bytes(data)
    film = open_film(tmp_path / "1-hole.ts")
    assert 120 < film.frame_count < 150
    assert any("after about 0 frames hold zeros" in loss for loss in film.losses)


def test_a_second_film_of_another_codec_is_reported(tmp_path: Path) -> None:
    """In the same stream of a transport stream, its packets go to the decoder of the first."""
    first = film_of(tmp_path / "a.ts", 40)
    second = film_of(tmp_path / "b.ts", 40, codec="mpeg2video")
    (tmp_path / "1-joined.ts").write_bytes(first.read_bytes() + second.read_bytes())
    film = open_film(tmp_path / "1-joined.ts")
    assert film.frame_count < 60
    assert any("frames came out of" in loss for loss in film.losses)


def test_films_of_changing_rates_and_dropped_frames_have_no_jumps(tmp_path: Path) -> None:
    """Recordings of screens, stills and cameras that drop single frames."""
    slides = [round(n**1.5) for n in range(100)]
    dropped = [n for n in range(150) if n % 40 != 3]
    for name, times in (("slides", slides), ("dropped", dropped)):
        film = make_film(tmp_path / f"1-{name}.mkv", len(times), pts=times)
        assert open_film(film).losses == ()


def test_a_hole_of_many_blocks_does_not_end_the_film(tmp_path: Path) -> None:
    """A demuxer reports an error for every 64 KiB of it."""
    data = film_of(tmp_path / "whole.ts", 60).read_bytes()
    half = len(data) // 2 // 188 * 188
    (tmp_path / "1-hole.ts").write_bytes(data[:half] + bytes(3_000_000) + data[half:])
    film = open_film(tmp_path / "1-hole.ts")
    assert film.frame_count >= 55
    assert any("3.0 MB of the file" in loss for loss in film.losses)


OTHER_PROGRAMME = {"mpegts_start_pid": "0x200", "mpegts_pmt_start_pid": "0x1001", "mpegts_service_id": "2"}


@pytest.mark.parametrize("order", ["AB", "ABA"])
def test_another_programme_in_a_transport_stream_is_reported(order: str, tmp_path: Path) -> None:
    """It begins after the bytes that are searched for streams when the file is opened."""
    parts = {
        "A": film_of(tmp_path / "a.ts", 100),
        "B": film_of(tmp_path / "b.ts", 100, container_options=OTHER_PROGRAMME),
    }
    (tmp_path / "1-joined.ts").write_bytes(b"".join(parts[name].read_bytes() for name in order))
    film = open_film(tmp_path / "1-joined.ts")
    said = [loss for loss in film.losses if "another programme" in loss or "video streams" in loss]
    assert film.frame_count == 100 * order.count("A") and len(said) == 1


@pytest.mark.parametrize("suffix", ["flv", "mp4", "mkv", "ts", "wmv"])
def test_a_film_appended_to_another_is_read_or_reported(suffix: str, tmp_path: Path) -> None:
    codec = "wmv2" if suffix == "wmv" else "libx264"
    data = film_of(tmp_path / f"a.{suffix}", 40, codec=codec).read_bytes()
    (tmp_path / f"1-joined.{suffix}").write_bytes(data + data)
    film = open_film(tmp_path / f"1-joined.{suffix}")
    assert film.frame_count == 80 or any("another programme or film" in loss for loss in film.losses)


def test_sound_and_other_data_between_frames_are_no_losses(tmp_path: Path) -> None:
    """Frames of a still picture are small, so that most of the file is sound."""
    for suffix in ("mp4", "mkv", "ts"):
        assert open_film(make_film(tmp_path / f"1-a.{suffix}", audio=True)).losses == ()


KIB = 1 << 10
NOISE = bytes(np.random.default_rng(0).integers(1, 256, 4 << 20, np.uint8))


def losses(
    path: Path, data: bytes, positions: list[int | None], name: str = "avi", known: set[int] | None = None
) -> list[str]:
    path.write_bytes(data)
    unread = UnreadParts(path, name, known or set())
    for position in positions:
        unread.add(position)
    return unread.losses()


ZEROS = "hold zeros in place of video, as after an incomplete download; copy it again"


@pytest.mark.parametrize(
    ("kibibytes", "least"), [(700, 64), (1280, 64), (2000, 100), (20_480, 1024), (40_960, 1024)]
)
def test_a_part_is_suspicious_from_a_twentieth_of_the_file_on(
    kibibytes: int, least: int, tmp_path: Path
) -> None:
    """Of at least 64 KiB and at most 1 MiB, so that small films and large ones are both searched."""
    size = kibibytes * KIB
    end = size - 10  # the last packet is there
    for length, count in ((least * KIB, 0), (least * KIB + 1, 1)):
        found = losses(tmp_path / "a", bytes(size), [*range(0, end - length, 9 * KIB), end - length, end])
        packets = len(range(0, end - length, 9 * KIB)) + 1
        assert found == [f"{length / 1e6:.1f} MB of the file after about {packets} frames {ZEROS}"] * count


def test_packets_of_which_the_place_is_unknown_are_counted_and_hide_nothing(tmp_path: Path) -> None:
    path, data = tmp_path / "a", bytes(200 * KIB)
    said = f"0.1 MB of the file after about 4 frames {ZEROS}"
    assert losses(path, data, [0, None, -1, 10, 120 * KIB, 150 * KIB, None]) == [said]
    assert losses(path, data, [None, -1]) == []
    assert len(losses(path, data, [0, 150 * KIB])) == 1, "the first packet may be at the very beginning"
    assert losses(path, data, [150 * KIB]) == [], "what is before the first packet is the header"
    begin = f"0.2 MB of the file after about 0 frames {ZEROS}"
    assert losses(path, data, [150 * KIB], "mpegts") == [begin], "a transport stream has none"
    rest = f"0.2 MB of the file after about 2 frames {ZEROS}"
    assert losses(path, data, [0, 10]) == [rest], "up to the end"


def test_a_part_of_half_zeros_is_no_hole(tmp_path: Path) -> None:
    half = 50 * KIB
    for zeros, is_hole in ((half, False), (half + 1, True)):
        data = NOISE[:10] + bytes(zeros) + NOISE[: 2 * half - zeros]
        assert bool(losses(tmp_path / "a", data, [0, 10])) is is_hole


def test_a_hole_is_found_however_much_of_the_film_is_behind_it(tmp_path: Path) -> None:
    data = NOISE[: 480 * KIB] + bytes(100 * KIB) + NOISE[: 420 * KIB]
    positions = [*range(0, 481 * KIB, 40 * KIB), *range(580 * KIB, len(data), 40 * KIB)]
    (said,) = losses(tmp_path / "a", data, positions)
    assert said == f"0.1 MB of the file after about 13 frames {ZEROS}"


def test_fragments_are_those_of_an_mp4_and_behind_its_last_packet(tmp_path: Path) -> None:
    boxes = NOISE[:90] + b"moof" + NOISE[:4] + b"none" + NOISE[:90_000] + b"moof\1\2\3\4mfhd" + NOISE[:9]
    data, mov = NOISE[:20] + boxes, "mov,mp4,m4a,3gp,3g2,mj2"
    said = "0.1 MB of the file after about 2 frames hold fragments of the film behind a damaged one"
    assert [loss.partition(" and ")[0] for loss in losses(tmp_path / "a", data, [0, 20], mov)] == [said]
    begin = b"moof\1\2\3\4mfhd" + NOISE[:90_000]
    assert len(losses(tmp_path / "a", NOISE[:20] + begin, [0, 20], mov)) == 1, "at the very beginning"
    assert len(losses(tmp_path / "a", data + b"moof" + NOISE[:9], [0, 20], mov)) == 1, "before another"
    assert losses(tmp_path / "a", data, [0, 20], "avi") == []
    assert losses(tmp_path / "a", data + NOISE[:99], [0, 20, 20 + len(boxes)], mov) == []
    assert losses(tmp_path / "a", data.replace(b"mfhd", b"none"), [0, 20], mov) == []


@pytest.mark.parametrize(
    ("name", "signature", "before"),
    [
        ("matroska,webm", b"\x1aE\xdf\xa3", 0),
        ("flv", b"FLV\x01", 0),
        ("mov,mp4,m4a,3gp,3g2,mj2", b"ftyp", 4),
        ("asf", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", 0),
    ],
)
def test_another_film_is_sought_from_where_it_begins(
    name: str, signature: bytes, before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[bytes, int]] = []
    streams = {7}

    def video_streams(part: _Part, format_name: str) -> set[int]:
        assert format_name == name
        data = part.read()
        tried.append((data[:20], len(data)))
        return streams

    monkeypatch.setattr(module, "_video_streams", video_streams)
    film = NOISE[:before] + signature + NOISE[:99]
    for at in (1, 300):
        data = NOISE[:20] + NOISE[:at] + film + NOISE[: 90 * KIB]
        tried.clear()
        assert len(losses(tmp_path / "a", data, [0, 20], name, {7})) == 1, "its streams have ids of their own"
        assert tried == [(film[:20] if len(film) >= 20 else film, len(film) + 90 * KIB)]
    own = NOISE[:20] + film + NOISE[: 90 * KIB]
    assert losses(tmp_path / "a", own, [0, 20], name) == [], "the part begins with a packet of this film"
    assert len(losses(tmp_path / "a", own + film, [0, 20], name)) == 1, "another film behind it"
    tried.clear()
    assert len(losses(tmp_path / "a", own + film + film, [0, 20], name)) == 1
    assert [size for _, size in tried] == [2 * len(film)], "from the first of several"
    assert losses(tmp_path / "a", NOISE[: 100 * KIB], [0, 20], name) == []
    assert losses(tmp_path / "a", data, [0, 20], "avi") == []
    streams = set()
    assert losses(tmp_path / "a", data, [0, 20], name) == []


def test_another_programme_has_streams_that_are_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_video_streams", lambda part, name: {256, len(part.read())})
    data = NOISE[: 200 * KIB]
    other = len(data) - 100
    assert losses(tmp_path / "a", data, [0, 100], "mpegts", {256, other}) == []
    for known in ({256}, {other}, set()):
        (said,) = losses(tmp_path / "a", data, [0, 100], "mpegts", known)
        assert "0.2 MB of the file after about 2 frames hold video of another programme" in said


def test_a_part_that_is_no_film_has_no_streams(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.ts", 12)
    with film.open("rb") as file:
        whole = film.stat().st_size
        assert module._video_streams(_Part(file, 0, whole), "mpegts") == {256}
        assert module._video_streams(_Part(file, 0, 900), "matroska,webm") == set()
    with make_film(tmp_path / "a.mkv", 12).open("rb") as file:
        assert len(module._video_streams(_Part(file, 0, 1 << 20), "matroska,webm")) == 1
        assert _Part(file, 3, 9).read(0) == b""


def test_a_film_is_found_whatever_the_encoding_of_the_names_in_it(tmp_path: Path) -> None:
    data = make_film(tmp_path / "a.mkv", 12).read_bytes()
    broken = data.replace(b"Lavf", b"\xff\xfevf")  # the name of the program that wrote it
    assert broken != data
    part = _Part(io.BytesIO(broken), 0, len(data))
    assert len(module._video_streams(part, "matroska,webm")) == 1
