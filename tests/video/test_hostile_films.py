"""Damaged and unusual films through extraction and merge: the same results for any n, or a clear error."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import pytest

from facerec import extract
from facerec.folder.layout import MovieFolder
from facerec.geometry import Image
from facerec.support.cli import run_main
from facerec.video.film import open_film
from facerec.video.opencv_check import opencv_seek_mismatches
from tests.films import cut_off, flip_bits, make_film, make_sound
from tests.toy import (
    HEIGHT,
    MOVIE,
    TOY_MODELS,
    WIDTH,
    Story,
    make_cast,
    results,
    run_extract,
    run_merge,
    run_naming,
    toy_models,
)

LONG = Story(150, cuts=(40, 95))  # more than two segments of lenient decoding


def _name(folder: Path, suffix: str = "mp4") -> Path:
    return folder / f"{MOVIE}-film.{suffix}"


def _intact(folder: Path, suffix: str = "mp4", story: Story = LONG, **options: Any) -> Path:
    (folder / "intact").mkdir()
    return Story(story.frames, story.cuts, film=options).make(_name(folder / "intact", suffix))


def _truncated(folder: Path) -> Path:
    return cut_off(_intact(folder, "ts"), _name(folder, "ts"), 0.6)


def _flipped(folder: Path) -> Path:
    return flip_bits(_intact(folder, "mkv", gop=25), _name(folder, "mkv"), seed=3, flips=12)


def _flipped_transport(folder: Path) -> Path:
    film = _intact(folder, "ts", gop=15, bframes=2, open_gop=True)
    return flip_bits(film, _name(folder, "ts"), seed=5, flips=25)


def _wrong_count(share: Fraction) -> Callable[[Path], Path]:
    """Make an AVI whose header declares `share` times its number of frames."""

    def make(folder: Path) -> Path:
        film = _intact(folder, "avi", codec="mpeg4")
        data = bytearray(film.read_bytes())
        for field in (48, 140):  # avih.dwTotalFrames, strh.dwLength
            assert int.from_bytes(data[field : field + 4], "little") == LONG.frames
            data[field : field + 4] = int(LONG.frames * share).to_bytes(4, "little")
        _name(folder, "avi").write_bytes(data)
        return _name(folder, "avi")

    return make


def _joined(folder: Path, scale: int = 1, restart: bool = False, **second: Any) -> Path:
    """Concatenate two transport streams, as recorders do.

    Args:
        scale: size of the second's frames relative to the first's.
        restart: the times of the second start from zero again.
        second: further options of `make_film` for the second.
    """

    def draw(number: int, width: int, height: int) -> Image:
        image: Image = cv2.resize(LONG.draw(number + 75, WIDTH, HEIGHT), (width, height))
        return image

    times = {} if restart else {"pts": range(75, 150)}
    size = {"width": WIDTH * scale, "height": HEIGHT * scale}
    halves = [
        make_film(folder / "a.ts", 75, width=WIDTH, height=HEIGHT, draw=LONG.draw, gop=15),
        make_film(folder / "b.ts", 75, draw=draw, gop=15, **size, **times, **second),
    ]
    _name(folder, "ts").write_bytes(b"".join(path.read_bytes() for path in halves))
    return _name(folder, "ts")


FULL_RANGE = {"preset": "ultrafast", "x264-params": "range=pc:colormatrix=bt709:keyint=15"}
UNEVEN = [40 * i + 13 * (i % 3) + 900 * (i // 60) for i in range(150)]
FILMS: dict[str, Callable[[Path], Path]] = {
    "truncated": _truncated,
    "bits flipped": _flipped,
    "bits flipped, open-GOP transport stream": _flipped_transport,
    "open-GOP transport stream": lambda f: _intact(f, "ts", gop=15, bframes=2, open_gop=True),
    "variable frame rate": lambda f: _intact(f, "mkv", pts=UNEVEN, time_base=Fraction(1, 1000)),
    "first time not zero": lambda f: _intact(f, "mp4", pts=range(500, 650)),
    "half the frames declared": _wrong_count(Fraction(1, 2)),
    "half again as many frames declared": _wrong_count(Fraction(3, 2)),
    "one frame": lambda f: _intact(f, story=Story(1)),
    "odd width": lambda f: _intact(f, "mkv", width=WIDTH - 1, height=HEIGHT - 1, pix_fmt="yuv444p"),
    "4:2:2, 10 bits": lambda f: _intact(f, "mkv", pix_fmt="yuv422p10le"),
    "rotated": lambda f: _intact(f, rotation=90),
    "non-square pixels": lambda f: _intact(f, sar=Fraction(4, 3)),
    "with sound": lambda f: _intact(f, audio=True),
    "no times": lambda f: _intact(f, "h264", bframes=2),
    "program stream": lambda f: _intact(f, "mpg", codec="mpeg2video", bframes=2),
    "interlaced": lambda f: _intact(f, "mpg", codec="mpeg2video", options={"flags": "+ildct+ilme"}),
    "times out of order": lambda f: _intact(f, "avi", bframes=2),
    "VP9": lambda f: _intact(
        f, "webm", codec="libvpx-vp9", options={"cpu-used": "8", "deadline": "realtime"}
    ),
    "size changes in the middle": lambda f: _joined(f, scale=2),
    "colour range changes in the middle": lambda f: _joined(f, options=FULL_RANGE),
    "times restart": lambda f: _joined(f, restart=True),
}
DAMAGED = {"truncated", "bits flipped", "bits flipped, open-GOP transport stream"}
SIZES = {
    "odd width": (WIDTH - 1, HEIGHT - 1),
    "rotated": (HEIGHT, WIDTH),
    "non-square pixels": (235, HEIGHT),
}


# like other films here, in seconds each: for the long tests
SIMILAR = {
    "half again as many frames declared",
    "bits flipped, open-GOP transport stream",
    "first time not zero",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SIMILAR)) for name in FILMS]
)
def test_results_do_not_depend_on_n(name: str, tmp_path: Path) -> None:
    film = FILMS[name](tmp_path)
    short = ["--min-trajectory", "1"] if name == "one frame" else []
    folder = run_merge(run_extract(film, tmp_path / "1", 1), *short)
    whole, manifest = results(folder), json.loads(folder.manifest.read_bytes())
    frames, cuts = manifest["frame_count"], json.loads(whole["scene_changes.json"])["frame_indices"]
    print(f"{name}: {frames} frames, skipped {manifest['skipped_frames']}, notes {manifest['notes']}")  # noqa: T201
    trajectories = [json.loads(line) for line in whole["trajectories.jsonl"].splitlines()]
    assert trajectories, "without trajectories nothing is tested"
    width, height = SIZES.get(name, (WIDTH, HEIGHT))
    assert {(one["w"], one["h"]) for one in trajectories} == {(width, height)}
    if name not in DAMAGED:
        assert manifest["skipped_frames"] == []
        assert (frames, cuts) == ((1, []) if name == "one frame" else (150, [40, 95]))
    parts = run_merge(run_extract(film, tmp_path / "7", 7), *short)
    assert results(parts) == whole
    assert json.loads(parts.manifest.read_bytes())["skipped_frames"] == manifest["skipped_frames"]
    run_naming(parts, make_cast(tmp_path / "actor_db"))


def test_the_loss_of_a_truncated_film_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Matroska film declares its duration in the header; the rest of the film is used."""
    film = cut_off(_intact(tmp_path, "mkv"), _name(tmp_path, "mkv"), 0.6)
    folder = run_merge(run_extract(film, tmp_path, 2))
    manifest = json.loads(folder.manifest.read_bytes())
    assert 60 < manifest["frame_count"] < 120
    assert any("could be read" in note for note in manifest["notes"])
    assert "could be read" in capsys.readouterr().err


