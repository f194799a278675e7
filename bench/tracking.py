#!/usr/bin/env python3
"""Score the tracker on the boxes of a film with known tracks.

    python bench/tracking.py DETECTIONS.csv --shots SHOTS.txt

DETECTIONS is a CSV file (or .csv.gz) with one row per box, in any order. Two forms are read:
  frame,x1,y1,x2,y2,identity,track,…   identity and track are "false" for a false box
  frame,track_id,x,y,w,h,identity,…    upper left corner and size instead of two corners
Boxes are in pixels and are rounded to whole pixels. Each line of SHOTS begins with the first frame of a
new shot. Identities are used for scoring only. Prints JSON:

  trajectories  number of trajectories that the tracker made
  truth         number of true tracks; each false box counts as one track
  mixed         trajectories with boxes of more than one identity; each false box is an identity of its own
  purity        share of boxes that belong to the most frequent identity of their trajectory
  frames_per_s  frames from the first to the last box, divided by the time of the tracker (one thread)

Two true tracks of one person in one trajectory are not an error.
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
    """Boxes (x1, y1, x2, y2 in whole pixels) with frames, identities and true tracks, in parallel lists."""

    frames: list[int]
    boxes: list[tuple[int, int, int, int]]
    identities: list[str]
    tracks: list[str]


def read_truth(path: Path) -> Truth:
    """Read a table of boxes in either of the two forms.

    Raises:
        InputError: a column or a number is missing; the message names file and line.
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
            raise InputError(f"{path}: column {missing} is missing; --help describes the two forms") from None
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{path}:{rows.line_num}: not a box: {error}") from None
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}: not a readable CSV table: {error}") from None
    if not truth.frames:
        raise InputError(f"{path}: the table has no boxes")
    return truth


def read_cuts(path: Path) -> list[int]:
    """Read the first frames of new shots: the first word of each line.

    Raises:
        InputError: a line does not begin with a frame number; the message names file and line.
    """
    cuts = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if words := line.split():
            try:
                cuts.append(int(words[0]))
            except ValueError:
                raise InputError(f"{path}:{number}: {words[0]!r} is not a frame number") from None
    return cuts


def purity(trajectories: Iterable[Sequence[int]], identities: Sequence[str]) -> tuple[int, float]:
    """Count the trajectories that mix identities; return that and the purity (0 to 1) of the boxes."""
    mixed = own = boxes = 0
    for ids in trajectories:
        counts = Counter(identities[i] for i in ids)
        mixed += len(counts) > 1
        own += max(counts.values())
        boxes += len(ids)
    return mixed, own / boxes


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser(__doc__)
    arguments.add_argument(
        "detections", type=Path, metavar="DETECTIONS.csv", help="boxes with tracks and identities"
    )
    arguments.add_argument(
        "--shots", type=Path, required=True, metavar="SHOTS.txt", help="first frames of shots, one per line"
    )
    t = TrackSettings
    arguments.add_argument(
        "--iou-threshold", type=float, default=t.iou_threshold, help="0 to 1, of TrackSettings"
    )
    arguments.add_argument("--max-gap", type=int, default=t.max_gap, help="frames, of TrackSettings")
    arguments.add_argument(
        "--gate-sigma", type=float, default=t.gate_sigma, help="standard deviations, of TrackSettings"
    )
    args = arguments.parse_args(argv)
    settings = TrackSettings(args.iou_threshold, args.max_gap, args.gate_sigma)
    truth, cuts = read_truth(args.detections), read_cuts(args.shots)

    from facerec.tracking.tracker import track

    track([0, 0, 1], [[0, 0, 9, 9]] * 3)  # import the solver before the clock starts
    begun = time.perf_counter()
    trajectories = track(truth.frames, truth.boxes, cuts, settings)
    seconds = time.perf_counter() - begun
    mixed, share = purity([one.detection_ids.tolist() for one in trajectories], truth.identities)
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
