"""Each fault of a film is told with the remedy for that fault."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from facerec.extraction import film_notes as module
from facerec.extraction.film_notes import film_notes
from facerec.video import open_film
from tests.films import make_film


def test_an_ordinary_film_has_no_notes(tmp_path: Path) -> None:
    assert film_notes(open_film(make_film(tmp_path / "1-a.mp4", 96))) == ()


def test_a_codec_that_opencv_lacks_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "libsvtav1" not in av.codecs_available:
        pytest.skip("this FFmpeg has no AV1 encoder")
    film = open_film(make_film(tmp_path / "1-a.mp4", 40, codec="libsvtav1", options={"preset": "12"}))
    monkeypatch.setattr(module, "opencv_seek_mismatches", lambda film: [3])
    monkeypatch.setattr(module, "opencv_decodes", lambda film: False)
    (note,) = film_notes(film)
    assert "cannot decode its video (av1)" in note and "ffmpeg -i" in note
    assert "Make the rate constant" not in note
    monkeypatch.setattr(module, "opencv_decodes", lambda film: True)
    (note,) = film_notes(film)
    assert "seeking by frame number" in note and "at frame 3" in note


def test_a_3d_film_is_told_with_the_command_for_one_eye(tmp_path: Path) -> None:
    (note,) = film_notes(open_film(make_film(tmp_path / "1-a.hsbs.mp4", 24)))
    assert "every person is found twice" in note and "stereo3d=sbs2l:ml" in note
