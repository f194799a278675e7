"""Films of many kinds: a frame has one number and the same pixels, whatever range is read."""

from __future__ import annotations

import os
import random
import re
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from facerec.actors.aspect_ratios import read_aspect_ratio
from facerec.errors import FacerecError, InputError
from facerec.video import frame_index, segments
from facerec.video.container import declared_frames
from facerec.video.decoding import FrameIndex
from facerec.video.film import Film, describe_film, last_frame_duration, open_film, read_frames
from facerec.video.frame_index import build_index
from facerec.video.opencv_check import opencv_seek_mismatches
from facerec.video.seeking import frames_around
from tests.films import cut_off, flip_bits, make_film, make_sound, number_in, picture

B_FRAMES: dict[str, Any] = {"bframes": 2}
VARIABLE = {"pts": [2 * n + 5 * max(0, n - 20) for n in range(130)], "time_base": Fraction(1, 50)}
KINDS: dict[str, dict[str, Any]] = {  # options of make_film by file name
    "1-constant-rate.mp4": {"audio": True},
    "1-b-frames.mp4": B_FRAMES,
    "1-index-in-front.mp4": {**B_FRAMES, "container_options": {"movflags": "faststart"}},
    "1-every-frame-a-key.mp4": {"gop": 1},
    "1-one-key-frame.mp4": {**B_FRAMES, "gop": 500},
    "1-open-gop.ts": {**B_FRAMES, "open_gop": True},
    "1-open-gop.mkv": {**B_FRAMES, "open_gop": True},
    "1-intra-refresh.mp4": {"options": {"x264-params": "keyint=12:intra-refresh=1"}},
    "1-interlaced.ts": {"options": {"x264-params": "keyint=12:interlaced=1:tff=1"}},
    "1-variable-rate.mkv": VARIABLE,
    "1-variable-rate.mp4": {**VARIABLE, "bframes": 2},
    "1-first-time-not-zero.ts": {"pts": [n + 1000 for n in range(130)]},
    "1-odd-size.mp4": {"width": 161, "height": 121, "pix_fmt": "yuv444p"},
    "1-odd-size-420.mkv": {"width": 161, "height": 121, "codec": "mpeg4"},
    "1-ten-bits-422.mov": {"pix_fmt": "yuv422p10le"},
    "1-mpeg2.ts": {**B_FRAMES, "codec": "mpeg2video"},
    "1-mpeg2.mpg": {**B_FRAMES, "codec": "mpeg2video"},
    "1-mpeg4.avi": {**B_FRAMES, "codec": "mpeg4"},
    "1-times-out-of-order.avi": B_FRAMES,
    "1-no-times.h264": B_FRAMES,
    "1-pictures.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "1-hidden-frames.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
}


def numbers_read(film: Film, beg: int, end: int) -> list[tuple[int, int]]:
    return [(number, number_in(image)) for number, image in read_frames(film, beg, end)]


def fingerprints(film: Film, beg: int, end: int) -> list[tuple[int, int]]:
    return [(number, zlib.crc32(image.tobytes())) for number, image in read_frames(film, beg, end)]


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_the_same_whatever_range_is_read(name: str, tmp_path: Path) -> None:
    film = open_film(make_film(tmp_path / name, 130, **KINDS[name]))
    assert film.frame_count == 130
    assert numbers_read(film, 0, 130) == [(n, n) for n in range(130)]
    whole = fingerprints(film, 0, 130)
    for beg, end in ((0, 1), (1, 2), (11, 13), (12, 25), (63, 66), (64, 65), (70, 128), (129, 130)):
        assert fingerprints(film, beg, end) == whole[max(0, beg - 1) : end], (beg, end)
    assert fingerprints(film, 129, 500) == whole[128:]
    assert fingerprints(film, 7, 7) == fingerprints(film, 200, 300) == []


