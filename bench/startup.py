"""Measure the start-up cost of `extract.py` and the gain of a second worker on the same node.

    python bench/startup.py FILM [--detector mtcnn] [--embedder dlib] [--shards 32] [--rounds 3]

Runs the stage in separate processes, as users do; runs are interleaved. Prints JSON with the median cost of

help         `extract.py --help`
load         importing and loading the two models only
first_frame  a shard of one frame, with the plan of its film already present
plan         the same, when the shard makes the plan
rerun        a shard that is already done
film         the whole film as one shard
shards       the whole film as --shards shards in one task
two_workers  two concurrent tasks, each with half of the film's frames and one core
one_worker   both halves in sequence in one task with one core

and the ratios first_frame / load, shards / film and one_worker / two_workers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measure import ROOT, Cost, cost_of_program, interleaved

EXTRACT = [sys.executable, "-u", str(ROOT / "facerec" / "extract.py")]
LOAD = (
    "import sys; sys.path.insert(0, sys.argv[1]); from facerec.models import *; "
    "load_detector(sys.argv[2]); load_embedder(sys.argv[3])"
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", type=Path, help="named <movie_id>-Title.ext")
    parser.add_argument("--detector", default="mtcnn")
    parser.add_argument("--embedder", default="dlib")
    parser.add_argument("--min-face-size", type=int, default=40, help="pixels")
    parser.add_argument("--shards", type=int, default=32, help="shards of the run `shards`")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved runs")
    args = parser.parse_args()
    from facerec.video.film import open_film

    frames = open_film(args.film).frame_count
    models = ["--detector", args.detector, "--embedder", args.embedder]
    extract = [*EXTRACT, *models, "--min-face-size", str(args.min_face_size), str(args.film)]
    with tempfile.TemporaryDirectory() as temporary:
        folders = (Path(temporary) / str(number) for number in itertools.count())
        singles = map(str, itertools.count())

        def shard(which: str, n: int, out: Path) -> list[str]:
            return [*extract, "--shard", which, "--n", str(n), "--out", str(out)]

        planned = next(folders)
        cost_of_program(shard(next(singles), frames, planned))
        works: dict[str, Callable[[], Cost]] = {
            "help": lambda: cost_of_program([*EXTRACT, "--help"]),
            "load": lambda: cost_of_program(
                [sys.executable, "-c", LOAD, str(ROOT), args.detector, args.embedder]
            ),
            "first_frame": lambda: cost_of_program(shard(next(singles), frames, planned)),
            "plan": lambda: cost_of_program(shard("0", frames, next(folders))),
            "rerun": lambda: cost_of_program(shard("0", frames, planned)),
            "film": lambda: cost_of_program(shard("0", 1, next(folders))),
            "shards": lambda: cost_of_program(shard(f"0-{args.shards - 1}", args.shards, next(folders))),
            "two_workers": lambda: together(
                [shard(half, 2, out) for half, out in (("0", next(folders)), ("1", next(folders)))]
            ),
            "one_worker": lambda: together([shard("0-1", 2, next(folders))]),
        }
        found = interleaved(works, args.rounds)
    table = {"film": args.film.name, "frames": frames, **models_of(args), **summary(found)}
    sys.stdout.write(json.dumps(table, indent=1) + "\n")
    return 0


def models_of(args: argparse.Namespace) -> dict[str, str]:
    """Describe the models."""
    return {"detector": args.detector, "embedder": args.embedder}


def together(commands: Sequence[Sequence[str]]) -> Cost:
    """Run programs concurrently, each on one core as SLURM does; wall time until all end, CPU of all."""
    begun = time.perf_counter()
    cores = itertools.cycle(sorted(os.sched_getaffinity(0)))
    bound = [["taskset", "-c", str(next(cores)), *command] for command in commands]
    with ThreadPoolExecutor(len(bound)) as threads:
        costs = list(threads.map(cost_of_program, bound))
    wall = time.perf_counter() - begun
    return Cost(wall, sum(one.cpu_s for one in costs), max(one.peak_mib for one in costs))


def summary(found: dict[str, Cost]) -> dict[str, object]:
    """Collect the costs and the ratios between them."""
    pairs = (("first_frame", "load"), ("shards", "film"), ("one_worker", "two_workers"))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "seconds": {name: one.rounded() for name, one in found.items()},
        "ratios": {
            f"{above} / {below}": {
                "wall": round(found[above].wall_s / found[below].wall_s, 2),
                "cpu": round(found[above].cpu_s / found[below].cpu_s, 2),
            }
            for above, below in pairs
        },
    }


if __name__ == "__main__":
    raise SystemExit(main())
