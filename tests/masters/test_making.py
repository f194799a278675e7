"""Films made of masters: every frame keeps its number, and what is doubtful is refused."""

from __future__ import annotations

import shlex
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from facerec.errors import FacerecError, InputError, StaleError
from facerec.extraction.film_notes import film_notes
from facerec.folder.film_commands import FRAME_SUFFIXES, film_command
from facerec.folder.films import find_film, movie_ids
from facerec.geometry import Image
from facerec.make_film import main
from facerec.masters import encoding
from facerec.masters.numbered import DECODERS
from facerec.video import open_film, read_frames
from facerec.video.held_frames import held_frames
from facerec.video.opencv_check import opencv_decodes, opencv_seek_mismatches
from tests.films import make_film, number_in, picture
from tests.masters.pictures import write_cinema_film, write_frames, write_package, write_picture


def _numbers(path: Path) -> list[int]:
    film = open_film(path)
    return [number_in(image) for _, image in read_frames(film, 0, film.frame_count)]


def _first(path: Path) -> Image:
    return next(image for _, image in read_frames(open_film(path), 0, 1))


def _shifted(by: int) -> Callable[[int, int, int], Image]:
    return lambda number, width, height: picture(number + by, width, height)


def _error(*arguments: object) -> str:
    with pytest.raises(FacerecError) as error:
        main([str(one) for one in arguments])
    return str(error.value)


def _refuse(*_: object) -> None:
    raise InputError("stopped")


def _made(*arguments: object) -> None:
    assert main([str(one) for one in arguments]) == 0


@pytest.mark.parametrize("suffix", [".dpx", ".exr", ".tif", ".png", ".jpg", ".j2k"])
def test_a_folder_of_frames_becomes_a_film_with_their_numbers(tmp_path: Path, suffix: str) -> None:
    folder = write_frames(tmp_path / "7-Scan", range(86400, 86407), suffix)
    _made(folder, "--fps", "23.976", "--view", "none")
    film = open_film(tmp_path / "7-Scan.mp4")
    assert _numbers(film.path) == list(range(7))
    assert film.frame_rate == Fraction(24000, 1001)
    capture = cv2.VideoCapture(str(film.path))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 5)
    assert number_in(capture.read()[1][..., ::-1]) == 5
    assert sorted(one.name for one in tmp_path.iterdir()) == ["7-Scan", "7-Scan.mp4"]


def test_frames_without_padding_are_in_order(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "7-Scan", range(98, 103), ".png", "f{}")
    _made(folder, "--fps", "24", "--out", tmp_path / "7-Other.mkv")
    assert _numbers(tmp_path / "7-Other.mkv") == list(range(5))


def test_a_gap_is_refused_or_held(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "7-Scan", range(6), ".png")
    (folder / "scan_00002.png").unlink()
    (folder / "scan_00003.png").unlink()
    assert "2 frames are missing: 2-3" in _error(folder, "--fps", "24")
    assert not list(tmp_path.glob("*.mp4"))
    _made(folder, "--fps", "24", "--gaps", "hold")
    assert _numbers(tmp_path / "7-Scan.mp4") == [0, 1, 1, 1, 4, 5]
    assert held_frames(open_film(tmp_path / "7-Scan.mp4")) == "2-3"