@pytest.mark.parametrize("name", KINDS)
def test_intact_film_is_never_decoded_leniently(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = open_film(make_film(tmp_path / name, 130, **KINDS[name]))

    def fail(*_: object) -> None:
        raise AssertionError("decoded leniently")

    monkeypatch.setattr(segments, "_decode_leniently", fail)
    for beg in range(0, 130, 9):
        assert len(list(read_frames(film, beg, beg + 9))) >= min(9, 130 - beg)


def test_of_the_tail_of_an_intact_film_only_the_last_frame_is_sought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought: list[int] = []

    def recorded(path: Path, index: FrameIndex, number: int, *options: Any) -> Any:
        sought.append(number)
        return frames_around(path, index, number, *options)

    monkeypatch.setattr(frame_index, "frames_around", recorded)
    film = make_film(tmp_path / "1-A.mp4", 150, gop=200, bframes=3)
    assert build_index(film).pts.size == 150 and sought == [149]
    with av.open(str(film)) as container:
        packets = sorted((p.pts, p.pos, p.size) for p in container.demux(video=0) if p.pts is not None)
    with film.open("r+b") as file:
        for _, position, size in packets[-3:]:
            file.seek(position)
            file.write(bytes(size))
    sought.clear()
    assert build_index(film).pts.size == 147 and sought == [149, 86]


def test_a_damaged_avi_index_is_not_used(tmp_path: Path) -> None:
    path = make_film(tmp_path / "1-a.avi", 200, codec="mpeg4")
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"idx1") + 8 + 16 * 20
    assert data[entry : entry + 4] == b"00dc"
    data[entry + 1] = ord("7")  # now another stream's entry, so all later times are wrong
    path.write_bytes(data)
    film = open_film(path)
    assert numbers_read(film, 150, 152) == [(149, 149), (150, 150), (151, 151)]


def test_a_film_of_one_frame(tmp_path: Path) -> None:
    film = open_film(make_film(tmp_path / "1-one.mp4", 1))
    assert numbers_read(film, 0, 1) == [(0, 0)]


@pytest.mark.parametrize("name", ["1-odd-size.mp4", "1-odd-size-420.mkv", "1-ten-bits-422.mov"])
def test_odd_sizes_and_ten_bits_equal_opencv(name: str, tmp_path: Path) -> None:
    path = make_film(tmp_path / name, 4, **KINDS[name])
    _, image = list(read_frames(open_film(path), 2, 3))[-1]
    capture = cv2.VideoCapture(str(path))
    for _ in range(3):
        _, theirs = capture.read()
    assert image.shape == theirs.shape
    assert np.abs(image[..., ::-1].astype(int) - theirs).mean() < 1


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_a_rotated_film_equals_opencv(degrees: int, tmp_path: Path) -> None:
    path = make_film(tmp_path / "1-rotated.mp4", 3, rotation=degrees)
    film = open_film(path)
    assert (film.width, film.height) == (160, 120)
    assert (film.display_width, film.display_height) == ((160, 120) if degrees == 180 else (120, 160))
    _, image = next(read_frames(film, 0, 1))
    _, theirs = cv2.VideoCapture(str(path)).read()
    assert np.array_equal(image[..., ::-1], theirs)


def test_a_rotation_by_other_angles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rotated by"):
        open_film(make_film(tmp_path / "1-askew.mp4", 3, rotation=30))


def test_anamorphic_film_is_widened_unless_the_table_overrides_it(tmp_path: Path) -> None:
    path = make_film(tmp_path / "1-wide.mp4", 3, sar=Fraction(16, 11))
    film = open_film(path)
    assert (film.width, film.display_width, film.display_height) == (160, 233, 120)
    _, image = next(read_frames(film, 0, 1))
    assert image.shape == (120, 233, 3) and number_in(image) == 0
    table = tmp_path / "aspect_ratios.csv"
    table.write_text("filename,display_width,display_height\nother.mp4,4,3\n1-wide.mp4,1920,1080\n")
    overridden = open_film(path, read_aspect_ratio(table, path.name))
    assert (overridden.display_width, overridden.display_height) == (213, 120)
    again = describe_film(path, overridden.pts, display_size=(213, 120))
    assert (again.display_width, again.frame_rate) == (213, overridden.frame_rate)


