#!/usr/bin/env python3
"""Are the probabilities of names what they say? SIMULATED faces of casts of many kinds.

Faces are drawn as in bench/clusters.py (--faces, --truth and --actor-db are the same), for casts of --casts
actors. Every actor has one picture, or every other one has forty; pictures are looks of worth. A cluster to
be named is one to eight looks of one person, good ones (worth of at least 0.3) or poor ones, half of the
clusters of actors, half of strangers, who are each seen once.

Prints a line for each kind of cast: how many of the actors' clusters are named right, wrong and not at all
above 0.40; how many of the strangers'; expected calibration error and Brier score of the likeliest name
(where none is given, 0). Then all forecasts by their probability, and how many of them came true.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bench.clusters import add_faces, simulate
from bench.real_faces import Faces, measure_faces
from facerec.actors.database import ActorDatabase
from facerec.annotations.metrics import calibration
from facerec.folder.documents import DISPLAY_THRESHOLD
from facerec.people.naming import cluster_vectors, name_clusters
from facerec.support.cli import configure_logging, parser, run_main

MANY = 40  # pictures of an actor who has many
GOOD = 0.3  # worth of a good look
CLUSTERS = 400  # named for each draw of a kind of cast
DRAWS = 5  # of people
Forecasts = list[tuple[float, bool]]


def good_and_poor(faces: Faces) -> tuple[Faces, Faces]:
    """The same people with the good looks only, and with the others only."""
    looks = np.concatenate(faces.looks)
    good = looks[:, 1] >= GOOD
    return replace(faces, looks=[looks[good]]), replace(faces, looks=[looks[~good]])


def named(
    faces: Faces, cast: int, uneven: bool, poor: bool, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Forecasts]:
    """Counts of right, wrong, silent, strangers and strangers named, and all forecasts."""
    pictures = [a for a in range(cast) for _ in range(MANY if uneven and a % 2 else 1)]
    whose = [int(rng.integers(cast)) if i % 2 else cast + i for i in range(CLUSTERS)]
    sizes = rng.integers(1, 9, CLUSTERS)
    names: list[str | None] = [f"{who:05}" for who in [*pictures, *np.repeat(whose, sizes).tolist()]]
    seed = int(rng.integers(2**32))
    chosen = good_and_poor(faces)
    # the same seed, the same people
    gallery, _ = simulate(names, chosen[0], 1.0, np.random.default_rng(seed))
    vectors, worth = simulate(names, chosen[poor], 1.0, np.random.default_rng(seed))
    first = len(pictures)
    of = np.repeat(np.arange(CLUSTERS), sizes)
    usable = np.ones(len(of), bool)
    probes, known = cluster_vectors(vectors[first:], worth[first:], usable, of, CLUSTERS)
    actors = [f"{a:05}" for a in range(cast)]
    alone = np.empty((0, 2), np.int64)
    said = name_clusters(probes, known, alone, gallery[:first], np.array(pictures), actors, faces.same_person)
    counts, forecasts = np.zeros(5, np.int64), Forecasts()
    for who, row in zip(whose, said, strict=True):
        name = max(row, key=lambda actor: row[actor], default="")
        p, hit = row.get(name, 0.0), name == f"{who:05}"
        shown = p > DISPLAY_THRESHOLD
        if who < cast:
            counts[:3] += shown and hit, shown and not hit, not shown
        else:
            counts[3:] += 1, shown
        forecasts.append((p, hit))
    return counts, forecasts


def reliability_table(forecasts: Forecasts, bins: int = 10) -> list[str]:
    """How many forecasts of each tenth came true, as Markdown."""
    p, true = np.array(forecasts, float).T
    at = np.minimum((p * bins).astype(int), bins - 1)
    lines = ["| probability | forecasts | mean | came true |", "|---|---|---|---|"]
    for b in np.unique(at).tolist():
        own = at == b
        cells = f"{b / bins:.1f} to {(b + 1) / bins:.1f} | {own.sum()} | {p[own].mean():.3f}"
        lines.append(f"| {cells} | {true[own].mean():.3f} |")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    add_faces(made)
    made.add_argument("--casts", type=int, nargs="+", default=[2, 20, 100], metavar="ACTORS")
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    faces = measure_faces(args.faces, args.truth, ActorDatabase(args.actor_db))
    rng = np.random.default_rng(args.seed)
    lines = ["| cast | pictures | looks | right | wrong | silent | strangers named | ECE | Brier |",
             "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    everything = Forecasts()
    for cast, uneven, poor in product(args.casts, (False, True), (False, True)):
        draws = [named(faces, cast, uneven, poor, rng) for _ in range(DRAWS)]
        counts = np.sum([counts for counts, _ in draws], axis=0)
        forecasts = [forecast for _, own in draws for forecast in own]
        error, brier = calibration(forecasts)
        right, wrong, silent, strangers, false = counts.tolist()
        kind = f"{cast} | {f'1 or {MANY}' if uneven else '1'} | {'poor' if poor else 'good'}"
        names = f"{right} | {wrong} | {silent} | {false} of {strangers}"
        lines.append(f"| {kind} | {names} | {error:.3f} | {brier:.3f} |")
        everything += forecasts
    print("\n".join([*lines, "", *reliability_table(everything)]))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
