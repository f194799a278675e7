#!/usr/bin/env python3
"""Compare clustering methods on real tracks with SIMULATED embeddings.

    python bench/clusters.py tv_tracks/*.csv.gz --faces work/*-data --truth truth --actor-db work/actor_db

Real: the tracks of TV episodes (EPISODE.csv.gz, `frame,track_id,x,y,w,h,identity`) and the cuts beside them
(EPISODE.shots.txt), and so who is visible when, with whom, and for how long. Simulated: the embeddings,
because the tracks come without pixels. bench/real_faces.py measures the trajectories of movie folders
(--faces) with known people (--truth, <movie_id>.tracks.csv) and the portraits of an actor database
(--actor-db), all of one embedder: the people, the distance and direction of each observation from its
person, and its quality.

Each identity of the episode gets one of these people, or one drawn from their Gaussian when there are not
enough. Each trajectory gets the distance and quality of a real observation, with equal weight for every
person who was observed at least twice. Its direction is half a real deviation, half noise, so that strangers
in profile are more similar. --spread multiplies the distance between two observations. Observations are
independent, while those of one scene are similar in a film; with --alike, that share of the deviation is
common to the observations of a person in ten consecutive shots. Trajectories of unknown people take part
but are not scored. With --poor, that share of the trajectories, drawn at random, is too poor to compare; then
only the choices of cluster.py --poor are scored.

Prints the figures of `facerec.annotations.metrics.Scores` (WCP, NMI, clusters per person, pages, clicks) as a
Markdown table, means over the episodes; --out writes all figures as JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import csv
import gzip
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bench.real_faces import Faces, Floats, measure_faces, pairwise, unit
from facerec.actors.database import ActorDatabase
from facerec.annotations.matching import Matched
from facerec.annotations.metrics import score
from facerec.errors import ContractError
from facerec.folder.records import Trajectory
from facerec.people.clustering import cluster
from facerec.people.constraints import cannot_links, continuations
from facerec.people.pages import Pages, arrange_pages
from facerec.settings import HDBSCAN as HDBSCAN_METHOD
from facerec.settings import POOR, ClusterSettings, ExtractSettings
from facerec.support.cli import configure_logging, parser, run_main

Labels = NDArray[np.int64]
UNKNOWN = {"unknown", "false", "none", "other", ""}
PERSON_SIZE = 18  # trajectories per cluster in the rule of the program that facerec replaces
SCENE = 10  # consecutive shots that count as one scene
AVERAGE = 0.84  # share of `same_person`: threshold of average linkage
COLUMNS = ("wcp", "nmi", "clusters_a_person", "pages", "clicks")
WIDTH, HEIGHT = 1024, 576  # of the episodes


@dataclass(frozen=True)
class Episode:
    """Real trajectories, their identities (None: unknown), and the cuts."""

    name: str
    tracks: list[Trajectory]
    identities: list[str | None]
    cuts: list[int]


def read_episode(path: Path) -> Episode:
    """Read the tracks that contain a frame with saved faces; the merge drops the others.

    Raises:
        ContractError: a column is missing, or a cell is not a number.
    """
    rows: dict[str, list[tuple[int, tuple[int, ...], str]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            try:
                x, y, w, h = (float(row[key]) for key in "xywh")
                box = tuple(round(value) for value in (x, y, x + w, y + h))
                rows[row["track_id"]].append((int(row["frame"]), box, row["identity"]))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise ContractError(path, f"frame, track_id, x, y, w, h, identity: {error!r}", line) from None
    shots = path.with_name(path.name.removesuffix(".csv.gz") + ".shots.txt")
    cuts = [int(line.split()[0]) for line in shots.read_text().splitlines() if line.strip()]
    tracks: list[Trajectory] = []
    identities: list[str | None] = []
    for track in sorted(sorted(one) for one in rows.values()):
        boxes = np.array([box for _, box, _ in track], np.int64)
        made = Trajectory(len(tracks), 0, track[0][0], boxes, np.ones(len(track), bool), WIDTH, HEIGHT)
        if shown_pictures(made):
            tracks.append(made)
            name = track[0][2].strip().lower()
            identities.append(None if name in UNKNOWN else name)
    return Episode(path.name.removesuffix(".csv.gz"), tracks, identities, cuts)


def shown_pictures(one: Trajectory) -> int:
    """Number of images that the labeling page shows of a trajectory: the first and the last saved."""
    every = ExtractSettings.save_every
    return min(2, (one.end - 1) // every - (one.start - 1) // every)


def simulate(
    identities: Sequence[str | None],
    faces: Faces,
    spread: float,
    rng: np.random.Generator,
    scenes: NDArray[np.int64] | None = None,
    alike: float = 0.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw embeddings (n, d) and qualities (n,) of trajectories; every unknown person is a different one.

    Args:
        scenes: (n,) scene of each trajectory; None: each has its own.
        alike: 0..1, cosine between the deviations of two observations of one person in one scene.
    """
    names = sorted({name for name in identities if name})
    n = len(identities)
    drawn = unit(rng.multivariate_normal(faces.people.mean(0), np.cov(faces.people.T), len(names) + n))
    real = rng.permutation(faces.people)[: len(names)]
    person = dict(zip(names, [*real, *drawn[n:]], strict=False))
    centres = np.array([person[name] if name else drawn[i] for i, name in enumerate(identities)])
    drawn_observations = [
        rng.choice(faces.observations[i]) for i in rng.integers(len(faces.observations), size=n)
    ]
    cosine, quality = np.array(drawn_observations).T
    # the distance between two such observations is sqrt(2 - 2 cosine²)
    cosine = np.sqrt(np.maximum(1 - spread**2 * (1 - cosine**2), 0))[:, None]
    aside = unit(rng.choice(faces.deviations, n) + unit(rng.normal(size=centres.shape)))
    if scenes is not None and alike:
        keys = [(name or i, scene) for i, (name, scene) in enumerate(zip(identities, scenes, strict=True))]
        first = {key: i for i, key in reversed([*enumerate(keys)])}
        common = unit(rng.choice(faces.deviations, n) + unit(rng.normal(size=centres.shape)))
        shared = common[[first[key] for key in keys]]
        aside = np.sqrt(alike) * shared + np.sqrt(1 - alike) * aside
    aside = unit(aside - (aside * centres).sum(1, keepdims=True) * centres)
    vectors = cosine * centres + np.sqrt(1 - cosine**2) * aside
    return np.asarray(vectors, np.float32), np.asarray(quality, np.float32)