@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
def test_held_frames_are_recorded_also_after_a_stop(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(encoding, "SEGMENT", 3)
    folder, out = write_frames(tmp_path / "7-Scan", range(7)), tmp_path / f"7-Scan{suffix}"
    (folder / "scan_00001.png").write_bytes(b"torn")
    (folder / "scan_00003.png").unlink()
    whole = (folder / "scan_00006.png").read_bytes()
    (folder / "scan_00006.png").write_bytes(b"torn")
    monkeypatch.setattr(encoding, "join_segments", _refuse)
    words = ["--fps", "24", "--gaps", "hold", "--out", out]
    assert "stopped" in _error(folder, *words)
    monkeypatch.undo()
    monkeypatch.setattr(encoding, "SEGMENT", 3)
    (folder / "scan_00006.png").write_bytes(whole)
    capsys.readouterr()
    _made(folder, *words)
    assert "held frames: 1,3," in capsys.readouterr().out
    film = open_film(out)
    assert held_frames(film) == "1,3"
    assert film_notes(film)[0].endswith("which show the frame before them: 1,3")


def test_a_damaged_frame_is_refused_or_held(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "7-Scan", range(4), ".tif")
    (folder / "scan_00002.tif").write_bytes(b"II*\0nothing of a picture")
    assert "scan_00002.tif" in _error(folder, "--fps", "24")
    assert not (tmp_path / "7-Scan.mp4").exists()
    _made(folder, "--fps", "24", "--gaps", "hold")
    assert _numbers(tmp_path / "7-Scan.mp4") == [0, 1, 1, 3]


def test_mixed_sizes_are_refused(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "7-Scan", range(3), ".png")
    write_picture(folder / "scan_00003.png", picture(3, 128, 96))
    assert "frame 3 has 128x96 pixels" in _error(folder, "--fps", "24")
    assert not (tmp_path / "7-Scan.mp4").exists()


def test_mixed_sizes_in_other_segments_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "SEGMENT", 2)
    folder = write_frames(tmp_path / "7-Scan", range(4), ".png")
    write_picture(folder / "scan_00002.png", picture(2, 128, 96))
    write_picture(folder / "scan_00003.png", picture(3, 128, 96))
    assert "frame 2 has 128x96 pixels" in _error(folder, "--fps", "24")
    assert not (tmp_path / "7-Scan.mp4").exists()


def test_16_bits_of_grey_keep_their_brightness(tmp_path: Path) -> None:
    folder = tmp_path / "7-Scan"
    folder.mkdir()
    ramp = np.tile(np.linspace(0, 65535, 160).astype(np.uint16)[:, None], (120, 1, 3))
    for number in range(3):
        write_picture(folder / f"{number}.tif", ramp, "gray16le")
    _made(folder, "--fps", "24")
    assert np.abs(_first(tmp_path / "7-Scan.mp4").astype(int) - (ramp >> 8)).max() <= 4


def test_a_log_scan_is_shown_as_its_header_says(tmp_path: Path) -> None:
    """DPX with the transfer "printing density" and 25 frames a second in its header."""
    folder = tmp_path / "7-Scan"
    folder.mkdir()
    codes = np.zeros((96, 128, 3), np.uint16)
    codes[:48], codes[48:] = 95 << 6, 685 << 6
    for number in range(3):
        path = write_picture(folder / f"{number}.dpx", codes)
        data = path.read_bytes()
        order = ">" if data[:4] == b"SDPX" else "<"
        extended = bytearray(data[:1664] + bytes(384) + data[1664:])
        extended[4:8] = struct.pack(order + "I", 2048)  # where the picture begins
        extended[801] = 1
        extended[1724:1728] = struct.pack(order + "f", 23.976)
        path.write_bytes(extended)
    _made(folder)
    film = tmp_path / "7-Scan.mp4"
    assert open_film(film).frame_rate == Fraction(24000, 1001)
    image = _first(film)
    assert image[10].max() <= 3 and image[80].min() >= 252
    _made(folder, "--view", "none", "--overwrite")
    image = _first(film)
    assert image[10].min() >= 18 and image[80].max() <= 180


def test_odd_sizes_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "7-Scan"
    folder.mkdir()
    for number in range(3):
        write_picture(folder / f"{number}.png", picture(number, 161, 121))
    _made(folder, "--fps", "24")
    film = open_film(tmp_path / "7-Scan.mp4")
    assert (film.width, film.height) == (161, 121)


def test_a_run_continues_after_the_last_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "SEGMENT", 3)
    folder = write_frames(tmp_path / "7-Scan", range(8), ".png")
    intact = (folder / "scan_00007.png").read_bytes()
    (folder / "scan_00007.png").write_bytes(b"")
    assert "scan_00007.png: is empty" in _error(folder, "--fps", "24")
    segments = {one: one.stat().st_mtime_ns for one in (tmp_path / ".7-Scan.mp4.segments").glob("*.mp4")}
    assert len(segments) == 2
    (folder / "scan_00007.png").write_bytes(intact)
    encoded = []
    encode = encoding._encode
    monkeypatch.setattr(encoding, "_encode", lambda *a: (encoded.append(a[2]), encode(*a)))
    _made(folder, "--fps", "24")
    assert encoded == [6]
    assert _numbers(tmp_path / "7-Scan.mp4") == list(range(8))
    assert not (tmp_path / ".7-Scan.mp4.segments").exists()