@pytest.mark.parametrize(
    ("row", "line", "wrong"),
    [
        ("1-a.mp4,0,3", 2, "integers above 0"),
        ("1-a.mp4,,3", 2, "integers above 0"),
        ("1-a.mp4,1.5,3", 2, "integers above 0"),
        ("1-a.mp4,4,3\n1-a.mp4,4,3", 3, "second row"),
        ("1-a.mp4,4", 2, "cells"),
    ],
)
def test_errors_in_the_aspect_table_name_the_line(row: str, line: int, wrong: str, tmp_path: Path) -> None:
    table = tmp_path / "aspect_ratios.csv"
    table.write_text(f"filename,display_width,display_height\n{row}\n")
    with pytest.raises(FacerecError, match=rf"aspect_ratios.csv:{line}: .*{wrong}"):
        read_aspect_ratio(table, "1-a.mp4")


def test_an_aspect_table_without_a_column_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "aspect_ratios.csv"
    table.write_text("filename,display_width\n1-a.mp4,4\n")
    with pytest.raises(FacerecError, match="display_height"):
        read_aspect_ratio(table, "1-a.mp4")


def test_an_absurd_pixel_aspect_ratio_is_refused(tmp_path: Path) -> None:
    path = make_film(tmp_path / "1-a.mp4", 2, sar=Fraction(110))
    with pytest.raises(InputError, match="pixels by its header"):
        open_film(path)


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_a_wrong_frame_count_in_the_container_is_ignored(factor: float, tmp_path: Path) -> None:
    path = make_film(tmp_path / "1-count.avi", 40, codec="mpeg4")
    data = bytearray(path.read_bytes())
    for tag, offset in ((b"avih", 24), (b"strh", 40)):  # dwTotalFrames; dwLength of the stream
        place = data.index(tag) + offset
        assert struct.unpack_from("<I", data, place) == (40,)
        struct.pack_into("<I", data, place, int(40 * factor))
    path.write_bytes(data)
    film = open_film(path)
    assert (film.declared_frames, film.frame_count) == (int(40 * factor), 40)
    assert numbers_read(film, 30, 40) == [(n, n) for n in range(29, 40)]
    assert film.losses == (("the container declares 60 frames, 40 could be read",) if factor > 1 else ())


@pytest.mark.parametrize(("name", "declared"), [("1-a.mp4", 40), ("1-a.mkv", 40), ("1-a.h264", None)])
def test_the_header_says_how_many_frames_there_are_or_how_long_they_take(
    name: str, declared: int | None, tmp_path: Path
) -> None:
    assert declared_frames(make_film(tmp_path / name, 40, rate=20)) == declared


@pytest.mark.parametrize(("suffix", "shown"), [("mp4", Fraction(7, 20)), ("ts", Fraction(1, 20))])
def test_the_last_frame_is_shown_as_long_as_its_packet_says(
    suffix: str, shown: Fraction, tmp_path: Path
) -> None:
    plain, path = make_film(tmp_path / "plain.mp4", 30, rate=20), tmp_path / f"1-last.{suffix}"
    with av.open(str(plain)) as source, av.open(str(path), "w") as to:
        stream = to.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        last = max(packets, key=lambda packet: packet.pts or 0)
        last.duration = 7 * last.duration
        for packet in packets:
            packet.stream = stream
            to.mux(packet)
    assert last_frame_duration(open_film(path)) == shown


def test_the_last_frame_of_a_film_without_times_is_shown_as_long_as_any(tmp_path: Path) -> None:
    film = open_film(make_film(tmp_path / "1-no-times.h264", 30, rate=20))
    assert last_frame_duration(film) == 1 / film.frame_rate
    assert film.losses == ()


