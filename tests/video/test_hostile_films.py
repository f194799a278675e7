"""Films that are damaged, odd or not films at all, through extraction and merge: right, or told."""

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
    LOOSE,
    MOVIE,
    WIDTH,
    Story,
    extracted,
    make_cast,
    merged,
    named,
    results,
    toy_models,
)

LONG = Story(150, cuts=(40, 95))  # more than two segments of frames that are decoded anew after damage


def _name(folder: Path, suffix: str = "mp4") -> Path:
    return folder / f"{MOVIE}-film.{suffix}"


def _sound(folder: Path, suffix: str = "mp4", story: Story = LONG, **options: Any) -> Path:
    (folder / "sound").mkdir()
    return Story(story.frames, story.cuts, film=options).make(_name(folder / "sound", suffix))


def _truncated(folder: Path) -> Path:
    return cut_off(_sound(folder, "ts"), _name(folder, "ts"), 0.6)


def _flipped(folder: Path) -> Path:
    return flip_bits(_sound(folder, "mkv", gop=25), _name(folder, "mkv"), seed=3, flips=12)


def _flipped_transport(folder: Path) -> Path:
    film = _sound(folder, "ts", gop=15, bframes=2, open_gop=True)
    return flip_bits(film, _name(folder, "ts"), seed=5, flips=25)


def _wrong_count(share: Fraction) -> Callable[[Path], Path]:
    """An AVI whose header promises `share` as many frames as it has."""

    def make(folder: Path) -> Path:
        film = _sound(folder, "avi", codec="mpeg4")
        data = bytearray(film.read_bytes())
        for field in (48, 140):  # avih.dwTotalFrames, strh.dwLength
            assert int.from_bytes(data[field : field + 4], "little") == LONG.frames
            data[field : field + 4] = int(LONG.frames * share).to_bytes(4, "little")
        _name(folder, "avi").write_bytes(data)
        return _name(folder, "avi")

    return make


def _joined(folder: Path, scale: int = 1, again: bool = False, **second: Any) -> Path:
    """Two transport streams one after the other, as recorders leave them; the second is `scale` as large.

    Args:
        again: the times of the second begin anew.
    """

    def draw(number: int, width: int, height: int) -> Image:
        image: Image = cv2.resize(LONG.draw(number + 75, WIDTH, HEIGHT), (width, height))
        return image

    times = {} if again else {"pts": range(75, 150)}
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
    "open-GOP transport stream": lambda f: _sound(f, "ts", gop=15, bframes=2, open_gop=True),
    "variable frame rate": lambda f: _sound(f, "mkv", pts=UNEVEN, time_base=Fraction(1, 1000)),
    "first time not zero": lambda f: _sound(f, "mp4", pts=range(500, 650)),
    "half as many frames promised": _wrong_count(Fraction(1, 2)),
    "half as many frames again promised": _wrong_count(Fraction(3, 2)),
    "one frame": lambda f: _sound(f, story=Story(1)),
    "odd width": lambda f: _sound(f, "mkv", width=WIDTH - 1, height=HEIGHT - 1, pix_fmt="yuv444p"),
    "4:2:2, 10 bits": lambda f: _sound(f, "mkv", pix_fmt="yuv422p10le"),
    "rotated": lambda f: _sound(f, rotation=90),
    "pixels that are not square": lambda f: _sound(f, sar=Fraction(4, 3)),
    "sound beside it": lambda f: _sound(f, audio=True),
    "no times": lambda f: _sound(f, "h264", bframes=2),
    "program stream": lambda f: _sound(f, "mpg", codec="mpeg2video", bframes=2),
    "interlaced": lambda f: _sound(f, "mpg", codec="mpeg2video", options={"flags": "+ildct+ilme"}),
    "times out of order": lambda f: _sound(f, "avi", bframes=2),
    "VP9": lambda f: _sound(f, "webm", codec="libvpx-vp9", options={"cpu-used": "8", "deadline": "realtime"}),
    "another size in the middle": lambda f: _joined(f, scale=2),
    "another range of colours in the middle": lambda f: _joined(f, options=FULL_RANGE),
    "times that begin again": lambda f: _joined(f, again=True),
}
DAMAGED = {"truncated", "bits flipped", "bits flipped, open-GOP transport stream"}
SIZES = {
    "odd width": (WIDTH - 1, HEIGHT - 1),
    "rotated": (HEIGHT, WIDTH),
    "pixels that are not square": (235, HEIGHT),
}


