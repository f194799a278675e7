"""The judged faces of `bench/detectors.py`: candidates of all detectors, and the table of what they show."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.geometry import iou

SAME = 0.4  # IoU from which detections of several detectors are one candidate
JUDGED = 0.5  # IoU with a judged box from which a candidate need not be judged again
POSES = ("frontal", "profile")
COLUMNS = ("movie", "frame", "x1", "y1", "x2", "y2", "verdict", "pose")
# letters of an answer: verdict and pose
VERDICTS = {"f": ("face", "frontal"), "p": ("face", "profile"), "n": ("none", ""), "u": ("unsure", "")}

Boxes = NDArray[np.float64]  # (n, 4) x1, y1, x2, y2 in display pixels


@dataclass(frozen=True)
class Judged:
    """A box in a frame and what it shows.

    Attributes:
        movie, frame: id of the movie, number of the frame.
        box: x1, y1, x2, y2 in display pixels.
        verdict: `face`, `none`, `unsure`; empty before it is judged.
        pose: of a face `frontal` (both eyes are seen, or would be) or `profile`; else empty.
    """

    movie: int
    frame: int
    box: tuple[int, int, int, int]
    verdict: str = ""
    pose: str = ""

    @property
    def key(self) -> tuple[int, int]:
        """Movie and frame."""
        return self.movie, self.frame

    @property
    def size(self) -> int:
        """Longer side of the box, in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


def group_detections(found: Sequence[Boxes]) -> list[tuple[int, int, int, int]]:
    """Group the detections of several detectors in one frame into candidates.

    Args:
        found: the boxes of each detector, best first.

    Returns:
        The median box of each group. A group has at most one box of each detector; a box joins the
        group with the median that it overlaps most.
    """
    groups: list[list[NDArray[np.float64]]] = []
    for boxes in found:
        open_groups = list(range(len(groups)))
        for box in boxes:
            overlaps = [float(iou(np.median(groups[g], axis=0), box)) for g in open_groups]
            if max(overlaps, default=0.0) >= SAME:
                groups[open_groups.pop(int(np.argmax(overlaps)))].append(box)
            else:
                groups.append([box])
    return [tuple(np.median(group, axis=0).round().astype(int).tolist()) for group in groups]


def unjudged(candidates: Iterable[Judged], judged: Sequence[Judged]) -> list[Judged]:
    """Return the candidates that overlap no judged box of their frame by `JUDGED` or more."""
    by_frame = boxes_by_frame(judged)
    kept = []
    for one in candidates:
        known = by_frame.get(one.key, [])
        if not known or iou(boxes_of(known), np.array(one.box)).max() < JUDGED:
            kept.append(one)
    return kept


def boxes_by_frame(judged: Iterable[Judged]) -> dict[tuple[int, int], list[Judged]]:
    """Return judged boxes by movie and frame."""
    found: dict[tuple[int, int], list[Judged]] = defaultdict(list)
    for one in judged:
        found[one.key].append(one)
    return dict(found)


def boxes_of(judged: Sequence[Judged]) -> Boxes:
    """Return the boxes as an array (n, 4)."""
    return np.array([one.box for one in judged], np.float64).reshape(-1, 4)


def read_judged(path: Path, pending: bool = False) -> list[Judged]:
    """Read a table of judged boxes; lines that begin with `#` are remarks.

    Args:
        pending: the boxes have no verdicts yet.

    Raises:
        InputError: a line cannot be read.
    """
    known = {("", "")} if pending else set(VERDICTS.values())
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    judged = []
    for row in csv.DictReader(lines):
        try:
            x1, y1, x2, y2 = (int(row[key]) for key in ("x1", "y1", "x2", "y2"))
            box = (x1, y1, x2, y2)
            one = Judged(int(row["movie"]), int(row["frame"]), box, row["verdict"], row["pose"])
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"{path}: no judged box: {row}") from error
        if (one.verdict, one.pose) not in known:
            raise InputError(f"{path}: {one.verdict!r}, {one.pose!r} is no verdict and pose: {row}")
        judged.append(one)
    return judged


def write_judged(path: Path, judged: Iterable[Judged], remarks: Sequence[str]) -> None:
    """Write a table of judged boxes in the order of movie, frame and box, after the remarks."""
    text = io.StringIO()
    text.writelines(f"# {remark}\n" for remark in remarks)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in sorted(judged, key=lambda one: (one.movie, one.frame, one.box)):
        writer.writerow([one.movie, one.frame, *one.box, one.verdict, one.pose])
    path.write_text(text.getvalue(), encoding="utf-8")


def read_remarks(path: Path) -> list[str]:
    """Return the remarks at the head of a table."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line[1:].strip() for line in lines if line.startswith("#")]


def answers(text: str, candidates: Mapping[int, Judged]) -> list[Judged]:
    """Read the answers to contact sheets.

    Each line has numbers or ranges of candidates and, after a colon, a letter: `12 20-25: f`. The letters are
    those of `VERDICTS`. `add MOVIE FRAME X1 Y1 X2 Y2: f` adds a face that no detector has found.

    Raises:
        InputError: a line cannot be read, or a candidate has no answer, or two.
    """
    judged: dict[int, Judged] = {}
    added = []
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        shown, _, letter = (part.strip() for part in line.partition(":"))
        if letter not in VERDICTS:
            raise InputError(f"{line!r}: expected one of {', '.join(VERDICTS)} after a colon")
        verdict, pose = VERDICTS[letter]
        if shown.startswith("add "):
            if not re.fullmatch(r"add( \d+){6}", shown):
                raise InputError(f"{line!r}: expected add MOVIE FRAME X1 Y1 X2 Y2 before the colon")
            movie, frame, x1, y1, x2, y2 = map(int, shown.split()[1:])
            added.append(Judged(movie, frame, (x1, y1, x2, y2), verdict, pose))
            continue
        for part in shown.split():
            if not re.fullmatch(r"\d+(-\d+)?", part):
                raise InputError(f"{line!r}: {part!r} is no number or range of candidates")
            first, _, last = part.partition("-")
            for number in range(int(first), int(last or first) + 1):
                if number in judged or number not in candidates:
                    problem = "has two answers" if number in judged else "does not exist"
                    raise InputError(f"{line!r}: candidate {number} {problem}")
                judged[number] = replace(candidates[number], verdict=verdict, pose=pose)
    missing = sorted(candidates.keys() - judged.keys())
    if missing:
        raise InputError(f"candidates without an answer: {', '.join(map(str, missing[:20]))}")
    return [*judged.values(), *added]