def test_frames_hidden_by_an_edit_list_are_not_losses(tmp_path: Path) -> None:
    """As cut by phones: starts within a group of pictures, with negative times."""
    whole, path = make_film(tmp_path / "whole.mp4", 60, gop=20, bframes=2), tmp_path / "1-cut.mp4"
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(whole)) as source, av.open(str(path), "w", options=options) as to:
        stream = to.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None and packet.pts is not None:
                assert packet.time_base is not None
                shift = int(30 / (25 * packet.time_base))
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                to.mux(packet)
    film = open_film(path)
    assert film.losses == () and numbers_read(film, 0, 30) == [(n, n + 30) for n in range(30)]
    assert film.declared_frames == 60


def test_a_matroska_film_that_starts_late_has_no_losses(tmp_path: Path) -> None:
    pts = [10_000_000 + 40 * i for i in range(50)]
    film = open_film(make_film(tmp_path / "1-a.mkv", 50, pts=pts, time_base=Fraction(1, 1000)))
    assert film.losses == () and numbers_read(film, 20, 50) == [(n, n) for n in range(19, 50)]


def mux_all(to, inputs) -> None:
    """Copy the packets of each source's first video stream into its stream of `to`."""
    for source, stream in inputs:
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                to.mux(packet)


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_of_two_video_streams_the_first_is_read_and_the_other_reported(suffix: str, tmp_path: Path) -> None:
    sources = [make_film(tmp_path / "a.mp4", 30), make_film(tmp_path / "b.mp4", 30, width=320, height=240)]
    path = tmp_path / f"1-two.{suffix}"
    with av.open(str(sources[0])) as a, av.open(str(sources[1])) as b, av.open(str(path), "w") as to:
        mux_all(to, [(source, to.add_stream_from_template(source.streams.video[0])) for source in (a, b)])
    film = open_film(path)
    assert (film.width, film.height, film.frame_count) == (160, 120, 30)
    assert film.losses == ("of 2 video streams only the first is read, the others (320x240) are not",)
    assert opencv_seek_mismatches(film) == []


def test_a_cover_picture_is_ignored(tmp_path: Path) -> None:
    """The cover comes before the film's stream, as taggers write it."""
    still = make_film(tmp_path / "c.mp4", 1, codec="mjpeg", pix_fmt="yuvj420p", width=400, height=600)
    path, moving = tmp_path / "1-a.mp4", make_film(tmp_path / "m.mp4", 30)
    with av.open(str(still)) as a, av.open(str(moving)) as b, av.open(str(path), "w") as to:
        cover = to.add_stream_from_template(a.streams.video[0])
        cover.disposition = av.stream.Disposition.attached_pic
        mux_all(to, [(a, cover), (b, to.add_stream_from_template(b.streams.video[0]))])
    film = open_film(path)
    assert (film.width, film.height, film.frame_count, film.losses) == (160, 120, 30, ())
    assert opencv_seek_mismatches(film) == []


def test_a_truncated_mp4_is_read_up_to_the_cut(tmp_path: Path) -> None:
    whole = make_film(tmp_path / "1-whole.mp4", 200, **KINDS["1-index-in-front.mp4"])
    film = open_film(cut_off(whole, tmp_path / "1-cut.mp4", 0.5))
    assert 60 < film.frame_count < 140
    assert film.losses and re.match(r"the container declares 200 frames, \d+ could be read", film.losses[0])
    assert numbers_read(film, 0, film.frame_count) == [(n, n) for n in range(film.frame_count)]


@pytest.mark.parametrize("name", ["1-cut.mkv", "1-cut.ts"])
def test_a_truncated_stream_is_read_up_to_the_cut(name: str, tmp_path: Path) -> None:
    whole = make_film(tmp_path / f"1-whole{name[5:]}", 200, **B_FRAMES)
    film = open_film(cut_off(whole, tmp_path / name, 0.5))
    assert 60 < film.frame_count < 140
    read = numbers_read(film, 0, film.frame_count)
    assert read[-1][0] == film.frame_count - 1  # the truncated last packet is not a frame
    assert all(number == seen for number, seen in read)
    assert bool(film.losses) == name.endswith("mkv")  # a transport stream declares no duration