def test_undecodable_frames_are_recorded_and_few(tmp_path: Path) -> None:
    folder = run_merge(run_extract(_flipped(tmp_path), tmp_path, 3))
    manifest = json.loads(folder.manifest.read_bytes())
    skipped = manifest["skipped_frames"]
    assert 0 < len(skipped) < manifest["frame_count"] / 2
    assert skipped == sorted(set(skipped))
    evidence = b"".join(path.read_bytes() for path in sorted((folder.path / "evidence").iterdir()))
    seen = {json.loads(line)["frame"] for line in evidence.splitlines()}
    assert seen | set(skipped) == set(range(manifest["frame_count"])) and not seen & set(skipped)


def test_seek_mismatches_are_reported_once_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = _intact(tmp_path, "mkv", pts=UNEVEN, time_base=Fraction(1, 1000))
    for shard in ("0", "1"):
        folder = run_extract(film, tmp_path, 2, shards=shard)
    printed = capsys.readouterr().err
    assert printed.count("seeking by frame number in OpenCV") == 1 and "ffmpeg -i" in printed
    manifest = json.loads(run_merge(folder).manifest.read_bytes())
    assert any("ffmpeg -i" in note for note in manifest["notes"])


@pytest.mark.parametrize("pts", [None, UNEVEN], ids=["even", "uneven"])
def test_seek_mismatches_are_found_in_films_of_high_dynamic_range(
    pts: list[int] | None, tmp_path: Path
) -> None:
    """OpenCV may change the colours of the same frame, which is not a mismatch."""
    tagged = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:keyint=12:scenecut=0"
    options = {"preset": "ultrafast", "x264-params": tagged}
    times = {"pts": pts, "time_base": Fraction(1, 1000)} if pts else {}
    film = open_film(_intact(tmp_path, "mkv", options=options, **times))
    assert bool(opencv_seek_mismatches(film)) == bool(pts)


