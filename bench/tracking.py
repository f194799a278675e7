#!/usr/bin/env python3
"""Track the boxes of a film whose true tracks are known, and count what went wrong.

DETECTIONS is a CSV file (or .csv.gz), a row a box, in any order, either
  frame,x1,y1,x2,y2,identity,track,…   identity and track "false" where the box is no face
  frame,track_id,x,y,w,h,identity,…    corner and size instead of two corners
and SHOTS a text file whose lines begin with the first frame of a new shot. Boxes are rounded to whole
pixels, as the pipeline's own are. Identities are used for scoring only:

  trajectories  what the tracker made of the boxes
  truth         true tracks, a false box counting as a track and as an identity of its own
  mixed         trajectories with boxes of more than one identity
  purity        share of all boxes that are of the identity that most boxes of their trajectory have
  frames_per_s  frames from the first box's to the last, over the tracker's time (one thread)

Two true tracks of one person may end up in one trajectory: that is no mistake here.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import csv
import gzip
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from facerec.errors import InputError
from facerec.settings import TrackSettings
from facerec.support.cli import parser, run_main

FALSE = "false"


@dataclass(frozen=True)
class Truth:
    """Boxes, a list entry each: frame, whole-pixel x1, y1, x2, y2, who it is, and its true track."""

    frames: list[int]
    boxes: list[tuple[int, int, int, int]]
    identities: list[str]
    tracks: list[str]


def read_truth(path: Path) -> Truth:
    """Read a table of boxes in either of the two forms.

    Raises:
        InputError: a column or a number is missing; names file and line.
    """
    truth = Truth([], [], [], [])
    with _open(path) as file:
        rows = csv.DictReader(file)
        try:
            for row in rows:
                if "x1" in row:
                    edges = [float(row[key]) for key in ("x1", "y1", "x2", "y2")]
                else:
                    x, y, w, h = (float(row[key]) for key in "xywh")
                    edges = [x, y, x + w, y + h]
                x1, y1, x2, y2 = (round(edge) for edge in edges)
                track = row["track"] if "track" in row else row["track_id"]
                alone = f" at row {rows.line_num}" if track == FALSE else ""
                truth.frames.append(int(row["frame"]))
                truth.boxes.append((x1, y1, x2, y2))
                truth.identities.append(row["identity"] + alone)
                truth.tracks.append(track + alone)
        except KeyError as missing:
            raise InputError(f"{path}: there is no column {missing}; see --help for the two forms") from None
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{path}:{rows.line_num}: no box: {error}") from None
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}: cannot be read as a table: {error}") from None
    if not truth.frames:
        raise InputError(f"{path}: there is no box in it")
    return truth


def read_cuts(path: Path) -> list[int]:
    """Read the first frames of new shots, the first word of each line.

    Raises:
        InputError: a line does not begin with a frame number; names file and line.
    """
    cuts = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if words := line.split():
            try:
                cuts.append(int(words[0]))
            except ValueError:
                raise InputError(f"{path}:{number}: {words[0]!r} is no frame number") from None
    return cuts


def purity(trajectories: Iterable[Sequence[int]], identities: Sequence[str]) -> tuple[int, float]:
    """How many trajectories mix identities, and the share of boxes that are of their trajectory's own."""
    mixed = own = boxes = 0
    for ids in trajectories:
        counts = Counter(identities[i] for i in ids)
        mixed += len(counts) > 1
        own += max(counts.values())
        boxes += len(ids)
    return mixed, own / boxes


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser(__doc__)
    arguments.add_argument("detections", type=Path, metavar="DETECTIONS.csv")
    arguments.add_argument("--shots", type=Path, required=True, metavar="SHOTS.txt", help="the cuts")
    t = TrackSettings
    arguments.add_argument("--iou-threshold", type=float, default=t.iou_threshold, help="0 to 1")
    arguments.add_argument("--max-gap", type=int, default=t.max_gap, help="frames")
    arguments.add_argument("--reach", type=float, default=t.reach, help="standard deviations")
    args = arguments.parse_args(argv)
    settings = TrackSettings(args.iou_threshold, args.max_gap, args.reach)
    truth, cuts = read_truth(args.detections), read_cuts(args.shots)

    from facerec.tracking.tracker import track

    track([0, 0, 1], [[0, 0, 9, 9]] * 3)  # loads the solver, which is no part of tracking
    begun = time.perf_counter()
    trajectories = track(truth.frames, truth.boxes, cuts, settings)
    seconds = time.perf_counter() - begun
    mixed, share = purity([one.ids.tolist() for one in trajectories], truth.identities)
    figures = {
        "trajectories": len(trajectories),
        "truth": len(set(truth.tracks)),
        "mixed": mixed,
        "purity": round(share, 6),
        "frames_per_s": round((max(truth.frames) - min(truth.frames) + 1) / seconds),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def _open(path: Path) -> TextIO:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(run_main(main))