def test_changed_pictures_and_settings_are_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "SEGMENT", 2)
    folder = write_frames(tmp_path / "7-Scan", range(4), ".png")
    (folder / "scan_00003.png").write_bytes(b"")
    _error(folder, "--fps", "24")
    write_picture(folder / "scan_00000.png", picture(77))
    write_picture(folder / "scan_00003.png", picture(3))
    _made(folder, "--fps", "25")
    assert _numbers(tmp_path / "7-Scan.mp4") == [77, 1, 2, 3]
    assert open_film(tmp_path / "7-Scan.mp4").frame_rate == 25


def test_a_film_that_is_there_is_kept(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "7-Scan", range(3), ".png")
    (tmp_path / "7-Scan.mp4").write_bytes(b"mine")
    with pytest.raises(StaleError, match="--overwrite"):
        main([str(folder), "--fps", "24"])
    assert (tmp_path / "7-Scan.mp4").read_bytes() == b"mine"


def test_frames_without_a_rate_or_an_id_are_refused(tmp_path: Path) -> None:
    assert "--fps 24" in _error(write_frames(tmp_path / "7-Scan", range(2)))
    assert "movie id" in _error(write_frames(tmp_path / "Scan", range(2)), "--fps", "24")
    assert "--fps 0" in _error(tmp_path / "7-Scan", "--fps", "0")
    assert "no such file" in _error(tmp_path / "8-None", "--fps", "24")
    assert "is one picture" in _error(tmp_path / "7-Scan" / "scan_00000.png", "--fps", "24")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_parts_are_joined_with_continuous_numbers(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "8-Reels"
    folder.mkdir()
    for part, by in ((1, 0), (2, 20), (10, 40)):
        make_film(folder / f"reel{part}.mp4", 20, bframes=2, draw=_shifted(by), audio=True)
    out = tmp_path / f"8-Reels{suffix}"
    _made(folder, "--out", out)
    assert _numbers(out) == list(range(60))
    with av.open(str(out)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
    copied = next(image for n, image in read_frames(open_film(out), 20, 21) if n == 20)
    assert np.array_equal(copied, _first(folder / "reel2.mp4"))  # not encoded again


def test_parts_that_are_cut_within_a_frame_are_joined(tmp_path: Path) -> None:
    folder = tmp_path / "9-Dvd" / "VIDEO_TS"
    folder.mkdir(parents=True)
    whole = make_film(tmp_path / "whole.mpg", 80, codec="mpeg2video", bframes=2).read_bytes()
    middle = len(whole) // 2 // 2048 * 2048
    (folder / "VTS_01_0.VOB").write_bytes(whole[:2048])  # the menu
    (folder / "VTS_01_1.VOB").write_bytes(whole[:middle])
    (folder / "VTS_01_2.VOB").write_bytes(whole[middle:])
    _made(folder, "--out", tmp_path / "9-Dvd.mkv")
    assert _numbers(tmp_path / "9-Dvd.mkv") == list(range(80))


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt"),
    [(".ts", "libx264", "yuv420p"), (".mpg", "mpeg2video", "yuv420p"), (".mxf", "mpeg2video", "yuv422p")],
)
def test_parts_whose_clocks_begin_again_are_joined(
    tmp_path: Path, suffix: str, codec: str, pix_fmt: str
) -> None:
    parts = [
        make_film(
            tmp_path / f"{k}{suffix}", 20, codec=codec, pix_fmt=pix_fmt, bframes=2, draw=_shifted(20 * k)
        )
        for k in range(3)
    ]
    out = tmp_path / "5-Film.mkv"
    _made(*parts, "--out", out)
    assert _numbers(out) == list(range(60))
    steps = np.diff(open_film(out).pts) * float(open_film(out).time_base)
    assert np.abs(steps - 0.04).max() < 0.002


def test_parts_of_different_codecs_are_refused_or_encoded(tmp_path: Path) -> None:
    one = make_film(tmp_path / "one.mp4", 10)
    two = make_film(tmp_path / "two.mkv", 10, codec="ffv1", draw=_shifted(10))
    out = tmp_path / "8-Film.mp4"
    assert "another codec" in _error(one, two, "--out", out)
    assert "--encode" in _error(one, two, "--out", out)
    assert not out.exists()
    _made(one, two, "--out", out, "--encode")
    assert _numbers(out) == list(range(20))


def test_parts_of_different_sizes_are_refused(tmp_path: Path) -> None:
    one, two = make_film(tmp_path / "one.mp4", 5), make_film(tmp_path / "two.mp4", 5, width=192)
    for words in ([], ["--encode"]):
        assert "size" in _error(one, two, "--out", tmp_path / "8-Film.mp4", *words)


def test_parts_of_varying_rate_are_refused_or_encoded_at_one_rate(tmp_path: Path) -> None:
    times = [0, 40, 120, 160, 200, 320, 360, 400, 440, 560]
    parts = [
        make_film(tmp_path / f"{k}.mp4", 10, pts=times, time_base=Fraction(1, 1000), draw=_shifted(10 * k))
        for k in range(2)
    ]
    out = tmp_path / "8-Film.mp4"
    assert "varies" in _error(*parts, "--out", out)
    _made(*parts, "--out", out, "--encode", "--fps", "25")
    assert _numbers(out) == list(range(20))
    assert np.ptp(np.diff(open_film(out).pts)) == 0


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "width", "height"),
    [
        ("7-Film.mxf", "mpeg2video", "yuv422p", 160, 120),
        ("7-Film.mxf", "dnxhd", "yuv422p", 256, 128),
        ("7-Film.mov", "prores_ks", "yuv422p10le", 160, 120),
        ("7-Film.mkv", "ffv1", "yuv422p10le", 160, 120),
        ("7-Film.mov", "v210", "yuv422p10le", 160, 120),
        ("7-Film.mov", "cfhd", "yuv422p10le", 160, 128),
    ],
)
def test_films_of_these_codecs_need_no_other(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, width: int, height: int
) -> None:
    options = {"profile": "dnxhr_hq"} if codec == "dnxhd" else {}
    size = {"width": width, "height": height}
    path = make_film(tmp_path / name, 8, codec=codec, pix_fmt=pix_fmt, options=options, **size)  # type: ignore[arg-type]
    assert _numbers(path) == list(range(8))
    assert opencv_decodes(open_film(path))
    assert opencv_seek_mismatches(open_film(path)) == []


