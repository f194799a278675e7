"""The records of the data folder's contract: one trajectory or one saved face per line.

The same code checks a record when it is written and when it is read. Boxes are integers x1, y1, x2, y2 in
display pixels. Records that the contract does not know are in `frame_records.py`, readers of whole files in
`readers.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from facerec.errors import FacerecError
from facerec.folder.names import MAX_FRAME, parse_tag, tag_of
from facerec.geometry import KEYPOINTS, Box
from facerec.support.jsonl import RuleViolation, is_int, require, require_keys

MAX_SIDE = 1 << 16  # display pixels of a frame's width or height
_UNIT_TOLERANCE = 1e-3  # of an embedding's length
_TRAJECTORY = {"index", "movie_id", "start", "len", "bbs", "detected", "w", "h", "object_type"}
_FEATURE = {"frame", "tag", "embedding", "box", "keypoints", "w", "h"}


def check_box(box: object, w: int, h: int) -> None:
    """Raise `RuleViolation` unless `box` is a JSON list of four ints, not empty, inside `w` x `h` pixels."""
    if not (type(box) is list and len(box) == 4 and {*map(type, box)} == {int}):
        raise RuleViolation("a box is four ints x1, y1, x2, y2")
    x1, y1, x2, y2 = box
    if not (0 <= x1 < x2 <= w and 0 <= y1 < y2 <= h):  # not `require`: a film has millions of boxes
        raise RuleViolation(f"box {box} is empty or outside 0..{w} x 0..{h}")


def check_ints(record: dict[str, Any], names: tuple[str, ...]) -> None:
    """Raise `RuleViolation` unless the values `names` of the record are ints."""
    for name in names:
        require(is_int(record[name]), f"{name} must be an int, not {record[name]!r}")


def _check_size(w: int, h: int) -> None:
    require(0 < w <= MAX_SIDE and 0 < h <= MAX_SIDE, f"w and h must be in 1..{MAX_SIDE}")


@dataclass(frozen=True)
class Trajectory:
    """One face followed through consecutive frames of one shot.

    Attributes:
        index: 0-based line number in `trajectories.jsonl`.
        start: 0-based film frame of the first box.
        boxes: (len, 4) int64 x1, y1, x2, y2, one box per frame.
        detected: (len,) bool; False where the box was interpolated.
        w, h: display size of the film in pixels.
    """

    index: int
    movie_id: int
    start: int
    boxes: NDArray[np.int64]
    detected: NDArray[np.bool_]
    w: int
    h: int

    @property
    def end(self) -> int:
        """The frame after the last box."""
        return self.start + len(self.boxes)

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "movie_id": self.movie_id,
            "start": self.start,
            "len": len(self.boxes),
            "bbs": self.boxes.tolist(),
            "detected": self.detected.tolist(),
            "w": self.w,
            "h": self.h,
            "object_type": "face",
        }

    @classmethod
    def from_json(cls, value: object) -> Trajectory:
        record = require_keys(value, _TRAJECTORY)
        check_ints(record, ("index", "movie_id", "start", "len", "w", "h"))
        _check_size(record["w"], record["h"])
        require(0 <= record["start"] <= MAX_FRAME - record["len"], "start is not a frame number")
        boxes, detected = record["bbs"], record["detected"]
        require(
            isinstance(boxes, list) and len(boxes) == record["len"] > 0,
            "bbs must have len boxes, at least one",
        )
        require(
            isinstance(detected, list)
            and len(detected) == len(boxes)
            and all(type(d) is bool for d in detected),
            "detected must have len booleans",
        )
        for box in boxes:
            check_box(box, record["w"], record["h"])
        require(detected[-1], "the last box must be a detected one")
        require(record["object_type"] == "face", 'object_type must be "face"')
        return cls(
            record["index"], record["movie_id"], record["start"],
            np.array(boxes, np.int64), np.array(detected, bool), record["w"], record["h"],
        )  # fmt: skip


@dataclass(frozen=True)
class SavedFace:
    """One saved face.

    Attributes:
        frame: 0-based film frame.
        box: x1, y1, x2, y2.
        keypoints: (5, 2) float32 display pixels, in the order of `geometry.KEYPOINTS`.
        embedding: (d,) float32 of length 1.
    """

    movie_id: int
    frame: int
    box: Box
    keypoints: NDArray[np.float32]
    embedding: NDArray[np.float32]
    w: int
    h: int

    @property
    def tag(self) -> str:
        return tag_of(self.movie_id, self.frame, self.box)

    def with_embedding(self, embedding: NDArray[np.float32]) -> SavedFace:
        return replace(self, embedding=embedding)

    def to_json(self) -> dict[str, Any]:
        return {
            "frame": self.frame,
            "tag": self.tag,
            "embedding": np.ascontiguousarray(self.embedding, np.float32),
            "box": list(self.box),
            "keypoints": {
                name: [round(float(x), 2), round(float(y), 2)]
                for name, (x, y) in zip(KEYPOINTS, self.keypoints, strict=True)
            },
            "w": self.w,
            "h": self.h,
        }

    @classmethod
    def from_json(cls, value: object) -> SavedFace:
        record = require_keys(value, _FEATURE)
        check_ints(record, ("frame", "w", "h"))
        _check_size(record["w"], record["h"])
        require(0 <= record["frame"] <= MAX_FRAME, "frame is not a frame number")
        check_box(record["box"], record["w"], record["h"])
        require(isinstance(record["tag"], str), "tag must be a string")
        try:
            movie_id, frame, box = parse_tag(record["tag"])
        except ValueError as error:
            raise RuleViolation(str(error)) from None
        require((frame, list(box)) == (record["frame"], record["box"]), "tag has another frame or box")
        points, vector = _points(record["keypoints"]), unit_vector(record["embedding"])
        return cls(movie_id, frame, box, points, vector, record["w"], record["h"])


def unit_vector(value: object) -> NDArray[np.float32]:
    """Return the JSON `value` as an embedding (d,).

    Raises:
        RuleViolation: it is not a list of numbers with L2 norm 1.
    """
    rule = "an embedding is a flat list of numbers"
    vector = _numbers(value, rule)
    require(len(vector) > 0, rule)
    finite = np.abs(vector).max() < 2  # larger numbers could overflow when squared
    require(
        finite and abs(float(np.linalg.norm(vector)) - 1) <= _UNIT_TOLERANCE,
        "an embedding must be L2-normalised",
    )
    return vector.astype(np.float32)


def _points(value: object) -> NDArray[np.float32]:
    points = require_keys(value, set(KEYPOINTS))
    pairs = [points[name] for name in KEYPOINTS]
    rule = "a keypoint is [x, y]"
    require(all(type(pair) is list and len(pair) == 2 for pair in pairs), rule)
    array = _numbers([number for pair in pairs for number in pair], rule).reshape(-1, 2)
    require(
        bool((np.abs(array) <= MAX_SIDE).all()), f"a keypoint is more than {MAX_SIDE} pixels from the origin"
    )
    return array.astype(np.float32)


def _numbers(value: object, rule: str) -> NDArray[np.float64]:
    """Return a flat JSON list of numbers as an array; numpy alone would also accept strings and booleans."""
    if not (type(value) is list and {*map(type, value)} <= {float, int}):
        raise RuleViolation(rule)
    return np.array(value, np.float64)


class Record(Protocol):
    """A value that is one line of a JSON-lines file."""

    def to_json(self) -> dict[str, Any]: ...

    @classmethod
    def from_json(cls, value: object) -> Self: ...


def to_line(record: Record) -> bytes:
    """Return the line of a record, newline included, after checking that it can be read back.

    Raises:
        FacerecError: a reader would refuse the line, for example because a model returned NaN.
    """
    line = orjson.dumps(record.to_json(), option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    try:
        record.from_json(orjson.loads(line))
    except RuleViolation as error:
        raise FacerecError(
            f"record not written, because {error}: {line[:80].decode(errors='replace')}…"
        ) from None
    return line
