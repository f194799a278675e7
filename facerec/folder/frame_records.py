"""The records that the contract does not know: detections of a frame, and quality measurements of a face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facerec.folder.names import MAX_FRAME
from facerec.folder.records import MAX_SIDE, check_box
from facerec.geometry import Box
from facerec.support.jsonl import is_float, is_int, require, require_keys


@dataclass(frozen=True)
class FaceRecord:
    """One detection of a frame.

    Attributes:
        box: x1, y1, x2, y2 in display pixels.
        score: of the detector, 0..1.
        sharpness: of a saved face; None for a detection that was not saved.
    """

    box: Box
    score: float
    sharpness: float | None

    def to_json(self) -> dict[str, Any]:
        return {"box": list(self.box), "score": self.score, "sharpness": self.sharpness}


@dataclass(frozen=True)
class FrameRecord:
    """One decoded frame of a shard.

    Attributes:
        frame: 0-based film frame.
        faces: its detections, sorted by box.
    """

    frame: int
    faces: tuple[FaceRecord, ...]

    def to_json(self) -> dict[str, Any]:
        return {"frame": self.frame, "faces": [face.to_json() for face in self.faces]}

    @classmethod
    def from_json(cls, value: object) -> FrameRecord:
        keys = {"frame", "faces"}
        if isinstance(value, dict) and "change" in value:  # of a release before `results_version` 2
            keys.add("change")
            require(value["change"] is None or is_float(value["change"]), "change must be a float or null")
        record = require_keys(value, keys)
        require(is_int(record["frame"]) and 0 <= record["frame"] <= MAX_FRAME, "frame is not a frame number")
        faces = record["faces"]
        require(isinstance(faces, list), "faces must be a list")
        return cls(record["frame"], tuple(map(_face, faces)))


def _face(value: object) -> FaceRecord:
    face = require_keys(value, {"box", "score", "sharpness"})
    check_box(face["box"], MAX_SIDE, MAX_SIDE)
    require(is_float(face["score"]), "score must be a float")
    require(face["sharpness"] is None or is_float(face["sharpness"]), "sharpness must be a float or null")
    return FaceRecord(tuple(face["box"]), face["score"], face["sharpness"])


@dataclass(frozen=True)
class QualityRecord:
    """Score and sharpness of a saved face, from which its quality is computed (`people/quality.py`).

    `quality.jsonl` has one line for each of `features.jsonl`.
    """

    tag: str
    score: float
    sharpness: float

    def to_json(self) -> dict[str, Any]:
        return {"tag": self.tag, "score": self.score, "sharpness": self.sharpness}

    @classmethod
    def from_json(cls, value: object) -> QualityRecord:
        record = require_keys(value, {"tag", "score", "sharpness"})
        tag, score, sharpness = record["tag"], record["score"], record["sharpness"]
        require(isinstance(tag, str), "tag must be a string")
        require(is_float(score) and is_float(sharpness), "score and sharpness must be floats")
        return cls(tag, score, sharpness)
