"""What a demuxer passes over without an error is reported, and the film after it is read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.geometry import Image
from facerec.video import open_film, read_frames
from facerec.video.unread_parts import _Part
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
