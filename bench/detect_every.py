"""Measure what `extract.py --detect-every K` saves and loses.

    python bench/detect_every.py FILM [FILM …] --detector yunet:FILE --embedder arcface:FILE [--every 2 3 6]

Extracts and merges each film with every K and saves faces of the same frames. Prints JSON: for each K the
CPU seconds of `extract.py`, the number of trajectories, and the share of the detected boxes of K = 1 that
have a detected or interpolated box in the same frame at IoU >= 0.5 and at IoU >= 0.8.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from bench.measure import ROOT, cost_of_program
from facerec.folder.layout import MovieFolder
from facerec.folder.readers import read_trajectories
from facerec.folder.records import Trajectory
from facerec.geometry import iou

IOUS = (0.5, 0.8)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", type=Path, nargs="+", metavar="FILM", help="named <movie_id>-Title.ext")
    parser.add_argument("--detector", default="mtcnn")
    parser.add_argument("--embedder", default="dlib")
    parser.add_argument("--every", type=int, nargs="+", default=[2, 3, 6], help="values of K")
    args = parser.parse_args()
    save_every = int(np.lcm.reduce(args.every))
    options = ["--detector", args.detector, "--embedder", args.embedder, "--save-every", str(save_every)]
    rows = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        for film in args.films:
            every_frame: list[Trajectory] = []
            for every in (1, *args.every):
                folder, seconds = run(
                    film, Path(temporary) / str(every), [*options, "--detect-every", str(every)]
                )
                found = read_trajectories(folder.trajectories, folder.movie_id)
                every_frame = every_frame or found
                rows[every].append((seconds, len(found), *shares(every_frame, found)))
    table = {
        f"K = {every}": {
            "cpu_s": round(sum(row[0] for row in of_films), 1),
            "trajectories": sum(row[1] for row in of_films),
            **{
                f"boxes at IoU {least}": round(
                    sum(row[3 + i] for row in of_films) / max(1, sum(row[2] for row in of_films)), 3
                )
                for i, least in enumerate(IOUS)
            },
        }
        for every, of_films in rows.items()
    }
    sys.stdout.write(json.dumps({"save_every": save_every, **table}, indent=1) + "\n")
    return 0


def run(film: Path, out: Path, options: Sequence[str]) -> tuple[MovieFolder, float]:
    """Extract and merge a film; return its folder and the CPU seconds of the extraction."""
    program = [sys.executable, str(ROOT / "facerec" / "extract.py"), *options, "--out", str(out), str(film)]
    seconds = cost_of_program(program).cpu_s
    folder = MovieFolder.of_film(out, film)
    cost_of_program([sys.executable, str(ROOT / "facerec" / "merge_shards.py"), "--path", str(folder.path)])
    return folder, seconds


def shares(truth: Sequence[Trajectory], found: Sequence[Trajectory]) -> tuple[int, ...]:
    """Count the detected boxes of `truth`, and those that `found` has at each of `IOUS`."""
    here = defaultdict(list)
    for one in found:
        for frame, box in enumerate(one.boxes.tolist(), one.start):
            here[frame].append(box)
    best = [
        iou(one.boxes[i], np.array(here[one.start + i])).max() if here[one.start + i] else 0.0
        for one in truth
        for i in np.flatnonzero(one.detected).tolist()
    ]
    return len(best), *(int((np.array(best) >= least).sum()) for least in IOUS)


if __name__ == "__main__":
    raise SystemExit(main())
