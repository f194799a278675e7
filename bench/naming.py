#!/usr/bin/env python3
"""Measure the calibration of the probabilities of names on SIMULATED clusters.

    python bench/naming.py --faces work/*-data --truth truth --actor-db work/actor_db

Embeddings are drawn as in bench/clusters.py, for casts of --casts actors. Every actor has one picture, or
every other actor has forty; pictures are good observations. A cluster is one to eight observations of one
person, all good (quality of at least 0.3) or all poor. Half of the clusters are of actors, half of
strangers, each of whom appears once.

With --pictures, every actor has that many pictures instead; the larger galleries contain the smaller ones,
and the clusters are the same for all. Pictures and clusters are single observations of any quality. Half of
the deviation from a person (--alike) is common to the observations that show one of four looks (age, hair,
make-up). A --spread above 1 stands for portraits that differ more than those measured.

Prints a Markdown table, one row per kind of cast: clusters of actors with the right name, a wrong name and
no name above 0.40; clusters of strangers with a name; expected calibration error and Brier score of the most
likely name (0 where no name is given). A second table groups all predictions by probability and gives the
share that was right.
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

MANY = 40  # pictures of an actor with many
GOOD = 0.3  # least quality of a good observation
CLUSTERS = 400  # clusters per draw of a kind of cast
DRAWS = 5  # draws of people per kind of cast
LOOKS = 4  # of each person
Forecasts = list[tuple[float, bool]]


def good_and_poor(faces: Faces) -> tuple[Faces, Faces]:
    """Return the same people with the good observations only, and with the others only."""
    observations = np.concatenate(faces.observations)
    good = observations[:, 1] >= GOOD
    return replace(faces, observations=[observations[good]]), replace(
        faces, observations=[observations[~good]]
    )


def named(
    faces: Faces, cast: int, uneven: bool, poor: bool, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Forecasts]:
    """Count right, wrong, silent, strangers and strangers named; return that and all predictions."""
    pictures = [a for a in range(cast) for _ in range(MANY if uneven and a % 2 else 1)]
    people_of = people_of_clusters(cast, rng)
    sizes = rng.integers(1, 9, CLUSTERS)
    names: list[str | None] = [f"{who:05}" for who in [*pictures, *np.repeat(people_of, sizes).tolist()]]
    seed = int(rng.integers(2**32))
    chosen = good_and_poor(faces)
    # both calls use one seed, so the people are the same
    gallery, _ = simulate(names, chosen[0], 1.0, np.random.default_rng(seed))
    vectors, quality = simulate(names, chosen[poor], 1.0, np.random.default_rng(seed))
    first = len(pictures)
    of = np.repeat(np.arange(CLUSTERS), sizes)
    usable = np.ones(len(of), bool)
    probes, known = cluster_vectors(vectors[first:], quality[first:], usable, of, CLUSTERS)
    return count_names(probes, known, people_of, gallery[:first], np.array(pictures), cast, faces.same_person)


def named_by_pictures(
    faces: Faces, cast: int, numbers: Sequence[int], spread: float, alike: float, rng: np.random.Generator
) -> list[tuple[NDArray[np.int64], Forecasts]]:
    """Return what `named` does for each of the `numbers` of pictures of every actor, with the same clusters.

    Args:
        spread, alike: see `bench.clusters.simulate`; the looks take the place of scenes.
    """
    most = max(numbers)
    pictures = np.repeat(np.arange(cast), most)
    people_of = people_of_clusters(cast, rng)
    names = [f"{who:05}" for who in [*pictures.tolist(), *people_of]]
    vectors, _ = simulate(names, faces, spread, rng, rng.integers(LOOKS, size=len(names)), alike)
    probes, known = vectors[len(pictures) :], np.ones(CLUSTERS, bool)
    found = []
    for number in numbers:
        given = np.flatnonzero(np.tile(np.arange(most), cast) < number)
        found.append(
            count_names(probes, known, people_of, vectors[given], pictures[given], cast, faces.same_person)
        )
    return found


def people_of_clusters(cast: int, rng: np.random.Generator) -> list[int]:
    """Draw the person of each cluster: by turns a stranger, each another one, and an actor (below `cast`)."""
    return [int(rng.integers(cast)) if i % 2 else cast + i for i in range(CLUSTERS)]


def count_names(
    probes: NDArray[np.float32],
    known: NDArray[np.bool_],
    people_of: list[int],
    gallery: NDArray[np.float32],
    actor_of: NDArray[np.int64],
    cast: int,
    same_person: float,
) -> tuple[NDArray[np.int64], Forecasts]:
    """Count right, wrong, silent, strangers and strangers named; return that and all predictions.

    Args:
        probes, known: of the clusters, see `cluster_vectors`.
        people_of: person of each cluster; actors are those below `cast`.
    """
    actors = [f"{a:05}" for a in range(cast)]
    alone = np.empty((0, 2), np.int64)
    predictions = name_clusters(probes, known, alone, gallery, actor_of, actors, same_person)
    counts, forecasts = np.zeros(5, np.int64), Forecasts()
    for who, row in zip(people_of, predictions, strict=True):
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
    """Format the share of right predictions in each tenth of probability as a Markdown table."""
    p, true = np.array(forecasts, float).T
    at = np.minimum((p * bins).astype(int), bins - 1)
    lines = ["| probability | forecasts | mean | were right |", "|---|---|---|---|"]
    for b in np.unique(at).tolist():
        own = at == b
        cells = f"{b / bins:.1f} to {(b + 1) / bins:.1f} | {own.sum()} | {p[own].mean():.3f}"
        lines.append(f"| {cells} | {true[own].mean():.3f} |")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    add_faces(made)
    made.add_argument("--casts", type=int, nargs="+", default=[2, 20, 100], metavar="ACTORS",
                      help="sizes of the casts")  # fmt: skip
    made.add_argument("--pictures", type=int, nargs="+", metavar="N", help="pictures of every actor")
    made.add_argument("--spread", type=float, default=1.0, help="of pictures and clusters, with --pictures")
    made.add_argument("--alike", type=float, default=0.5, metavar="SHARE",
                      help="of the deviation that a look has in common, with --pictures")  # fmt: skip
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    faces = measure_faces(args.faces, args.truth, ActorDatabase(args.actor_db))
    rng = np.random.default_rng(args.seed)
    found: list[tuple[str, Sequence[tuple[NDArray[np.int64], Forecasts]]]] = []  # by kind of cast: draws
    if args.pictures:
        for cast in args.casts:
            draws = [
                named_by_pictures(faces, cast, args.pictures, args.spread, args.alike, rng)
                for _ in range(DRAWS)
            ]
            for number, of_number in zip(args.pictures, zip(*draws, strict=True), strict=True):
                found.append((f"{cast} | {number} | any", of_number))
    else:
        for cast, uneven, poor in product(args.casts, (False, True), (False, True)):
            kind = f"{cast} | {f'1 or {MANY}' if uneven else '1'} | {'poor' if poor else 'good'}"
            found.append((kind, [named(faces, cast, uneven, poor, rng) for _ in range(DRAWS)]))
    lines = ["| cast | pictures | observations | right | wrong | silent | strangers named | ECE | Brier |",
             "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    everything = Forecasts()
    for kind, of_kind in found:
        counts = np.sum([counts for counts, _ in of_kind], axis=0)
        forecasts = [forecast for _, own in of_kind for forecast in own]
        error, brier = calibration(forecasts)
        right, wrong, silent, strangers, false = counts.tolist()
        names = f"{right} | {wrong} | {silent} | {false} of {strangers}"
        lines.append(f"| {kind} | {names} | {error:.3f} | {brier:.3f} |")
        everything += forecasts
    error, brier = calibration(everything)
    lines.append(f"| all | | | | | | | {error:.3f} | {brier:.3f} |")
    print("\n".join([*lines, "", *reliability_table(everything)]))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
