#!/usr/bin/env python3
"""Measure whether pictures near a film's year should count more, on SIMULATED people who grow older.

    python bench/ages.py --faces work/*-data --truth truth --actor-db work/actor_db

People and the spread of their observations are measured as in bench/clusters.py. Here a person changes over
the years: the correlation of the face at two times is --alike to the power of the years between them, divided
by 30. So with --alike 0.7, thirty years take a person three tenths of the way to another one, and with 1
nobody changes. Each actor has pictures of years drawn evenly over --career years; the film is in the middle
of it or, with --late, at its end. A cluster is one observation of any quality in the film's year; half of the
clusters are of the cast, half of strangers.

Each rule weights an actor's pictures by their distance in years from the film: it halves every H years, or
only pictures within Y years count if there are any (the nearest otherwise). The same people, pictures and
clusters are named by all rules. Prints a Markdown table: right, wrong and missing names of the cast above
0.40, names given to strangers, Brier score.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bench.clusters import add_faces
from bench.real_faces import Faces, Floats, measure_faces, unit
from facerec.actors.database import ActorDatabase
from facerec.annotations.metrics import calibration
from facerec.folder.documents import DISPLAY_THRESHOLD
from facerec.people.naming import actor_probabilities, distance_of_mean_odds
from facerec.settings import NamingSettings
from facerec.support.cli import configure_logging, parser, run_main

Weights = Callable[[Floats], Floats]  # of pictures, by their distances in years from the film
GENERATION = 30  # years after which `--alike` holds
CLUSTERS = 400  # of a draw
DRAWS = 20


def by_half_life(years: float) -> Weights:
    """Return weights that halve every so many years."""
    return lambda gap: np.asarray(2.0 ** (-gap / years), np.float64)


def within(years: float) -> Weights:
    """Return weights that leave out pictures of other years, but not the nearest."""
    return lambda gap: np.where(gap <= max(years, gap.min()), 1.0, 1e-12)


RULES: dict[str, Weights] = {
    "all alike": np.ones_like,
    "half at 40 years": by_half_life(40),
    "half at 20 years (facerec)": by_half_life(20),
    "half at 15 years": by_half_life(15),
    "half at 10 years": by_half_life(10),
    "half at 5 years": by_half_life(5),
    "within 10 years": within(10),
    "within 20 years": within(20),
}


@dataclass(frozen=True)
class Cast:
    """Pictures of actors and clusters of a film.

    Attributes:
        distances: (clusters, actors, pictures) Euclidean.
        gaps: (actors, pictures) years from the film.
        people: (clusters,) actor of each cluster, -1 for a stranger.
    """

    distances: Floats
    gaps: Floats
    people: NDArray[np.int64]


def draw_cast(
    faces: Faces, actors: int, pictures: int, career: int, late: bool, alike: float, rng: np.random.Generator
) -> Cast:
    """Draw the people, their pictures over the years, and the clusters of the film."""
    film = float(career if late else career / 2)
    years = rng.uniform(0, career, (actors, pictures))
    mean, spread = faces.people.mean(0), np.cov(faces.people.T)
    dimension = len(mean)
    galleries, now = [], []
    for own in years:
        times = np.append(own, film)
        same = alike ** (np.abs(times[:, None] - times) / GENERATION)
        factor = np.linalg.cholesky(same + 1e-9 * np.eye(len(times)))
        states = mean + factor @ rng.multivariate_normal(np.zeros(dimension), spread, len(times))
        galleries.append(unit(states[:-1]))
        now.append(unit(states[-1]))
    people = np.where(np.arange(CLUSTERS) % 2, rng.integers(actors, size=CLUSTERS), -1)
    strangers = unit(rng.multivariate_normal(mean, spread, CLUSTERS))
    centres = np.where((people >= 0)[:, None], np.array(now)[people], strangers)
    probes = observe(centres, faces, rng)
    gallery = observe(np.concatenate(galleries), faces, rng)
    cosine = probes @ gallery.T
    distances = np.sqrt(np.maximum(2 - 2 * cosine, 0)).reshape(CLUSTERS, actors, pictures)
    return Cast(distances, np.abs(years - film), people)


def observe(centres: Floats, faces: Faces, rng: np.random.Generator) -> Floats:
    """Draw an observation (n, d) of each person (n, d), as far away and in such a direction as real ones."""
    n = len(centres)
    persons = rng.integers(len(faces.observations), size=n)
    cosine = np.array([rng.choice(faces.observations[i])[0] for i in persons])[:, None]
    aside = unit(rng.choice(faces.deviations, n) + unit(rng.normal(size=centres.shape)))
    aside = unit(aside - (aside * centres).sum(1, keepdims=True) * centres)
    return np.asarray(cosine * centres + np.sqrt(1 - cosine**2) * aside, np.float64)


def weighted_distances(cast: Cast, weights: Weights, same_person: float) -> Floats:
    """Return the distance (clusters, actors) of each cluster from each actor."""
    settings = NamingSettings()
    temperature = settings.temperature * same_person
    return np.stack(
        [
            distance_of_mean_odds(cast.distances[:, actor], settings, temperature, weights(gap))
            for actor, gap in enumerate(cast.gaps)
        ],
        axis=1,
    )


def count(
    cast: Cast, distances: Floats, same_person: float
) -> tuple[NDArray[np.int64], list[tuple[float, bool]]]:
    """Count right, wrong and missing names and named strangers; return that and all predictions."""
    table = actor_probabilities(distances, same_person)
    best, p = table.argmax(1), table.max(1)
    shown, known, hit = p > DISPLAY_THRESHOLD, cast.people >= 0, best == cast.people
    counts = [(shown & known & hit), (shown & known & ~hit), (~shown & known), (shown & ~known)]
    return np.array([one.sum() for one in counts]), list(zip(p.tolist(), hit.tolist(), strict=True))


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    add_faces(made)
    made.add_argument("--actors", type=int, default=20, help="size of the cast")
    made.add_argument("--pictures", type=int, nargs="+", default=[3, 10], metavar="N", help="of every actor")
    made.add_argument("--alike", type=float, nargs="+", default=[1.0, 0.85, 0.7], metavar="SHARE",
                      help="correlation of a person's face with that of thirty years later")  # fmt: skip
    made.add_argument("--career", type=int, default=40, metavar="YEARS", help="from which pictures are")
    made.add_argument("--late", action="store_true", help="the film is at the end of the career")
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    faces = measure_faces(args.faces, args.truth, ActorDatabase(args.actor_db))
    lines = ["| alike after 30 years | pictures | rule | right | wrong | silent | strangers named | Brier |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for alike, pictures in product(args.alike, args.pictures):
        rng = np.random.default_rng(args.seed)
        casts = [
            draw_cast(faces, args.actors, pictures, args.career, args.late, alike, rng) for _ in range(DRAWS)
        ]
        for name, weights in RULES.items():
            counts, forecasts = np.zeros(4, np.int64), []
            for cast in casts:
                distances = weighted_distances(cast, weights, faces.same_person)
                of_cast, predictions = count(cast, distances, faces.same_person)
                counts += of_cast
                forecasts += predictions
            _, brier = calibration(forecasts)
            cells = " | ".join(map(str, counts.tolist()))
            lines.append(f"| {alike} | {pictures} | {name} | {cells} | {brier:.3f} |")
    print("\n".join(lines))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
