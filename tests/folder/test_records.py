"""A record is read exactly as it was written, or refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from facerec.errors import ContractError, FacerecError
from facerec.folder.frame_records import FaceRecord, FrameRecord, QualityRecord
from facerec.folder.layout import MovieFolder
from facerec.folder.readers import (
    read_display_size,
    read_faces,
    read_features,
    read_trajectories,
    scan_trajectories,
)
from facerec.folder.records import Record, SavedFace, Trajectory, to_line
from facerec.support.jsonl import RuleViolation, read_lines
from tests.strategies import ANY_JSON, FRAMES, QUALITIES, damaged, features, trajectories

KINDS = [Trajectory, SavedFace, FrameRecord, QualityRecord]
TRAJECTORY = Trajectory(0, 7, 5, np.array([[1, 2, 30, 40], [2, 2, 31, 40]]), np.array([True, True]), 320, 180)
FEATURE = SavedFace(7, 5, (1, 2, 30, 40), np.ones((5, 2), np.float32), np.float32([0.6, 0.8]), 320, 180)
FRAME = FrameRecord(5, (FaceRecord((1, 2, 30, 40), 0.9, 20.0),))
QUALITY = QualityRecord("7:5:1_2_30_40", 0.9, 20.0)
RECORDS: list[Record] = [TRAJECTORY, FEATURE, FRAME, QUALITY]


def as_json(record: Record) -> Any:
    return orjson.loads(to_line(record))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records") / "file.jsonl"


@given(trajectories())
def test_a_trajectory_is_read_as_it_was_written(file: Path, record: Trajectory) -> None:
    file.write_bytes(to_line(record))
    (read,) = read_trajectories(file, 7)
    assert to_line(read) == to_line(record)
    assert (read.boxes == record.boxes).all() and (read.detected == record.detected).all()
    assert (read.index, read.start, read.end, read.w, read.h) == (
        0,
        record.start,
        record.end,
        record.w,
        record.h,
    )


def test_the_display_size_is_that_of_the_first_readable_trajectory(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    folder.create()
    assert read_display_size(folder) is None
    folder.trajectories.write_bytes(b"{}\n")
    assert read_display_size(folder) is None
    folder.trajectories.write_bytes(
        b"{}\n" + to_line(TRAJECTORY) + to_line(replace(TRAJECTORY, w=640, h=360))
    )
    assert read_display_size(folder) == (320, 180)


@given(features())
def test_a_saved_face_is_read_as_it_was_written_to_the_last_bit(file: Path, record: SavedFace) -> None:
    file.write_bytes(to_line(record))
    (read,) = read_features(file, 7)
    assert to_line(read) == to_line(record)
    assert read.embedding.tobytes() == record.embedding.tobytes()
    assert np.abs(read.keypoints - record.keypoints).max() <= 0.01
    assert (read.tag, read.frame, read.box) == (record.tag, record.frame, record.box)
    assert read.embedding.dtype == read.keypoints.dtype == np.float32


def test_keypoints_are_written_to_a_hundredth_of_a_pixel() -> None:
    points = np.array([(1.254, 2.346), (3.5, 4.25), (5, 6), (7.01, 8.99), (9.111, 0.777)], np.float32)
    made = as_json(replace(FEATURE, keypoints=points))["keypoints"]
    assert [*made.values()] == [[1.25, 2.35], [3.5, 4.25], [5.0, 6.0], [7.01, 8.99], [9.11, 0.78]]


@given(FRAMES, QUALITIES)
def test_frame_records_and_qualities_are_read_as_they_were_written(
    file: Path, frame: FrameRecord, quality: QualityRecord
) -> None:
    file.write_bytes(to_line(frame))
    assert list(read_lines(file, FrameRecord.from_json)) == [(1, frame)]
    file.write_bytes(to_line(quality))
    assert list(read_lines(file, QualityRecord.from_json)) == [(1, quality)]


@given(st.sampled_from(KINDS), ANY_JSON)
def test_arbitrary_json_is_refused(kind: type[Record], value: object) -> None:
    with pytest.raises(RuleViolation):
        kind.from_json(value)


@given(st.data(), st.sampled_from(RECORDS))
def test_a_damaged_record_is_refused_or_still_valid(data: st.DataObject, record: Record) -> None:
    value = data.draw(damaged(as_json(record)))
    try:
        read = type(record).from_json(value)
    except RuleViolation:
        return
    assert as_json(read) == as_json(type(record).from_json(as_json(read)))


@pytest.mark.parametrize(
    ("record", "change", "rule"),
    [
        (TRAJECTORY, {"start": 2**63}, "start is not a frame number"),
        (TRAJECTORY, {"start": 2**31 - 2}, "start is not a frame number"),
        (TRAJECTORY, {"w": 2**64 - 1}, "w and h must be in"),
        (TRAJECTORY, {"index": True}, "index must be an int"),
        (TRAJECTORY, {"len": 2.0}, "len must be an int"),
        (TRAJECTORY, {"bbs": {"0": [1, 2, 3, 4]}}, "bbs must have len boxes"),
        (FEATURE, {"embedding": ["0.6", "0.8"]}, "flat list of numbers"),
        (FEATURE, {"embedding": [True, False]}, "flat list of numbers"),
        (FEATURE, {"embedding": [[0.6, 0.8]]}, "flat list of numbers"),
        (FEATURE, {"embedding": []}, "flat list of numbers"),
        (FEATURE, {"embedding": [1e300, 1e300]}, "L2-normalised"),
        (FEATURE, {"tag": "7:٥:1_2_30_40"}, "is not a tag <movie_id>"),
        (FEATURE, {"tag": "7:" + "9" * 5000 + ":1_2_30_40"}, "Exceeds the limit"),
        (FEATURE, {"tag": "7:5:1_2_30_040"}, "leading zeros"),
        (FEATURE, {"keypoints": [[1, 1]] * 5}, "object"),
        (FRAME, {"change": True}, "change must be a float"),
        (FRAME, {"faces": [None]}, "object"),
        (FRAME, {"frame": -1}, "not a frame number"),
        (QUALITY, {"score": None}, "floats"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_broken_rule_is_named(record: Record, change: dict[str, Any], rule: str) -> None:
    with pytest.raises(RuleViolation, match=re.escape(rule)):
        type(record).from_json({**as_json(record), **change})


SINGLE = Trajectory(0, 7, 0, np.array([[0, 0, 1, 1]]), np.array([True]), 1, 1)
LAST, SIDE = 2**31 - 1, 1 << 16
POINTS = as_json(FEATURE)["keypoints"]


@pytest.mark.parametrize(
    ("record", "read", "refused"),
    [
        (SINGLE, {"start": LAST - 1, "movie_id": 0}, {"start": LAST}),
        (SINGLE, {"start": 0}, {"start": -1}),
        (SINGLE, {"w": SIDE, "h": SIDE}, {"w": SIDE + 1}),
        (SINGLE, {"w": SIDE}, {"h": SIDE + 1}),
        (SINGLE, {}, {"w": 0}),
        (SINGLE, {}, {"h": 0}),
        (SINGLE, {}, {"bbs": [], "detected": [], "len": 0}),
        (SINGLE, {}, {"len": 2}),
        (SINGLE, {}, {"detected": [True, True]}),
        (SINGLE, {}, {"detected": [1]}),
        (SINGLE, {}, {"detected": "1"}),
        (SINGLE, {}, {"detected": [False]}),
        (SINGLE, {}, {"object_type": "person"}),
        (SINGLE, {}, {"movie_id": 7.0}),
        (SINGLE, {}, {"start": 0.0}),
        (SINGLE, {}, {"w": 1.0}),
        (SINGLE, {}, {"h": True}),
        (SINGLE, {"w": 9, "h": 9, "bbs": [[8, 8, 9, 9]]}, {"w": 9, "h": 9, "bbs": [[8, 8, 10, 9]]}),
        (SINGLE, {}, {"w": 9, "h": 9, "bbs": [[8, 8, 9, 10]]}),
        (SINGLE, {}, {"w": 9, "h": 9, "bbs": [[-1, 0, 1, 1]]}),
        (SINGLE, {}, {"w": 9, "h": 9, "bbs": [[0, -1, 1, 1]]}),
        (SINGLE, {}, {"w": 9, "h": 9, "bbs": [[1, 0, 1, 1]]}),
        (SINGLE, {}, {"w": 9, "h": 9, "bbs": [[0, 1, 1, 1]]}),
        (SINGLE, {}, {"bbs": [[0, 0, 1]]}),
        (SINGLE, {}, {"bbs": [[0, 0, 1, 1, 1]]}),
        (SINGLE, {}, {"bbs": [{"0": 0}]}),
        (SINGLE, {}, {"bbs": [[0, 0, 1, 1.0]]}),
        (FEATURE, {"frame": LAST, "tag": f"7:{LAST}:1_2_30_40"},
         {"frame": LAST + 1, "tag": f"7:{LAST + 1}:1_2_30_40"}),
        (FEATURE, {"frame": 0, "tag": "7:0:1_2_30_40"}, {"frame": -1, "tag": "7:-1:1_2_30_40"}),
        (FEATURE, {}, {"tag": "7:6:1_2_30_40"}),
        (FEATURE, {}, {"tag": "7:5:1_2_30_41"}),
        (FEATURE, {}, {"tag": 7}),
        (FEATURE, {}, {"h": 39}),
        (FEATURE, {}, {"w": 29}),
        (FEATURE, {}, {"w": 320.0}),
        (FEATURE, {}, {"h": SIDE + 1}),
        (FEATURE, {"embedding": [0.6, 0.8006]}, {"embedding": [0.6, 0.8015]}),
        (FEATURE, {"embedding": [0.6, 0.7994]}, {"embedding": [0.6, 0.7985]}),
        (FEATURE, {"embedding": [1]}, {"embedding": 1}),
        (FEATURE, {"keypoints": {**POINTS, "nose": [SIDE, -SIDE]}},
         {"keypoints": {**POINTS, "nose": [0, -SIDE - 0.1]}}),
        (FEATURE, {}, {"keypoints": {**POINTS, "nose": [SIDE + 0.1, 0]}}),
        (FEATURE, {"keypoints": {name: [-5, 5] for name in POINTS}},
         {"keypoints": {name: [-(2**63), 5] for name in POINTS}}),
        (FEATURE, {}, {"keypoints": {**POINTS, "nose": [1, 2, 3]}}),
        (FEATURE, {}, {"keypoints": {**POINTS, "nose": {"0": 1, "1": 2}}}),
        (FEATURE, {}, {"keypoints": {**POINTS, "nose": [1, "2"]}}),
        (FEATURE, {}, {"keypoints": {**POINTS, "ear": [1, 2]}}),
        (FRAME, {"frame": LAST, "faces": []}, {"frame": LAST + 1}),
        (FRAME, {"frame": 0, "change": None}, {"frame": 5.0}),
        (FRAME, {"change": 0.5}, {"change": 1}),
        (FRAME, {}, {"faces": {}}),
        *((FRAME, {"faces": [{"box": [0, 0, SIDE, SIDE], "score": 0.5, "sharpness": None}]},
           {"faces": [face]})
          for face in ({"box": [0, 0, SIDE + 1, 9], "score": 0.5, "sharpness": None},
                       {"box": [0, 0, 9, SIDE + 1], "score": 0.5, "sharpness": None},
                       {"box": [0, 0, 9, 9], "score": 1, "sharpness": None},
                       {"box": [0, 0, 9, 9], "score": 0.5, "sharpness": 1},
                       {"box": [0, 0, 9, 9], "score": 0.5})),
        (QUALITY, {}, {"tag": 7}),
        (QUALITY, {}, {"score": 1}),
        (QUALITY, {}, {"sharpness": None}),
    ],
)  # fmt: skip
def test_a_record_at_a_limit_of_the_contract_is_read_and_one_beyond_it_is_refused(
    record: Record, read: dict[str, Any], refused: dict[str, Any]
) -> None:
    type(record).from_json({**as_json(record), **read})
    with pytest.raises(RuleViolation):
        type(record).from_json({**as_json(record), **refused})


def test_the_line_of_a_record_is_that_of_the_contract() -> None:
    """Other programs read these lines, and the hashes of the files must not change between releases."""
    assert to_line(SINGLE) == (
        b'{"index":0,"movie_id":7,"start":0,"len":1,"bbs":[[0,0,1,1]],"detected":[true],"w":1,"h":1,'
        b'"object_type":"face"}\n'
    )
    assert to_line(FEATURE) == (
        b'{"frame":5,"tag":"7:5:1_2_30_40","embedding":[0.6,0.8],"box":[1,2,30,40],"keypoints":{'
        b'"left_eye":[1.0,1.0],"right_eye":[1.0,1.0],"nose":[1.0,1.0],"mouth_left":[1.0,1.0],'
        b'"mouth_right":[1.0,1.0]},"w":320,"h":180}\n'
    )
    assert to_line(FEATURE.with_embedding(FEATURE.embedding.astype(np.float64))) == to_line(FEATURE)
    assert to_line(FRAME) == (b'{"frame":5,"faces":[{"box":[1,2,30,40],"score":0.9,"sharpness":20.0}]}\n')
    assert to_line(QUALITY) == b'{"tag":"7:5:1_2_30_40","score":0.9,"sharpness":20.0}\n'


@pytest.mark.parametrize(
    "record",
    [
        FEATURE.with_embedding(np.float32([np.nan, 1])),
        FEATURE.with_embedding(np.float32([0.7, 0.8])),
        FrameRecord(5, (FaceRecord((1, 2, 1, 40), 0.9, None),)),
        QualityRecord("7:5:1_2_30_40", float("inf"), 1.0),
        Trajectory(0, 7, 5, TRAJECTORY.boxes, np.array([True, False]), 320, 180),
        Trajectory(0, 7, 5, TRAJECTORY.boxes - 2, TRAJECTORY.detected, 320, 180),
    ],
)
def test_what_a_reader_would_refuse_is_not_written(record: Record) -> None:
    with pytest.raises(FacerecError, match="record not written, because"):
        to_line(record)


def write(file: Path, *records: Record) -> Path:
    file.write_bytes(b"".join(map(to_line, records)))
    return file


def moved(index: int, dx: int = 0, start: int = 5, w: int = 320, movie_id: int = 7) -> Trajectory:
    return Trajectory(
        index, movie_id, start, TRAJECTORY.boxes + np.array([dx, 0, dx, 0]), TRAJECTORY.detected, w, 180
    )


@pytest.mark.parametrize(
    ("second", "rule"),
    [
        (moved(2, dx=9), "file.jsonl:2: index 2 on the 0-based line 1"),
        (moved(1, dx=9, movie_id=8), "file.jsonl:2: movie_id 8 in the folder of movie 7"),
        (moved(1, dx=9, w=640), "file.jsonl:2: w, h is 640, 180, but line 1 has 320, 180"),
        (moved(1), "file.jsonl:2: frame 5 has the same box [1, 2, 30, 40] as line 1"),
    ],
)
def test_a_trajectory_that_does_not_fit_those_before_it(file: Path, second: Trajectory, rule: str) -> None:
    with pytest.raises(ContractError, match=re.escape(rule)):
        read_trajectories(write(file, TRAJECTORY, second), 7)


def test_one_box_in_two_frames_is_two_boxes(file: Path) -> None:
    assert len(read_trajectories(write(file, TRAJECTORY, moved(1, start=6)), 7)) == 2


@given(st.data())
@example(None)
def test_a_shared_box_is_found_wherever_it_is(file: Path, data: st.DataObject | None) -> None:
    """Against a plain dictionary of all (frame, box)."""
    if data is None:
        made = [TRAJECTORY, moved(1, dx=1, start=6), moved(2, dx=1, start=4)]
    else:
        numbers = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=4))
        made = [moved(i, dx, start) for i, (dx, start) in enumerate(numbers)]
    seen: set[tuple[int, ...]] = set()
    shared = False
    for one in made:
        for i, box in enumerate(one.boxes.tolist()):
            shared |= (one.start + i, *box) in seen
            seen.add((one.start + i, *box))
    write(file, *made)
    if shared:
        with pytest.raises(ContractError, match="has the same box"):
            read_trajectories(file, 7)
    else:
        assert len(read_trajectories(file, 7)) == len(made)


def test_faces_out_of_order_and_of_another_dimension(file: Path) -> None:
    later = SavedFace(7, 4, FEATURE.box, FEATURE.keypoints, FEATURE.embedding, 320, 180)
    with pytest.raises(ContractError, match=r":2: faces must be sorted"):
        list(read_features(write(file, FEATURE, later), 7))
    with pytest.raises(ContractError, match=r":2: faces must be sorted by frame and box, without dup"):
        list(read_features(write(file, FEATURE, FEATURE), 7))
    other = SavedFace(7, 6, FEATURE.box, FEATURE.keypoints, np.float32([1]), 320, 180)
    with pytest.raises(ContractError, match=r":2: the embedding has 1 numbers, but that of line 1 has 2"):
        list(read_features(write(file, FEATURE, other), 7))


def test_a_face_never_gets_the_quality_of_another_one(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    folder.create()
    later = SavedFace(7, 6, FEATURE.box, FEATURE.keypoints, FEATURE.embedding, 320, 180)
    write(folder.features, FEATURE, later)
    one, two, other = (QualityRecord(f"7:{frame}:1_2_30_40", 0.9, 20.0) for frame in (5, 6, 7))
    write(folder.quality, one, two)
    assert [(face.frame, quality) for face, quality in read_faces(folder)] == [(5, one), (6, two)]
    for found, said in (
        ([one, other], ":2: this line must be about face 7:6:1_2_30_40, as in features.jsonl"),
        ([two, one], ":1: this line must be about face 7:5:1_2_30_40"),
        ([one], ": this line must be about face 7:6:1_2_30_40"),
        ([one, two, other], ":3: features.jsonl has no face 7:7:1_2_30_40"),
    ):
        write(folder.quality, *found)
        with pytest.raises(ContractError, match=f"quality.jsonl{said}"):
            list(read_faces(folder))


def test_a_line_above_the_limit_is_refused(file: Path) -> None:
    file.write_text(json.dumps({**as_json(FEATURE), "embedding": [0.0] * 400_000}) + "\n")
    with pytest.raises(ContractError, match=r":1: the line is longer than"):
        list(read_features(file, 7))


def test_a_scan_yields_the_errors_of_a_line_before_its_record(file: Path) -> None:
    write(file, moved(3, movie_id=8))
    kinds = [type(record) for _, record in scan_trajectories(file, 7)]
    assert kinds == [ContractError, ContractError, Trajectory]
