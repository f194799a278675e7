"""Players' libraries read the subtitles; libass draws the boxes where the faces are."""

from __future__ import annotations

import html
import io
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import pysubs2
import pytest
import webvtt

import facerec
from facerec.exporting.clock import milliseconds, timecode
from tests.exporting.movies import HOSTILE, URI, WRITTEN, exported, open_with_name
from tests.films import make_film


def captions(movie: facerec.Movie) -> list[webvtt.Caption]:
    return list(webvtt.from_string(exported([movie], "webvtt", "vtt").decode()))


def subtitles(movie: facerec.Movie) -> pysubs2.SSAFile:
    return pysubs2.SSAFile.from_string(exported([movie], "ass", "ass").decode(), format_="ass")


def test_webvtt_has_a_cue_for_every_interval(movie: facerec.Movie) -> None:
    found = [(c.identifier, c.start, c.end, c.voice, c.text) for c in captions(movie)]
    assert found == [
        ("nm1", "00:00:00.000", "00:00:00.800", "Ada Lovelace", "Ada Lovelace"),
        ("unknown:1", "00:00:00.400", "00:00:00.800", "unknown 1", "unknown 1"),
        ("nm1", "00:00:00.800", "00:00:01.200", "Ada Lovelace", "Ada Lovelace"),
        ("unknown:1", "00:00:02.400", "00:00:02.800", "unknown 1", "unknown 1"),
    ]
    text = exported([movie], "webvtt", "vtt").decode()
    assert text.startswith("WEBVTT - Film 7\n\nNOTE\n") and f"Ada Lovelace: {URI}\n" in text
    assert "each frame's presentation time" in text
    read = pysubs2.SSAFile.from_string(text, format_="vtt")
    assert [(one.start, one.end) for one in read] == [(0, 800), (400, 800), (800, 1200), (2400, 2800)]


def test_times_of_a_variable_rate_are_rounded_down_to_milliseconds(tmp_path: Path) -> None:
    pts = [*range(20), *range(20, 20 + 80 * 3, 3)]
    movie = open_with_name(tmp_path, "Ada", pts=pts, time_base="1001/24000")
    ends = [caption.end for caption in captions(movie)]
    assert ends == ["00:00:00.834", "00:00:00.834", "00:00:02.085", "00:00:07.090"]
    assert milliseconds(1.16) == 1160 and milliseconds(-0.1) == 0
    assert timecode(milliseconds(36_000 + 3599.999)) == "10:59:59.999"


def test_hostile_names_are_the_voice_and_no_other_cue(tmp_path: Path) -> None:
    found = captions(open_with_name(tmp_path, HOSTILE + "-->"))
    assert len(found) == 4
    assert html.unescape(found[0].voice or "") == WRITTEN + "-->"


def test_ass_has_a_box_and_a_name_for_every_face(movie: facerec.Movie) -> None:
    file = subtitles(movie)
    assert (file.info["PlayResX"], file.info["PlayResY"]) == ("640", "360")
    spans = [(0, 800, "Ada Lovelace"), (400, 800, "unknown 1"), (800, 1200, "Ada Lovelace")]
    spans.append((2400, 2800, "unknown 1"))
    found = [(one.start, one.end, one.name, one.style) for one in file]
    assert found == [(*span, style) for span in spans for style in ("Box", "Name")]
    names = [one.plaintext for one in file if one.style == "Name"]
    assert names == ["Ada Lovelace", "unknown 1", "Ada Lovelace", "unknown 1"]
    assert all(one.is_drawing for one in file if one.style == "Box")
    text = exported([movie], "ass", "ass").decode()
    assert f"; Ada Lovelace: {URI}\n" in text and "each frame's presentation time" in text


def test_a_box_stays_until_the_face_has_moved(tmp_path: Path) -> None:
    from facerec.exporting.ass import _still

    moving = [[x, 0, x + 100, 200] for x in (0, 1, 4, 5, 9, 9)]
    assert list(_still(moving)) == [(0, 3), (3, 6)]


def test_ass_writes_hostile_names_on_one_line_without_tags(tmp_path: Path) -> None:
    file = subtitles(open_with_name(tmp_path, "{\\b1}A, B\n\\N{x"))
    assert len(file) == 8
    assert file[1].plaintext == "(/b1)A; B /N(x" and file[1].name == "(/b1)A; B /N(x"


def test_libass_draws_the_boxes_on_the_faces(tmp_path: Path) -> None:
    """On a black film with frames of changing length: white-ish pixels only at the boxes, frame by frame."""
    if not shutil.which("ffmpeg"):
        pytest.skip("needs ffmpeg with libass")
    pts = [512 * i if i < 15 else 512 * 15 + 1536 * (i - 15) for i in range(100)]
    movie = open_with_name(tmp_path, "Ada", pts=pts, time_base="1/12800")
    black = make_film(
        tmp_path / "7-Black.mkv", 100, width=640, height=360, pts=[round(t / 12.8) for t in pts],
        time_base=Fraction(1, 1000), draw=lambda n, w, h: np.zeros((h, w, 3), np.uint8),
    )  # fmt: skip
    (tmp_path / "7.ass").write_bytes(exported([movie], "ass", "ass"))
    frames = (0, 9, 10, 19, 20, 29, 30, 59, 60, 69, 70)
    chosen = "+".join(f"eq(n\\,{n})" for n in frames)
    command = ["ffmpeg", "-v", "error", "-i", black.name, "-vf", f"ass=7.ass,select={chosen}"]
    command += ["-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "-"]
    data = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    size = len(data) // len(frames)
    boxes = movie.boxes
    for i, number in enumerate(frames):
        drawn = np.asarray(PIL.Image.open(io.BytesIO(data[i * size : (i + 1) * size]))).max(2) > 90
        here = boxes[boxes["frame"] == number]
        for box in here.itertuples():
            rows, columns = slice(box.y1 + 40, box.y2), slice(box.x1, box.x2)  # below the name
            sides = drawn[rows, box.x1], drawn[rows, box.x2 - 1], drawn[box.y2 - 1, columns]
            assert all(side.all() for side in sides), (number, box)
        drawn = drawn.copy()
        for box in here.itertuples():  # and the name, which is inside if there is no space above
            drawn[max(0, box.y1 - 30) : box.y2, box.x1 : box.x1 + 150] = False
        assert not drawn.any(), number
