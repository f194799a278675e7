"""What a shard remembers of its frames until its end, and counts for the report in its marker."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from facerec.folder.frame_records import FrameRecord
from facerec.folder.plausibility import implausible_counts


@dataclass
class ShardLog:
    """What a shard keeps in memory until its end: numbers of 8 bytes each, never pixels.

    Attributes:
        numbers: frame number of each decoded frame.
        frames, boxes: frame number and x1, y1, x2, y2 of each detection.
        saved: number of saved faces.
        saturated: number of frames with the maximum of candidates (see `models.base.Detections`).
    """

    numbers: array[int] = field(default_factory=lambda: array("q"))
    frames: array[int] = field(default_factory=lambda: array("q"))
    boxes: array[int] = field(default_factory=lambda: array("q"))
    saved: int = 0
    saturated: int = 0

    def add(self, record: FrameRecord, saturated: bool) -> None:
        """Remember one decoded frame."""
        self.numbers.append(record.frame)
        self.saturated += saturated
        for face in record.faces:
            self.frames.append(record.frame)
            self.boxes.extend(face.box)

    def report(self, beg: int, end: int) -> dict[str, object]:
        """Count the frames of the shard `[beg, end)` and its faces, for its marker."""
        decoded_frames = set(self.numbers)
        return {
            "frames": end - beg,
            "skipped": [number for number in range(beg, end) if number not in decoded_frames],
            "faces": len(self.frames),
            "saved": self.saved,
            "saturated": self.saturated,
        }

    def warnings(self, detector: str, detect_every: int) -> list[str]:
        """Say what about the shard's number of faces suggests that the detector is broken."""
        detected = sum(number % detect_every == 0 for number in self.numbers)
        return implausible_counts(detector, detected, len(self.frames), self.saturated)
