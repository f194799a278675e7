"""Each broken rule of the merged files is reported with file, line and rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from facerec.actors.database import ActorDatabase
from facerec.folder.layout import MovieFolder
from tests.edits import (
    CLUSTERS,
    CUTS,
    FEATURES,
    PREDICTIONS,
    QUALITY,
    TRAJECTORIES,
    RecordEdit,
    Violation,
    assert_violates,
    edit_document,
    edit_record,
    edit_text,
    remove,
    removing,
    setting,
    violations_of,
)

T, F, Q, C, P = TRAJECTORIES, FEATURES, QUALITY, CLUSTERS, PREDICTIONS


def boxes(edit: Callable[[list[Any]], object]) -> RecordEdit:
    """Change the list of boxes of a trajectory."""
    return lambda record: edit(record["bbs"])


def shifting(dx: int) -> RecordEdit:
    """Move all boxes of a trajectory to the right."""
    return lambda record: record.update(bbs=[[a + dx, b, c + dx, d] for a, b, c, d in record["bbs"]])


def one_frame_longer(record: dict[str, Any]) -> None:
    """Add a detected box to the end of a trajectory."""
    record.update(
        len=record["len"] + 1, bbs=[*record["bbs"], [9, 9, 19, 19]], detected=[*record["detected"], True]
    )


def copy_boxes_of_line_1(folder: MovieFolder) -> None:
    """Give the trajectory of line 2 the boxes of line 1."""
    first = json.loads(folder.trajectories.read_text().splitlines()[0])
    copied = {key: first[key] for key in ("start", "len", "bbs", "detected")}
    edit_record(T, 2, setting(**copied))(folder)


def of_face(frame: int, box: list[int]) -> RecordEdit:
    """Make a feature one of another frame and box."""
    return setting(frame=frame, box=box, tag=f"7:{frame}:{'_'.join(map(str, box))}")


def predicted(names: dict[str, object], rule: str) -> Violation:
    return edit_document(P, setting(predictions={"0": names, "1": {}})), P, None, rule


VIOLATIONS: dict[str, Violation] = {
    # trajectories.jsonl
    "a key is missing": (edit_record(T, 2, removing("len")), T, 2, "missing key len"),
    "an unknown key": (edit_record(T, 2, setting(note="x")), T, 2, "unknown key note"),
    "start is a float": (edit_record(T, 1, setting(start=0.0)), T, 1, "start must be an int"),
    "an index is skipped": (edit_record(T, 2, setting(index=2)), T, 2, "index 2 on the 0-based line 1"),
    "trajectories of another movie": (
        edit_record(T, 3, setting(movie_id=8)),
        T,
        3,
        "movie_id 8 in the folder",
    ),
    "a blank line": (edit_text(T, 1, lambda text: text + "\n"), T, 2, "blank lines"),
    "half a line": (edit_text(T, 3, lambda text: text[:40]), T, 3, "not valid JSON"),
    "a float in a box": (
        edit_record(T, 1, boxes(lambda b: b[3].__setitem__(0, 20.5))),
        T,
        1,
        "a box is four ints",
    ),
    "a box is null": (edit_record(T, 1, boxes(lambda b: b.__setitem__(3, None))), T, 1, "a box is four ints"),
    "a box of three numbers": (edit_record(T, 1, boxes(lambda b: b[3].pop())), T, 1, "a box is four ints"),
    "a negative coordinate": (
        edit_record(T, 1, boxes(lambda b: b[3].__setitem__(0, -1))),
        T,
        1,
        "outside 0..320",
    ),
    "a box beyond the frame": (edit_record(T, 1, boxes(lambda b: b[3].__setitem__(3, 181))), T, 1, "outside"),
    "an empty box": (edit_record(T, 1, boxes(lambda b: b[3].__setitem__(2, b[3][0]))), T, 1, "empty"),
    "fewer boxes than len": (edit_record(T, 1, boxes(lambda b: b.pop())), T, 1, "bbs must have len boxes"),
    "no boxes": (edit_record(T, 1, setting(len=0, bbs=[], detected=[])), T, 1, "at least one"),
    "detected is shorter": (edit_record(T, 1, lambda r: r["detected"].pop()), T, 1, "len booleans"),
    "detected is 0 and 1": (
        edit_record(T, 1, lambda r: r.update(detected=[1] * r["len"])),
        T,
        1,
        "len booleans",
    ),
    "interpolated at the end": (
        edit_record(T, 1, lambda r: r["detected"].__setitem__(-1, False)),
        T,
        1,
        "last box",
    ),
    "another object type": (edit_record(T, 1, setting(object_type="car")), T, 1, "object_type"),
    "another frame size": (
        edit_record(T, 2, setting(w=640, h=360)),
        T,
        2,
        "w, h is 640, 360, but line 1 has 320, 180",
    ),
    "not the display size": (
        edit_record(T, 1, setting(w=640, h=360)),
        T,
        1,
        "but the film's display size is 320, 180",
    ),
    "boxes after the film's end": (edit_record(T, 3, setting(start=35)), T, 3, "in a film of 40 frames"),
    "a trajectory across a cut": (edit_record(T, 1, one_frame_longer), T, 1, "crosses the cut at frame 20"),
    "one box in two trajectories": (copy_boxes_of_line_1, T, 2, "same box [20, 30, 70, 90] as line 1"),
    "a trajectory without a thumbnail": (
        edit_record(T, 3, shifting(120)),
        T,
        3,
        "none of its boxes has a thumbnail",
    ),
    "boxes shifted by a pixel": (
        edit_record(T, 1, shifting(1)),
        T,
        1,
        "differs from the saved face's box [25, 30, 75",
    ),
    "no trajectories": (remove(T), T, None, "this file must exist"),
    # features.jsonl, quality.jsonl
    "a missing keypoint": (edit_record(F, 1, lambda r: r["keypoints"].pop("nose")), F, 1, "missing key nose"),
    "an embedding too long": (
        edit_record(F, 1, setting(embedding=[1.0, 1.0] + [0.0] * 6)),
        F,
        1,
        "L2-normalised",
    ),
    "another dimension": (
        edit_record(F, 2, setting(embedding=[1.0])),
        F,
        2,
        "1 numbers, but that of line 1 has 8",
    ),
    "NaN": (edit_text(F, 1, lambda text: text.replace("1.0", "NaN", 1)), F, 1, "not valid JSON"),
    "a tag of another box": (
        edit_record(F, 1, setting(box=[1, 2, 3, 4])),
        F,
        1,
        "tag has another frame or box",
    ),
    "a face twice": (
        edit_text(F, 2, lambda text: text * 2),
        F,
        3,
        "sorted by frame and box, without duplicates",
    ),
    "a face in a frame that is not saved": (
        edit_record(F, 1, of_face(1, [21, 30, 71, 90])),
        F,
        1,
        "frame 1 is not a multiple of 5",
    ),
    "no features": (remove(F), F, None, "this file must exist"),
    "qualities out of order": (
        edit_record(Q, 2, setting(tag="7:5:1_2_3_4")),
        Q,
        2,
        "tag 7:5:1_2_3_4, but this line",
    ),
    "a missing quality": (edit_text(Q, 1, lambda text: ""), Q, None, "11 lines, but features.jsonl has 12"),
    # scene_changes.json
    "unsorted cuts": (edit_document(CUTS, setting(frame_indices=[20, 10])), CUTS, None, "must be ascending"),
    "a cut at frame 0": (
        edit_document(CUTS, setting(frame_indices=[0, 20])),
        CUTS,
        None,
        "frame numbers above 0",
    ),
    "a cut after the film's end": (
        edit_document(CUTS, setting(frame_indices=[20, 40])),
        CUTS,
        None,
        "cut 40 in a film of 40",
    ),
    "a boolean as movie_id": (edit_document(CUTS, setting(movie_id=True)), CUTS, None, "movie_id True"),
    # clusters.json
    "a gap in the ids": (edit_document(C, setting(clusters=[0, 2, 0])), C, None, "dense, 0..n-1"),
    "ids from 1": (edit_document(C, setting(clusters=[1, 2, 1])), C, None, "dense, 0..n-1"),
    "a cluster -1": (edit_document(C, setting(clusters=[0, -1, 0])), C, None, "dense, 0..n-1"),
    "ids are strings": (edit_document(C, setting(clusters=["0", "1", "0"])), C, None, "a list of ints"),
    "a trajectory without a cluster": (
        edit_document(C, setting(clusters=[0, 0])),
        C,
        None,
        "2 clusters for 3",
    ),
    "no clusters": (remove(C), C, None, "this file must exist"),
    # predictions.json
    "a cluster without an entry": (
        edit_document(P, lambda r: r["predictions"].pop("1")),
        P,
        None,
        "each of the 2",
    ),
    "no movie_id": (
        lambda folder: folder.predictions.write_text('{"0":{}}'),
        P,
        None,
        "missing key movie_id",
    ),
    "a probability as text": predicted({"nm1": "0.9"}, "not a probability"),
    "a small probability": predicted({"nm1": 0.01}, "not in 0.05..1"),
    "six decimals": predicted({"nm1": 0.123456}, "5 decimals"),
    "probabilities that add up to more than 1": predicted(
        {"a": 0.41, "b": 0.41, "c": 0.41}, "add up to more"
    ),
    "a long actor id": predicted({"n" * 65: 0.9}, "1 to 64 characters"),
    "an actor without a row": predicted({"nm01": 0.9}, "id 'nm01'"),
    "predictions of another movie": (edit_document(P, setting(movie_id=8)), P, None, "movie_id 8"),
    "no predictions": (remove(P), P, None, "this file must exist"),
}


@pytest.mark.parametrize("violation", VIOLATIONS.values(), ids=VIOLATIONS)
def test_violation_is_reported_with_file_line_and_rule(
    violation: Violation, folder: MovieFolder, database: ActorDatabase
) -> None:
    assert_violates(violation, folder, database.folder)


def test_all_violations_are_found_not_only_the_first(folder: MovieFolder) -> None:
    edit_record(T, 1, setting(object_type="car"))(folder)
    edit_record(T, 3, removing("w"))(folder)
    edit_document(C, setting(clusters=[1, 1, 1]))(folder)
    remove("images/7:5:155_30_205_90.jpeg")(folder)
    found = {(error.path.name, error.line) for error in violations_of(folder.path)}
    assert {(T, 1), (T, 2), (T, 3), (C, None)} <= found
    assert "7:0:20_30_70_90.jpeg" not in {name for name, _ in found}, "a thumbnail of an unreadable line"