def test_a_film_that_opencv_cannot_decode_becomes_one_that_it_can(tmp_path: Path) -> None:
    film = make_film(tmp_path / "av1.mp4", 8, codec="libsvtav1")
    _made(film, "--out", tmp_path / "7-Film.mp4")
    assert _numbers(tmp_path / "7-Film.mp4") == list(range(8))
    assert opencv_decodes(open_film(tmp_path / "7-Film.mp4"))


def _cinema(place: int) -> np.ndarray:
    """Draw X'Y'Z' of 12 bits; black and white spell the number."""
    grey = picture(place)[..., :1].repeat(3, 2).astype(float) / 255
    white = np.array([0.9505, 1.0, 1.089]) * 48 / 52.37
    return np.round(4095 * (grey**2.2 * white) ** (1 / 2.6)).astype(np.uint16)


def test_a_digital_cinema_package_becomes_a_film(tmp_path: Path) -> None:
    """Two reels, of which the composition leaves out the first frames."""
    folder = tmp_path / "12-Cinema"
    folder.mkdir()
    write_cinema_film(folder / "a.mxf", [_cinema(n) for n in (99, 0, 1, 2)])
    write_cinema_film(folder / "b.mxf", [_cinema(n) for n in (98, 97, 3, 4, 96)])
    write_package(folder, [("a.mxf", 1, 3), ("b.mxf", 2, 2)])
    _made(folder)
    film = tmp_path / "12-Cinema.mp4"
    assert _numbers(film) == [0, 1, 2, 3, 4]
    wanted = np.where(picture(0)[..., :1] == 235, 235, picture(0)[..., :1]).repeat(3, 2)
    found = _first(film)
    assert abs(float(found.mean()) - float(wanted.mean())) < 8
    assert np.ptp(found.mean((0, 1))) < 4  # grey stays grey