def scenes_of(episode: Episode) -> Labels:
    """Number the scene of each trajectory; `SCENE` consecutive shots are one scene."""
    return shots_of(episode) // SCENE


def shots_of(episode: Episode) -> Labels:
    """Number the shot of each trajectory."""
    starts = [one.start for one in episode.tracks]
    return np.searchsorted(np.array(episode.cuts), starts, side="right")


def methods(
    vectors: NDArray[np.float32],
    quality: NDArray[np.float32],
    usable: NDArray[np.bool_],
    episode: Episode,
    same_person: float,
) -> dict[str, Callable[[], Pages]]:
    """Return the methods that cluster the trajectories; none uses an identity.

    Args:
        usable: (n,) trajectories that can be compared.
    """
    from hdbscan import HDBSCAN
    from scipy.cluster.hierarchy import fcluster, linkage

    n = len(vectors)
    apart, on = cannot_links(episode.tracks), continuations(episode.tracks, episode.cuts)
    frames = np.array([len(one.boxes) for one in episode.tracks], np.int64)
    shots = shots_of(episode)

    def facerec(**changed: object) -> Pages:
        settings = ClusterSettings(**changed)  # type: ignore[arg-type]
        people = cluster(vectors, quality, usable, apart, on, same_person, settings).labels
        return arrange_pages(people, vectors, usable, frames, shots, settings)

    def density() -> Pages:
        labels = HDBSCAN(min_cluster_size=2, core_dist_n_jobs=1).fit_predict(vectors.astype(np.float64))
        return unshared(np.where(labels < 0, n + np.arange(n), labels))  # a noise point is a cluster

    if not usable.all():
        return {f"facerec, --poor {poor}": partial(facerec, poor=poor) for poor in POOR}
    return {
        "facerec": lambda: facerec(max_size=n),
        f"facerec, pages of {ClusterSettings.max_size}": facerec,
        "facerec, without cannot-links": lambda: facerec(max_size=n, allow_same_frame=True),
        "facerec, --method hdbscan": lambda: facerec(max_size=n, method=HDBSCAN_METHOD),
        f"complete linkage, N/{PERSON_SIZE} clusters": lambda: unshared(
            fcluster(linkage(vectors, "complete"), max(1, n // PERSON_SIZE), "maxclust")
        ),
        "HDBSCAN by itself": density,
        "average linkage": lambda: unshared(
            fcluster(linkage(vectors, "average"), AVERAGE * same_person, "distance")
        ),
    }


def unshared(labels: Labels) -> Pages:
    """Return the pages of a method that has no shared ones."""
    return Pages(labels, 0, ())


def scored(pages: Pages, episode: Episode) -> dict[str, float]:
    """Score one method on one episode."""
    known = list(zip(episode.tracks, episode.identities, strict=True))
    boxes = [Counter({who: len(one.boxes)} if who else {}) for one, who in known]
    pictures = [(who,) * shown_pictures(one) for one, who in known]
    made = score(Matched(boxes, pictures, None, None, None), pages.labels.tolist(), {}, {}, pages.poor)
    assert made.purity is not None and made.nmi is not None
    return {
        "wcp": made.purity,
        "nmi": made.nmi,
        "clusters_a_person": made.clusters / made.people,
        "pages": float(made.clusters + made.poor_pages),
        "clicks": float(made.clicks),
    }


def quantiles(values: Floats) -> dict[str, float]:
    """1 %, 10 %, 50 % and 90 % quantiles, by name."""
    return {f"{q:.0%}": round(float(np.quantile(values, q)), 3) for q in (0.01, 0.1, 0.5, 0.9)}


def table(figures: list[dict[str, object]], columns: Sequence[str]) -> str:
    """Format means over the episodes as a Markdown table."""
    cells: dict[tuple[object, object], list[list[float]]] = defaultdict(list)
    for row in figures:
        cells[row["spread"], row["method"]].append([float(str(row[column])) for column in columns])
    lines = ["| spread | method | WCP | NMI | clusters a person | pages | clicks |", "|---" * 7 + "|"]
    for (spread, method), values in cells.items():
        wcp, nmi, clusters, *counts = np.mean(values, axis=0)
        pages, clicks = (f"{count:.0f}" for count in counts)
        lines.append(f"| {spread} | {method} | {wcp:.4f} | {nmi:.4f} | {clusters:.2f} | {pages} | {clicks} |")
    return "\n".join(lines)


def add_faces(made: argparse.ArgumentParser) -> None:
    """Add the options that select the real faces to measure."""
    made.add_argument(
        "--faces", type=Path, nargs="+", required=True, metavar="DIR", help="movie folders with known people"
    )
    made.add_argument(
        "--truth", type=Path, required=True, metavar="DIR", help="folder of <movie_id>.tracks.csv"
    )
    made.add_argument(
        "--actor-db", type=Path, required=True, metavar="DIR", help="actor database of the same embedder"
    )
    made.add_argument("--seed", type=int, default=0, help="seed of the random numbers")


def add_episodes(made: argparse.ArgumentParser) -> None:
    """Add the arguments of simulated faces on real tracks: episodes, faces, spread and runs."""
    made.add_argument(
        "episodes",
        type=Path,
        nargs="+",
        metavar="EPISODE.csv.gz",
        help="real tracks; EPISODE.shots.txt lies beside each",
    )
    add_faces(made)
    made.add_argument("--spread", type=float, nargs="+", default=[0.8, 1.0, 1.2], metavar="FACTOR",
                      help="factors on the distances within a person")  # fmt: skip
    made.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="number of runs, with consecutive seeds"
    )


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    add_episodes(made)
    made.add_argument("--alike", type=float, default=0.0, metavar="SHARE",
                      help="0 to 1, common share of the deviations of one scene")  # fmt: skip
    made.add_argument("--poor", type=float, default=0.0, metavar="SHARE",
                      help="0 to 1, share of the trajectories that are too poor to compare")  # fmt: skip
    made.add_argument("--out", type=Path, default=None, metavar="FILE", help="write all figures as JSON")
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    faces = measure_faces(args.faces, args.truth, ActorDatabase(args.actor_db))
    about = {
        "simulated": "embeddings; tracks, cuts and co-occurrences are real",
        "seeds": [args.seed, args.seed + args.seeds - 1],
        "alike": args.alike,
        "people": len(faces.people),
        "same_person": faces.same_person,
        "within": {"pairs": len(faces.within), **quantiles(faces.within)},
        "observations": sum(map(len, faces.observations)),
        "cosine": quantiles(np.concatenate(faces.observations)[:, 0]),
        "between": quantiles(pairwise(faces.people)),
    }
    figures: list[dict[str, object]] = []
    for spread in args.spread:
        for path, seed in product(args.episodes, range(args.seed, args.seed + args.seeds)):
            episode, rng = read_episode(path), np.random.default_rng(seed)
            vectors, quality = simulate(
                episode.identities, faces, spread, rng, scenes_of(episode), args.alike
            )
            usable = np.random.default_rng(seed).random(len(vectors)) >= args.poor
            vectors[~usable] = 0
            for name, method in methods(vectors, quality, usable, episode, faces.same_person).items():
                row = {"spread": spread, "episode": episode.name, "trajectories": len(episode.tracks)}
                figures.append({**row, "seed": seed, "method": name, **scored(method(), episode)})
            logging.info("spread %s: %s done", spread, episode.name)
    if args.out:
        args.out.write_text(json.dumps({**about, "figures": figures}, indent=1) + "\n")
    print(f"{json.dumps(about)}\n\n{table(figures, COLUMNS)}")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