@pytest.mark.parametrize("name", FILMS)
def test_a_hostile_film_gives_the_same_for_every_n(name: str, tmp_path: Path) -> None:
    film = FILMS[name](tmp_path)
    short = ["--min-trajectory", "1"] if name == "one frame" else []
    folder = merged(extracted(film, tmp_path / "1", 1), *short)
    whole, manifest = results(folder), json.loads(folder.manifest.read_bytes())
    frames, cuts = manifest["frame_count"], json.loads(whole["scene_changes.json"])["frame_indices"]
    print(f"{name}: {frames} frames, skipped {manifest['skipped_frames']}, notes {manifest['notes']}")  # noqa: T201
    trajectories = [json.loads(line) for line in whole["trajectories.jsonl"].splitlines()]
    assert trajectories, "nobody is seen: nothing is tested"
    width, height = SIZES.get(name, (WIDTH, HEIGHT))
    assert {(one["w"], one["h"]) for one in trajectories} == {(width, height)}
    if name not in DAMAGED:
        assert manifest["skipped_frames"] == []
        assert (frames, cuts) == ((1, []) if name == "one frame" else (150, [40, 95]))
    parts = merged(extracted(film, tmp_path / "7", 7), *short)
    assert results(parts) == whole
    assert json.loads(parts.manifest.read_bytes())["skipped_frames"] == manifest["skipped_frames"]
    named(parts, make_cast(tmp_path / "actor_db"))


def test_what_a_truncated_film_lost_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Matroska film promises its length in its header; all that is left of it is used."""
    film = cut_off(_sound(tmp_path, "mkv"), _name(tmp_path, "mkv"), 0.6)
    folder = merged(extracted(film, tmp_path, 2))
    manifest = json.loads(folder.manifest.read_bytes())
    assert 60 < manifest["frame_count"] < 120
    assert any("could be read" in note for note in manifest["notes"])
    assert "could be read" in capsys.readouterr().err


def test_frames_that_cannot_be_decoded_are_recorded_and_few(tmp_path: Path) -> None:
    folder = merged(extracted(_flipped(tmp_path), tmp_path, 3))
    manifest = json.loads(folder.manifest.read_bytes())
    skipped = manifest["skipped_frames"]
    assert 0 < len(skipped) < manifest["frame_count"] / 2
    assert skipped == sorted(set(skipped))
    evidence = b"".join(path.read_bytes() for path in sorted((folder.path / "evidence").iterdir()))
    seen = {json.loads(line)["frame"] for line in evidence.splitlines()}
    assert seen | set(skipped) == set(range(manifest["frame_count"])) and not seen & set(skipped)


def test_seeking_that_would_show_another_frame_is_said_once_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = _sound(tmp_path, "mkv", pts=UNEVEN, time_base=Fraction(1, 1000))
    for shard in ("0", "1"):
        folder = extracted(film, tmp_path, 2, shards=shard)
    said = capsys.readouterr().err
    assert said.count("seeking by frame number in OpenCV") == 1 and "ffmpeg -i" in said
    manifest = json.loads(merged(folder).manifest.read_bytes())
    assert any("ffmpeg -i" in note for note in manifest["notes"])


@pytest.mark.parametrize("pts", [None, UNEVEN], ids=["even", "uneven"])
def test_seeking_is_judged_by_pictures_in_a_film_of_high_dynamic_range_too(
    pts: list[int] | None, tmp_path: Path
) -> None:
    """OpenCV may show its frames in other colours, which is not another frame."""
    said = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:keyint=12:scenecut=0"
    options = {"preset": "ultrafast", "x264-params": said}
    times = {"pts": pts, "time_base": Fraction(1, 1000)} if pts else {}
    film = open_film(_sound(tmp_path, "mkv", options=options, **times))
    assert bool(opencv_seek_mismatches(film)) == bool(pts)


def _text(folder: Path) -> Path:
    _name(folder).write_text("this is no film\n" * 100)
    return _name(folder)


def _empty(folder: Path) -> Path:
    _name(folder).touch()
    return _name(folder)


def _headless(folder: Path) -> Path:
    """An MP4 file that was cut off before its index."""
    return cut_off(_sound(folder, "mp4"), _name(folder), 0.5)


def _noise(folder: Path) -> Path:
    film = _sound(folder, "mkv").read_bytes()
    _name(folder, "mkv").write_bytes(film[:600] + bytes(len(film) - 600))
    return _name(folder, "mkv")


def _playlist(folder: Path) -> Path:
    """A text that names another file, which a reader of playlists would open."""
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
def test_what_is_no_film_is_told_in_one_line_and_leaves_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = NO_FILMS[name](tmp_path)
    with toy_models():
        assert run_main(extract.main, ["--out", str(tmp_path / "out"), *LOOSE, str(film)]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1 and str(film) in lines[0]
    print(f"{name}: {lines[0].partition(film.name)[2]}")  # noqa: T201
    assert not (tmp_path / "out").exists()


def test_a_film_that_changes_while_it_is_extracted_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = _sound(tmp_path, "ts")
    folder = extracted(film, tmp_path, 2, shards="0")
    cut_off(shutil.copyfile(film, tmp_path / "copy"), film, 0.9)
    with toy_models():
        words = ["--shard", "1", "--n", "2", "--out", str(tmp_path), *LOOSE, str(film)]
        assert run_main(extract.main, words) == 1
    assert "film bytes is" in capsys.readouterr().err
    assert not MovieFolder(folder.path).shard(75, 150).marker.exists()