def _text(folder: Path) -> Path:
    _name(folder).write_text("this is no film\n" * 100)
    return _name(folder)


def _empty(folder: Path) -> Path:
    _name(folder).touch()
    return _name(folder)


def _headless(folder: Path) -> Path:
    """Make an MP4 file that was truncated before its index."""
    return cut_off(_intact(folder, "mp4"), _name(folder), 0.5)


def _noise(folder: Path) -> Path:
    film = _intact(folder, "mkv").read_bytes()
    _name(folder, "mkv").write_bytes(film[:600] + bytes(len(film) - 600))
    return _name(folder, "mkv")


def _playlist(folder: Path) -> Path:
    """Make a playlist, which names another file that a careless reader would open."""
    other = make_film(folder / "other.ts")
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n"
    _name(folder, "m3u8").write_text(text)
    return _name(folder, "m3u8")


NO_FILMS: dict[str, Callable[[Path], Path]] = {
    "text": _text,
    "nothing": _empty,
    "sound only": lambda f: make_sound(_name(f, "m4a")),
    "an MP4 without its index": _headless,
    "zeros after the header": _noise,
    "a playlist": _playlist,
}


@pytest.mark.parametrize("name", NO_FILMS)
def test_files_that_are_not_films_are_one_line_errors_and_leave_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = NO_FILMS[name](tmp_path)
    with toy_models():
        assert run_main(extract.main, ["--out", str(tmp_path / "out"), *TOY_MODELS, str(film)]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1 and str(film) in lines[0]
    print(f"{name}: {lines[0].partition(film.name)[2]}")  # noqa: T201
    assert not (tmp_path / "out").exists()


def test_a_film_that_changes_between_shards_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = _intact(tmp_path, "ts")
    folder = run_extract(film, tmp_path, 2, shards="0")
    cut_off(shutil.copyfile(film, tmp_path / "copy"), film, 0.9)
    with toy_models():
        words = ["--shard", "1", "--n", "2", "--out", str(tmp_path), *TOY_MODELS, str(film)]
        assert run_main(extract.main, words) == 1
    assert "film bytes is" in capsys.readouterr().err
    assert not MovieFolder(folder.path).shard(75, 150).marker.exists()