def test_packages_that_cannot_be_shown_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "12-Cinema"
    folder.mkdir()
    write_cinema_film(folder / "a.mxf", [_cinema(n) for n in range(3)])
    write_package(folder, [("a.mxf", 0, 3)], key="<KeyId>urn:uuid:1</KeyId>")
    assert "is encrypted" in _error(folder)
    write_package(folder, [("a.mxf", 0, 4)])
    assert "has 3 frames, the composition shows 0 to 3" in _error(folder)
    write_package(folder, [("a.mxf", 0, 3)], more="trailer.xml")
    assert "2 compositions: cpl.xml (cpl.xml), trailer.xml (trailer.xml)" in _error(folder)
    write_package(folder, [("gone.mxf", 0, 3)])
    (folder / "trailer.xml").unlink()
    assert "gone.mxf: this picture file of the package is missing" in _error(folder)
    write_package(folder, [("../a.mxf", 0, 3)])
    assert "leads out of the package" in _error(folder)
    (folder / "cpl.xml").write_text("<broken")
    write_package(folder, [("a.mxf", 0, 3)])
    (folder / "cpl.xml").write_text("<broken")
    assert "is not XML" in _error(folder)


@pytest.mark.parametrize(
    ("name", "suffix", "wanted"),
    [
        ("7-Scan", ".png", ["--fps", "24"]),
        ("Our Scan (1998)", ".png", ["--fps", "24", "--out", "9-OurFilm.mp4"]),
        ("8-Scan", ".dpx", ["--out", "9-OurFilm.mp4"]),
    ],
)
def test_the_printed_command_makes_the_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str, wanted: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    folder = write_frames(Path(name), range(2), suffix=suffix)
    if suffix == ".dpx":
        for picture in folder.iterdir():
            data = picture.read_bytes()
            assert data[:8] == b"XPDS" + struct.pack("<I", 1664), "without the header of film and television"
            header = data[:4] + struct.pack("<I", 2048) + data[8:1664] + bytes(60) + struct.pack("<f", 25)
            picture.write_bytes(header.ljust(2048, b"\0") + data[1664:])
    movie = 7 if name == "7-Scan" else 9
    words = shlex.split(film_command(folder, movie, "OurFilm"))
    words = words[words.index(name) :]
    assert words == [name, *wanted]
    assert main(words) == 0
    film = find_film(tmp_path, movie)
    assert film.is_file()
    said = capsys.readouterr().out.strip()
    assert f"; next: make add-movie MOVIE={movie} 'ADD_ARGS=--film {film.name}' (" in said
    assert "without a cast needs in ADD_ARGS also --name TITLE --year YEAR --cast" in said
    assert set(DECODERS) == FRAME_SUFFIXES


def test_a_folder_among_the_films_says_which_command_makes_a_film_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from facerec.actors.film_links import plan_film
    from facerec.diagnosis.inputs import check_films
    from facerec.extract import main as extract

    folder = write_frames(tmp_path / "7-Scan", range(2))
    with pytest.raises(InputError, match=r"make_film.*7-Scan"):
        find_film(tmp_path, 7)
    with pytest.raises(InputError, match=r"make_film.*7-Scan"):
        extract([str(folder), "--out", str(tmp_path / "data")])
    with pytest.raises(InputError, match=r"make_film.*7-Scan"):
        plan_film(folder, 7, "Scan", None, rename=False)
    assert any("make_film" in str(finding) for finding in check_films(tmp_path, tmp_path / "actor_db"))
    make_film(tmp_path / "8-Film.mp4", 3)
    assert movie_ids("all", tmp_path) == [8]
    assert "make_film" in capsys.readouterr().err
    _made(folder, "--fps", "24")
    capsys.readouterr()
    assert movie_ids("all", tmp_path) == [7, 8]
    assert not capsys.readouterr().err
    assert find_film(tmp_path, 7).name == "7-Scan.mp4"