def test_leading_pictures_at_the_start_are_not_frames(tmp_path: Path) -> None:
    whole = make_film(tmp_path / "1-whole.ts", 100, bframes=2, open_gop=True)
    with av.open(str(whole)) as container:
        keys = [packet.pos for packet in container.demux(video=0) if packet.is_keyframe]
    path = tmp_path / "1-joined-late.ts"
    path.write_bytes(whole.read_bytes()[: 188 * 3] + whole.read_bytes()[keys[2] :])
    film = open_film(path)
    with av.open(str(path)) as container:
        decoded = [number_in(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert [seen for _, seen in numbers_read(film, 0, film.frame_count)] == decoded
    middle = film.frame_count // 2
    assert numbers_read(film, middle, middle + 1)[-1] == (middle, decoded[middle])


@pytest.mark.parametrize(
    "name",
    [
        "1-b-frames.mp4",
        "1-one-key-frame.mp4",
        "1-open-gop.ts",
        pytest.param("1-open-gop.mkv", marks=pytest.mark.slow),
        "1-mpeg4.avi",
        "1-mpeg2.mpg",
    ],
)
def test_damage_loses_the_same_frames_in_any_range(name: str, tmp_path: Path) -> None:
    intact = make_film(tmp_path / name, 200, **KINDS[name])
    lost = 0
    for seed in range(6):
        flips = (1, 3, 12)[seed % 3]
        film = open_film(flip_bits(intact, tmp_path / f"2-{name}", seed, flips, keep=3000))
        count = film.frame_count
        whole = fingerprints(film, 0, count)
        assert [n for n, _ in whole] == sorted({n for n, _ in whole})
        lost += count - len(whole)
        rng = random.Random(seed)
        borders = sorted({0, count, segments.SEGMENT, *(rng.randrange(1, count) for _ in range(4))})
        for beg, end in pairwise(borders):
            owned = [item for item in whole if beg <= item[0] < end]
            context = [item for item in whole if item[0] < beg][-1:]
            assert fingerprints(film, beg, end) == (context + owned if owned else [])
    assert 0 < lost < 200, "some frames must be lost, and by far not all"


def test_lost_frames_keep_their_numbers(tmp_path: Path) -> None:
    path = make_film(tmp_path / "1-zeros.mp4", 150, **KINDS["1-index-in-front.mp4"])
    with av.open(str(path)) as container:
        key = [packet for packet in container.demux(video=0) if packet.is_keyframe][5]
        place, size = key.pos, key.size
    assert place is not None
    data = bytearray(path.read_bytes())
    data[place + 40 : place + size] = bytes(size - 40)
    path.write_bytes(data)
    film = open_film(path)
    read = dict(numbers_read(film, 0, 150))
    assert film.frame_count == 150 and 60 not in read
    assert all(read[n] == n for n in (0, 30, 59, 72, 100, 149))
    assert numbers_read(film, 61, 100)[0][0] < 60 or 61 in read


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("no film at all\n" * 50), "is it a video file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(random.Random(0).randbytes(5000)), "is it a video file"),
        (lambda path: path.write_text("#EXTM3U\n#EXTINF:2\n/etc/passwd\n"), "is it a video file"),
        (lambda path: path.write_text("ffconcat version 1.0\nfile '/etc/passwd'\n"), "is it a video file"),
        (lambda path: path.write_bytes(cv2.imencode(".png", picture(1))[1].tobytes()), "is it a video file"),
        (make_sound, "no video stream"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: None, "no such film"),
        (lambda path: cut_off(make_film(path.with_name("2-a.mp4"), 20), path, 0.6), "moov"),
    ],
)  # fmt: skip
def test_files_that_are_not_films_are_refused_in_one_line(
    make: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "1-film.mp4"
    make(path)
    with pytest.raises(InputError, match=message) as refusal:
        open_film(path)
    assert "\n" not in str(refusal.value) and str(path) in str(refusal.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_film_without_read_permission_is_refused(tmp_path: Path) -> None:
    path = make_film(tmp_path / "1-film.mp4", 2)
    path.chmod(0)
    with pytest.raises(InputError, match="no permission"):
        open_film(path)


def test_a_reserved_colour_description_is_ignored(tmp_path: Path) -> None:
    reserved = {"x264-params": "keyint=12:colormatrix=ictcp"}
    film = open_film(make_film(tmp_path / "1-a.mp4", 5, options=reserved))
    assert numbers_read(film, 0, 5) == [(n, n) for n in range(5)]


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    path = make_film(tmp_path / "1-a.mkv", 5)
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/XXX/AVC"))
    with pytest.raises(InputError, match="no decoder"):
        open_film(path)


def test_a_film_without_decodable_frames_is_refused(tmp_path: Path) -> None:
    path = make_film(tmp_path / "1-a.mp4", 20, **KINDS["1-index-in-front.mp4"])
    data = bytearray(path.read_bytes())
    place = data.index(b"mdat") + 4
    data[place:] = random.Random(1).randbytes(len(data) - place)
    path.write_bytes(data)
    with pytest.raises(InputError, match="no frame of it can be decoded"):
        open_film(path)


def test_a_path_with_special_characters_is_not_a_url(tmp_path: Path) -> None:
    folder = tmp_path / "http: Фильмы%d"
    folder.mkdir()
    path = make_film(tmp_path / "1-a.mp4", 5).rename(folder / "7-Kühle: Wampe, %03d 'x'.mp4")
    film = open_film(path)
    assert numbers_read(film, 3, 4) == [(2, 2), (3, 3)]
    assert opencv_seek_mismatches(film) == []


def test_opencv_agrees_on_a_plain_film(tmp_path: Path) -> None:
    assert opencv_seek_mismatches(open_film(make_film(tmp_path / "1-a.mp4", 120, bframes=2))) == []


@pytest.mark.parametrize(
    "tags", ["bt709", "bt2020:smpte2084", pytest.param("bt2020:arib-std-b67", marks=pytest.mark.slow)]
)
def test_other_colours_in_opencv_are_not_seek_mismatches(tags: str, tmp_path: Path) -> None:
    primaries, _, transfer = tags.partition(":")
    matrix = primaries + "nc" * (primaries == "bt2020")
    tagged = f"colorprim={primaries}:transfer={transfer or primaries}:colormatrix={matrix}:keyint=12"
    film = make_film(tmp_path / "1-a.mp4", 60, options={"preset": "ultrafast", "x264-params": tagged})
    assert opencv_seek_mismatches(open_film(film)) == []


def test_a_variable_rate_gives_seek_mismatches(tmp_path: Path) -> None:
    film = open_film(make_film(tmp_path / "1-variable-rate.mkv", 130, **KINDS["1-variable-rate.mkv"]))
    assert opencv_seek_mismatches(film)


def test_a_consumer_that_stops_early_closes_the_film(tmp_path: Path) -> None:
    film = open_film(make_film(tmp_path / "1-a.mp4", 100))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        frames = read_frames(film, 40, 100)
        next(frames)
        frames.close()  # type: ignore[attr-defined]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("clip", "frames", "size"),
    [("10005-Anamorphic", 628, (1024, 576)), ("10006-VariableFrameRate", 160, (1280, 544))],
)
def test_real_film_equals_plain_decoding(clip: str, frames: int, size: tuple[int, int], shared: Path) -> None:
    film = open_film(shared / "data" / "clips" / f"{clip}.mp4")
    assert (film.frame_count, film.display_width, film.display_height) == (frames, *size)
    wanted = {0, 57, frames // 2, frames - 1}
    with av.open(str(film.path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                image = list(read_frames(film, number, number + 1))[-1][1]
                theirs = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
                assert np.abs(image.astype(int) - theirs).mean() < 1
