#!/usr/bin/env python3
"""Measure the calibration of the probabilities of names on SIMULATED clusters.

    python bench/naming.py --faces work/*-data --truth truth --actor-db work/actor_db

Embeddings are drawn as in bench/clusters.py, for casts of --casts actors. Every actor has one picture, or
every other actor has forty; pictures are good observations. A cluster is one to eight observations of one
person, all good (quality of at least 0.3) or all poor. Half of the clusters are of actors, half of
strangers, each of whom appears once.

With --pictures, every actor has that many pictures instead; the larger galleries contain the smaller ones,
and the clusters are the same for all. Pictures and clusters are single observations of any quality. Half of
the deviation from a person (--alike) is common to the observations of one of four appearances (age, hair,
make-up). A --spread above 1 stands for portraits that differ more than those measured.

Prints a Markdown table, one row per kind of cast: clusters of actors with the right name, a wrong name and
no name above 0.40; clusters of strangers with a name; expected calibration error and Brier score of the most
likely name (0 where no name is given). A second table groups all predictions by probability and gives the
share that was right.

With --real, nothing is drawn: each observation of an actor (a portrait or a trajectory of at least
--min-quality) is named by every choice of N of that actor's others, and all of the rest of the cast.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from bench.clusters import add_faces, simulate
from bench.real_faces import Faces, known_faces, measure_faces
from facerec.actors.database import ActorDatabase
from facerec.annotations.identities import plain_name
from facerec.annotations.metrics import calibration
from facerec.folder.documents import DISPLAY_THRESHOLD
from facerec.people.naming import cluster_vectors, name_clusters
from facerec.support.cli import configure_logging, parser, run_main

MANY = 40  # pictures of an actor with many
GOOD = 0.3  # least quality of a good observation
CLUSTERS = 400  # clusters per draw of a kind of cast
DRAWS = 5  # draws of people per kind of cast
APPEARANCES = 4  # of each person
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
        spread, alike: see `bench.clusters.simulate`; appearances take the place of scenes.
    """
    most = max(numbers)
    pictures = np.repeat(np.arange(cast), most)
    people_of = people_of_clusters(cast, rng)
    names = [f"{who:05}" for who in [*pictures.tolist(), *people_of]]
    vectors, _ = simulate(names, faces, spread, rng, rng.integers(APPEARANCES, size=len(names)), alike)
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


def real_names(
    observations: dict[str, list[NDArray[np.float64]]], same_person: float
) -> dict[tuple[str, int], NDArray[np.float64]]:
    """Name each observation of each person by every choice of the person's others and all other people's.

    Returns:
        By person and number of pictures: namings, right names, wrong ones, sum of the right name's
        probability. A person with one observation has none.
    """
    found: dict[tuple[str, int], NDArray[np.float64]] = {}
    people = sorted(observations)
    alone = np.empty((0, 2), np.int64)
    for who, own in observations.items():
        rest = [(name, v) for name in people if name != who for v in observations[name]]
        for i, probe in enumerate(own):
            others = own[:i] + own[i + 1 :]
            for number in range(1, len(others) + 1):
                for chosen in combinations(others, number):
                    pictures = [*rest, *((who, v) for v in chosen)]
                    gallery = np.array([v for _, v in pictures], np.float32)
                    actor_of = np.array([people.index(name) for name, _ in pictures])
                    (row,) = name_clusters(
                        np.array([probe], np.float32),
                        np.ones(1, bool),
                        alone,
                        gallery,
                        actor_of,
                        people,
                        same_person,
                    )
                    shown = {name for name, p in row.items() if p > DISPLAY_THRESHOLD}
                    counts = found.setdefault((who, number), np.zeros(4))
                    counts += 1, who in shown, bool(shown - {who}), row.get(who, 0.0)
    return found


def real_table(found: dict[tuple[str, int], NDArray[np.float64]]) -> list[str]:
    """Format the result of `real_names` as a Markdown table."""
    lines = ["| person | pictures | namings | right | wrong | probability of the right name |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for (who, number), (namings, right, wrong, p) in found.items():
        shares = f"{right / namings:.3f} | {wrong / namings:.3f} | {p / namings:.3f}"
        lines.append(f"| {who} | {number} | {namings:.0f} | {shares} |")
    return lines


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
    made.add_argument("--real", action="store_true", help="name real observations by one another")
    made.add_argument("--min-quality", type=float, default=0.0, metavar="QUALITY",
                      help="least quality of an observation, 0..1, with --real")  # fmt: skip
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    database = ActorDatabase(args.actor_db)
    if args.real:
        seen, same_person = known_faces(args.faces, args.truth, database)
        cast = {plain_name(name) for name in database.cast(None).values()}
        good = {who: [v for v, q in own if q >= args.min_quality] for who, own in seen.items() if who in cast}
        print("\n".join(real_table(real_names(good, same_person))))  # noqa: T201
        return 0
    faces = measure_faces(args.faces, args.truth, database)
    rng = np.random.default_rng(args.seed)
    found: list[tuple[str, Sequence[tuple[NDArray[np.int64], Forecasts]]]] = []  # by kind of cast: draws
    if args.pictures:
        for size in args.casts:
            draws = [
                named_by_pictures(faces, size, args.pictures, args.spread, args.alike, rng)
                for _ in range(DRAWS)
            ]
            for number, of_number in zip(args.pictures, zip(*draws, strict=True), strict=True):
                found.append((f"{size} | {number} | any", of_number))
    else:
        for size, uneven, poor in product(args.casts, (False, True), (False, True)):
            kind = f"{size} | {f'1 or {MANY}' if uneven else '1'} | {'poor' if poor else 'good'}"
            found.append((kind, [named(faces, size, uneven, poor, rng) for _ in range(DRAWS)]))
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
