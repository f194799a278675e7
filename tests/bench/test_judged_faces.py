"""Judgements of faces are complete, unambiguous and kept; sheets show what is to be judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bench import detectors
from bench.detectors import CANDIDATES, JUDGED, main, read_results
from bench.face_sheets import COLUMNS, CROP, LABEL, ROWS, crop_sheets
from bench.judged_faces import (
    Judged,
    answers,
    boxes_by_frame,
    boxes_of,
    group_detections,
    read_judged,
    read_remarks,
    unjudged,
    write_judged,
)
from facerec.errors import InputError
from facerec.geometry import Image, iou
from facerec.models.base import Detections, ModelCard
from tests.films import make_film

CANDIDATE = {n: Judged(7, 10, (n, 0, n + 30, 30)) for n in (1, 2, 3)}


def test_an_answer_is_a_verdict_and_a_pose() -> None:
    got = answers("1-2: f\n3: u  # behind a hat\n\nadd 7 20 1 2 31 32: p", CANDIDATE)
    assert [(one.frame, one.verdict, one.pose) for one in got] == [
        (10, "face", "frontal"),
        (10, "face", "frontal"),
        (10, "unsure", ""),
        (20, "face", "profile"),
    ]
    assert got[-1].box == (1, 2, 31, 32)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2: f", "candidates without an answer: 3"),
        ("1-3: f\n2: n", "2 has two answers"),
        ("1-4: f", "4 does not exist"),
        ("1-3: x", "expected one of f, p, n, u"),
        ("1-3", "expected one of f, p, n, u"),
        ("1,2,3: f", "no number or range"),
        ("add 7 10 1 2 3: f", "add MOVIE FRAME X1 Y1 X2 Y2"),
    ],
)
def test_an_answer_that_is_missing_double_or_unreadable_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        answers(text, CANDIDATE)


def test_two_boxes_of_one_detector_are_two_candidates() -> None:
    one, other = np.array([[0, 0, 40, 40], [4, 0, 44, 40]]), np.array([[2, 0, 42, 40]])
    assert len(group_detections([one, other])) == 2


def test_boxes_of_several_detectors_on_one_face_are_one_candidate() -> None:
    groups = group_detections(
        [np.array([[0, 0, 40, 40.0]]), np.array([[2, 2, 42, 42.0]]), np.array([[1, 1, 44, 45.0]])]
    )
    assert groups == [(1, 1, 42, 42)]


def test_only_new_candidates_are_judged_again() -> None:
    known = [Judged(7, 10, (0, 0, 40, 40), "none")]
    again, moved, later = (
        Judged(7, 10, (2, 0, 42, 40)),
        Judged(7, 10, (30, 0, 70, 40)),
        Judged(7, 20, (0, 0, 40, 40)),
    )
    assert unjudged([again, moved, later], known) == [moved, later]


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "judged.csv"
    rows = [Judged(7, 20, (1, 2, 30, 40), "face", "profile"), Judged(7, 10, (1, 2, 30, 40), "none")]
    write_judged(path, rows, ["judged by eye", "by one person"])
    assert read_judged(path) == rows[::-1]
    assert read_remarks(path) == ["judged by eye", "by one person"]


@pytest.mark.parametrize(
    "row", ["7,10,0,0,9,9,face,", "7,10,0,0,9,9,none,frontal", "7,10,0,0,9", "7,10,a,0,9,9,none,"]
)
def test_a_damaged_line_of_the_table_is_an_error(tmp_path: Path, row: str) -> None:
    path = tmp_path / "judged.csv"
    path.write_text(f"movie,frame,x1,y1,x2,y2,verdict,pose\n{row}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"judged\.csv"):
        read_judged(path)


def test_the_table_of_the_repository_has_every_face_once_and_says_who_judged() -> None:
    judged = read_judged(JUDGED)
    assert len(judged) >= 400
    assert "by eye" in " ".join(read_remarks(JUDGED))
    for known in boxes_by_frame(judged).values():
        boxes = boxes_of([one for one in known if one.verdict == "face"])
        overlaps = iou(boxes[:, None], boxes[None]) - np.eye(len(boxes))
        assert overlaps.max(initial=0) < 0.5, known


def test_a_candidate_at_the_border_is_drawn_whole_on_a_sheet() -> None:
    frame = np.full((120, 160, 3), 200, np.uint8)
    numbered = {n: Judged(7, 0, (120, -4, 170, 60)) for n in range(1, COLUMNS * ROWS + 2)}
    sheets = list(crop_sheets(numbered, {(7, 0): frame}))
    assert [name for name, _ in sheets] == ["faces-0001-0030", "faces-0031-0031"]
    assert sheets[1][1].shape == (CROP + LABEL, COLUMNS * CROP, 3)


def test_a_face_in_the_dark_is_brightened() -> None:
    frame = np.zeros((120, 160, 3), np.uint8)
    frame[40:80, 40:80] = 20
    ((_, sheet),) = crop_sheets({1: Judged(7, 0, (40, 40, 80, 80))}, {(7, 0): frame})
    middle = LABEL + CROP // 2
    assert sheet[middle, CROP // 2].min() > 150


def test_sheets_then_answers_then_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = make_film(tmp_path / "7-Blocks.mp4", 21)
    work, table = tmp_path / "work", tmp_path / "judged.csv"
    work.mkdir()
    points = [[[20 + x, 20 + y] for x, y in ((0, 0), (9, 0), (5, 5), (0, 9), (9, 9))]]
    rows = [
        {"movie": 7, "frame": frame, "boxes": [[10, 10, 60, 60]], "scores": [score], "keypoints": points}
        for frame, score in ((0, 0.9), (10, 0.4))
    ]
    for name, kind in (("one", "yunet"), ("two", "mtcnn")):
        lines = [{"kind": kind, "threshold": 0.6}, *rows]
        (work / f"{name}.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
        )
    options = ["--work", str(work), "--judged", str(table)]

    assert main(["sheets", str(film), *options]) == 0
    assert sorted(path.name for path in work.glob("*.png")) == [
        "faces-0001-0002.png",
        "frames-7-0000-0020.png",
    ]
    assert cv2.imread(str(work / "faces-0001-0002.png")) is not None
    (tmp_path / "answers.txt").write_text("1: f\n2: n\nadd 7 20 0 0 40 40: p\n", encoding="utf-8")
    assert main(["judge", str(tmp_path / "answers.txt"), *options]) == 0
    assert len(read_judged(table)) == 3
    assert main(["sheets", str(film), *options]) == 0
    assert read_judged(work / CANDIDATES, pending=True) == []

    capsys.readouterr()
    assert main(["score", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| one | 0.60 | 1.00 / 0.50 / 0.50 | 0.00 / 0.00 / 0.00 | 1.00 / 0.50 / 0.50 |" in lines[2]
    assert lines[2].endswith("| 1.00 | 0.00 | 0 |")
    assert "| faces |  | 2 | 0 | 2 | 0 | 1 | 1 |  |" in lines


def test_scores_without_detections_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `detect` first"):
        main(["score", "--work", str(tmp_path)])


class OneFace:
    """A detector that finds one face in every frame."""

    batch_size = 1

    def __init__(self, spec: str, tiles: bool) -> None:
        self.card, self.tiles = ModelCard(spec, "", "", ""), tiles

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        box = np.array([[10, 10, 50 + 10 * self.tiles, 60]], np.float32)
        keypoints = np.full((1, 5, 2), 20, np.float32)
        return [Detections(box, np.array([0.8], np.float32), keypoints) for _ in frames]


def test_every_tenth_frame_is_detected_with_and_without_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def load(spec: str, **options: Any) -> OneFace:
        asked.append((spec, options["tiles"], options["face_threshold"]))
        return OneFace(spec, options["tiles"])

    monkeypatch.setattr(detectors, "load_detector", load)
    film, work = make_film(tmp_path / "7-Blocks.mp4", 25), tmp_path / "work"
    models = ["--detector", "whole=scrfd:a.onnx", "--tiled", "tiles=scrfd:a.onnx"]
    assert main(["detect", str(film), "--work", str(work), *models]) == 0
    assert asked == [("scrfd:a.onnx", False, 0.3), ("scrfd:a.onnx", True, 0.3)]
    results = read_results(work)
    assert {name: one.threshold for name, one in results.items()} == {"whole": 0.5, "tiles": 0.5}
    assert sorted(results["tiles"].found) == [(7, 0), (7, 10), (7, 20)]
    assert results["tiles"].found[7, 20].boxes.tolist() == [[10, 10, 60, 60]]

    assert main(["speed", str(film), "--rounds", "1", *models]) == 0
    assert [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines()[2:]] == [
        "| whole",
        "| tiles",
    ]
    assert asked[-1] == ("scrfd:a.onnx", True, None)  # timed at the detector's own threshold


@pytest.mark.parametrize("options", [[], ["--detector", "yunet:a.onnx"]])
def test_a_detector_without_a_name_is_refused(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(InputError, match="NAME=SPEC"):
        main(["detect", str(tmp_path / "7-Film.mp4"), "--work", str(tmp_path), *options])
