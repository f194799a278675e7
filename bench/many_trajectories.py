#!/usr/bin/env python3
"""Measure time and memory of clustering 20,000 random trajectories in one process.

    python bench/many_trajectories.py

Draws people, trajectories near them and pairs of trajectories in one frame, clusters them, and prints JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import json
import resource
import time
from collections.abc import Sequence

import numpy as np

from facerec.people.clustering import cluster
from facerec.people.constraints import Continuations
from facerec.support.cli import parser, run_main

SAME_PERSON = 1.16
PERSON_SIZE = 66  # trajectories per person


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument("--trajectories", type=int, default=20_000, help="number of trajectories")
    made.add_argument("--dimension", type=int, default=512, help="numbers per embedding")
    made.add_argument("--spread", type=float, default=0.8, help="length of the deviation from the person")
    args = made.parse_args(argv)
    rng, n, d = np.random.default_rng(0), args.trajectories, args.dimension
    people = rng.normal(size=(max(1, n // PERSON_SIZE), d)) / np.sqrt(d)
    who = rng.integers(0, len(people), n)
    vectors = people[who] + args.spread / np.sqrt(d) * rng.normal(size=(n, d))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    pairs = rng.integers(0, n, (n, 2))
    apart = pairs[who[pairs[:, 0]] != who[pairs[:, 1]]]
    quality = rng.uniform(0.05, 0.7, n).astype(np.float32)
    none = Continuations(np.empty((0, 2), np.int64), np.empty(0))
    clock, cpu = time.perf_counter(), time.process_time()
    labels = cluster(vectors, quality, np.ones(n, bool), apart, none, SAME_PERSON).labels
    figures = {
        "trajectories": n,
        "dimension": d,
        "clock_s": round(time.perf_counter() - clock, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "clusters": int(labels.max()) + 1,
    }
    print(json.dumps(figures))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
