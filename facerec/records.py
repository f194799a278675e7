"""The records of the data folder: what each line means, and the check that it holds.

Everything is checked when it is read and when it is written, by the same code, and a deviation is a
`ContractError` with file, line and rule. Boxes are integers x1, y1, x2, y2 in display pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from facerec.errors import ContractError
from facerec.jsonfile import Broken, is_int, keys, read_lines, require
from facerec.models.base import KEYPOINTS
from facerec.movie_folder import parse_tag, tag_of

_UNIT = 1e-3  # how far an embedding's length may be from 1
_TRAJECTORY = {"index", "movie_id", "start", "len", "bbs", "detected", "w", "h", "object_type"}
_FEATURE = {"frame", "tag", "embedding", "box", "keypoints", "w", "h"}


def _box_rule(box: object, w: int, h: int) -> None:
    require(
        isinstance(box, list) and len(box) == 4 and all(map(is_int, box)), "a box is four ints x1, y1, x2, y2"
    )
    assert isinstance(box, list)
    x1, y1, x2, y2 = box
    require(0 <= x1 < x2 <= w and 0 <= y1 < y2 <= h, f"box {box} is empty or outside 0..{w} x 0..{h}")


@dataclass(frozen=True)
class Trajectory:
    """One face followed through consecutive frames of one shot.

    Attributes:
        index: 0-based line number.
        start: 0-based film frame of the first box.
        boxes: (len, 4) int64, one a frame.
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
        record = keys(value, _TRAJECTORY)
        for key in ("index", "movie_id", "start", "len", "w", "h"):
            require(is_int(record[key]), f"{key} must be an int, not {record[key]!r}")
        require(record["start"] >= 0, "start is negative")
        require(record["w"] > 0 and record["h"] > 0, "w and h must be positive")
        boxes, detected = record["bbs"], record["detected"]
        require(
            isinstance(boxes, list) and len(boxes) == record["len"] > 0,
            "bbs must hold len boxes, at least one",
        )
        require(
            isinstance(detected, list)
            and len(detected) == len(boxes)
            and all(type(d) is bool for d in detected),
            "detected must hold len booleans",
        )
        for box in boxes:
            _box_rule(box, record["w"], record["h"])
        require(detected[-1], "the last box must be a detected one")
        require(record["object_type"] == "face", 'object_type must be "face"')
        return cls(
            record["index"], record["movie_id"], record["start"],
            np.array(boxes, np.int64), np.array(detected, bool), record["w"], record["h"],
        )  # fmt: skip


@dataclass(frozen=True)
class Feature:
    """One saved face.

    Attributes:
        frame: 0-based film frame.
        box: x1, y1, x2, y2.
        keypoints: (5, 2) float32 display pixels, in the order of `models.base.KEYPOINTS`.
        embedding: (d,) float32 of length 1.
    """

    movie_id: int
    frame: int
    box: tuple[int, int, int, int]
    keypoints: NDArray[np.float32]
    embedding: NDArray[np.float32]
    w: int
    h: int

    @property
    def tag(self) -> str:
        return tag_of(self.movie_id, self.frame, self.box)

    def with_embedding(self, embedding: NDArray[np.float32]) -> Feature:
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
    def from_json(cls, value: object) -> Feature:
        record = keys(value, _FEATURE)
        for key in ("frame", "w", "h"):
            require(is_int(record[key]), f"{key} must be an int, not {record[key]!r}")
        _box_rule(record["box"], record["w"], record["h"])
        require(isinstance(record["tag"], str), "tag must be a string")
        try:
            movie_id, frame, box = parse_tag(record["tag"])
        except ValueError as error:
            raise Broken(str(error)) from None
        require((frame, list(box)) == (record["frame"], record["box"]), "tag does not say this frame and box")
        return cls(
            movie_id,
            frame,
            box,
            _points(record["keypoints"]),
            unit_vector(record["embedding"]),
            record["w"],
            record["h"],
        )


def unit_vector(value: object) -> NDArray[np.float32]:
    """`value` as an embedding (d,); raises what the readers turn into a ContractError."""
    require(isinstance(value, list) and len(value) > 0, "an embedding is a list of numbers")
    assert isinstance(value, list)
    try:
        vector = np.array(value, np.float32)
    except (ValueError, TypeError):
        raise Broken("an embedding is a list of numbers") from None
    require(
        vector.ndim == 1 and bool(np.isfinite(vector).all()), "an embedding is a flat list of finite numbers"
    )
    require(abs(float(np.linalg.norm(vector)) - 1) <= _UNIT, "an embedding must be L2-normalised")
    return vector


def _points(value: object) -> NDArray[np.float32]:
    points = [keys(value, set(KEYPOINTS))[name] for name in KEYPOINTS]
    try:
        array = np.array(points, np.float32)
    except (ValueError, TypeError):
        raise Broken("a keypoint is [x, y]") from None
    require(array.shape == (5, 2) and bool(np.isfinite(array).all()), "a keypoint is [x, y]")
    return array


@dataclass(frozen=True)
class FaceEvidence:
    """What the rigid files have no place for: a detection's score and, where it was saved, its sharpness."""

    box: tuple[int, int, int, int]
    score: float
    sharpness: float | None

    def to_json(self) -> dict[str, Any]:
        return {"box": list(self.box), "score": self.score, "sharpness": self.sharpness}


@dataclass(frozen=True)
class FrameEvidence:
    """What a shard saw in one of its frames.

    Attributes:
        change: the frame's difference from the one before it, None for the film's first.
    """

    frame: int
    change: float | None
    faces: tuple[FaceEvidence, ...]

    def to_json(self) -> dict[str, Any]:
        return {"frame": self.frame, "change": self.change, "faces": [face.to_json() for face in self.faces]}

    @classmethod
    def from_json(cls, value: object) -> FrameEvidence:
        record = keys(value, {"frame", "change", "faces"})
        require(is_int(record["frame"]), "frame must be an int")
        require(
            record["change"] is None or isinstance(record["change"], float), "change must be a float or null"
        )
        require(isinstance(record["faces"], list), "faces must be a list")
        faces = []
        for face in record["faces"]:
            keys(face, {"box", "score", "sharpness"})
            _box_rule(face["box"], 1 << 31, 1 << 31)
            require(isinstance(face["score"], float), "score must be a float")
            require(
                face["sharpness"] is None or isinstance(face["sharpness"], float),
                "sharpness must be a float or null",
            )
            faces.append(FaceEvidence(tuple(face["box"]), face["score"], face["sharpness"]))
        return cls(record["frame"], record["change"], tuple(faces))


@dataclass(frozen=True)
class Quality:
    """How good a saved face is, line by line beside `features.jsonl`."""

    tag: str
    score: float
    sharpness: float

    def to_json(self) -> dict[str, Any]:
        return {"tag": self.tag, "score": self.score, "sharpness": self.sharpness}

    @classmethod
    def from_json(cls, value: object) -> Quality:
        record = keys(value, {"tag", "score", "sharpness"})
        require(isinstance(record["tag"], str), "tag must be a string")
        require(
            isinstance(record["score"], float) and isinstance(record["sharpness"], float),
            "score and sharpness must be floats",
        )
        return cls(record["tag"], record["score"], record["sharpness"])


def to_line(record: Trajectory | Feature | FrameEvidence | Quality) -> bytes:
    """A record as its line, newline included."""
    return orjson.dumps(record.to_json(), option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def read_trajectories(path: Path, movie_id: int) -> list[Trajectory]:
    """The trajectories of a file, each at its index.

    Raises:
        ContractError: a line breaks the contract, or two trajectories share a (frame, box).
    """
    records: list[Trajectory] = []
    for number, record in read_lines(path, Trajectory.from_json):
        if record.index != len(records):
            raise ContractError(
                path, f"index {record.index} is not the 0-based line number {len(records)}", number
            )
        _same_movie(path, number, record.movie_id, movie_id)
        if records and (record.w, record.h) != (records[0].w, records[0].h):
            raise ContractError(
                path,
                f"w, h is {record.w}, {record.h} where line 1 has {records[0].w}, {records[0].h}",
                number,
            )
        records.append(record)
    _each_box_once(path, records)
    return records


def _each_box_once(path: Path, records: list[Trajectory]) -> None:
    if not records:
        return
    rows = np.concatenate(
        [
            np.column_stack([np.arange(r.start, r.end), r.boxes, np.full(len(r.boxes), r.index)])
            for r in records
        ]
    )
    rows = rows[np.lexsort(rows.T[::-1])]
    twice = np.flatnonzero((rows[1:, :5] == rows[:-1, :5]).all(1))
    if len(twice):
        frame, *box, index = rows[twice[0] + 1].tolist()
        first = int(rows[twice[0], 5])
        raise ContractError(path, f"frame {frame} has the same box {box} as line {first + 1}", index + 1)


def read_features(path: Path, movie_id: int) -> Iterator[Feature]:
    """The saved faces of a file, by frame and box.

    Raises:
        ContractError: a line breaks the contract, is out of order, or has another dimension than line 1.
    """
    before: tuple[int, ...] = (-1,)
    dimension = 0
    for number, record in read_lines(path, Feature.from_json):
        _same_movie(path, number, record.movie_id, movie_id)
        here = (record.frame, *record.box)
        if here <= before:
            raise ContractError(path, "faces must be sorted by frame and box, each once", number)
        dimension = dimension or len(record.embedding)
        if len(record.embedding) != dimension:
            raise ContractError(
                path,
                f"the embedding has {len(record.embedding)} numbers where line 1 has {dimension}",
                number,
            )
        before = here
        yield record


def _same_movie(path: Path, number: int | None, found: int, movie_id: int) -> None:
    if found != movie_id:
        raise ContractError(path, f"movie_id {found} in the folder of movie {movie_id}", number)
