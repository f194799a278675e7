#!/usr/bin/env python3
"""Compare ways to average the embeddings of the faces of a trajectory.

    python bench/vectors.py --faces work/*-data --truth truth --actor-db work/actor_db

Compares the plain mean, the mean weighted by quality, the mean without outliers, and both together. The
faces are those of movie folders (--faces) with known people (--truth) and the portraits of an actor
database (--actor-db) with the same embedder. Prints a Markdown table:

real pairs: how often two trajectories (or a trajectory and a portrait) of one person are more similar than
two of different people (area under the ROC curve; 0.5 is chance, 1 is always).

Other columns, SIMULATED noise: half of the faces of a trajectory (every other one) are made worse. "Blurred":
with that probability a face gets noise of up to three times its length, and its quality falls in proportion.
"Replaced": that share of the faces, consecutive ones, comes from another trajectory, as when a box slips
onto a passer-by. The cell gives how often the embedding of this half is nearer to the plain mean of the
untouched other half than to that of any other trajectory, and the mean cosine to it.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.clusters import add_faces
from bench.real_faces import NO_PEOPLE, with_truth
from facerec.actors.database import ActorDatabase
from facerec.annotations.identities import is_person, plain_name
from facerec.annotations.truth import read_truth, thumbnail_frames
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_embedder
from facerec.folder.readers import read_trajectories
from facerec.people.loading import load_faces
from facerec.people.trajectory_vectors import trajectory_vectors
from facerec.settings import VectorSettings
from facerec.support.cli import configure_logging, parser, run_main

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
ALL = VectorSettings(min_quality=0)
NO_OUTLIERS = replace(ALL, outlier_deviations=float("inf"))
HALF = 4  # least number of faces in each half of a trajectory
REPEATS = 20
BLUR = 3.0  # length of the noise on a face that loses all its quality
NOISES = ((0.5, 0.0), (0.8, 0.0), (0.0, 0.2), (0.0, 0.4), (0.5, 0.3))  # shares blurred and replaced

Way = Callable[[Ints, Floats, Floats, int], Floats]


def _way(settings: VectorSettings, weighted: bool) -> Way:
    def way(trajectory_of: Ints, embeddings: Floats, quality: Floats, n: int) -> Floats:
        weights = quality if weighted else np.ones_like(quality)
        return trajectory_vectors(trajectory_of, embeddings, weights, n, settings).vectors

    return way


PLAIN = _way(NO_OUTLIERS, weighted=False)
WAYS: dict[str, Way] = {
    "plain mean": PLAIN,
    "weighted by quality": _way(NO_OUTLIERS, weighted=True),
    "without outliers": _way(ALL, weighted=False),
    "both (facerec)": _way(ALL, weighted=True),
}


@dataclass(frozen=True)
class Folder:
    """Faces of the trajectories that show a known person; arrays as returned by `load_faces`."""

    who: list[str]
    trajectory_of: Ints
    embeddings: Floats
    quality: Floats


def read_people(folder: MovieFolder, truth: Path, database: ActorDatabase) -> Folder:
    """Read the faces of the known people of a film; their trajectories are numbered from 0."""
    database.check_embedder(vars(read_embedder(folder)), folder.path)
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    matched = read_truth(truth, folder, trajectories, thumbnail_frames(folder, trajectories), {})
    trajectory_of, embeddings, quality = load_faces(folder, trajectories, ALL)
    names = {index: matched.identity(index) for index, counts in enumerate(matched.boxes) if len(counts) == 1}
    people = {i: who for i, who in names.items() if who and is_person(who) and who not in NO_PEOPLE}
    kept = np.isin(trajectory_of, list(people))
    return Folder(
        list(people.values()),
        np.searchsorted(np.array([*people], np.int64), trajectory_of[kept]),
        embeddings[kept],
        quality[kept],
    )


def area_under_curve(vectors: Floats, who: Sequence[str]) -> float:
    """Share of cases in which a pair of one person is more similar than a pair of two people (0 to 1)."""
    i, j = np.triu_indices(len(vectors), 1)
    alike = np.einsum("ij,ij->i", vectors[i], vectors[j])
    own = np.array([who[a] == who[b] for a, b in zip(i.tolist(), j.tolist(), strict=True)])
    return float((alike[own][:, None] > alike[~own]).mean())


def recognised(
    folders: Sequence[Folder], way: Way, blurred: float, replaced: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Compute the share of noisy halves nearest to their own other half, and the mean cosine to it."""
    everything = np.concatenate([f.embeddings for f in folders])
    qualities = np.concatenate([f.quality for f in folders])
    offsets = np.cumsum([0, *(len(f.who) for f in folders)])
    trajectory_of = np.concatenate([f.trajectory_of + o for f, o in zip(folders, offsets, strict=False)])
    long = np.flatnonzero(np.bincount(trajectory_of, minlength=offsets[-1]) >= 2 * HALF)
    rows = [np.flatnonzero(trajectory_of == t) for t in long.tolist()]
    quiet, noisy = [r[::2] for r in rows], [r[1::2] for r in rows]
    of_quiet, of_noisy = (np.repeat(np.arange(len(rows)), [len(r) for r in half]) for half in (quiet, noisy))
    left, right = np.concatenate(quiet), np.concatenate(noisy)
    reference = PLAIN(of_quiet, everything[left], qualities[left], len(rows))
    hits, alike = [], []
    for _ in range(REPEATS):
        source = right.copy()
        for t in range(len(rows) if replaced else 0):
            own = np.flatnonzero(of_noisy == t)
            count = max(1, round(replaced * len(own)))
            first = int(rng.integers(0, len(own) - count + 1))
            other = rows[(t + int(rng.integers(1, len(rows)))) % len(rows)]
            source[own[first : first + count]] = rng.choice(other, count)
        left_over = np.where(rng.random(len(right)) < blurred, rng.uniform(0.05, 1, len(right)), 1)
        noise = rng.normal(size=everything[source].shape) / np.sqrt(everything.shape[1])
        faces = everything[source] + BLUR * (1 - left_over)[:, None] * noise
        faces = (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32)
        made = way(of_noisy, faces, (qualities[source] * left_over).astype(np.float32), len(rows))
        hits.append((made @ reference.T).argmax(1) == np.arange(len(rows)))
        alike.append((made * reference).sum(1))
    return float(np.mean(hits)), float(np.mean(alike))


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    add_faces(made)
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    database = ActorDatabase(args.actor_db)
    folders = [read_people(*found, database) for found in with_truth(args.faces, args.truth)]
    gallery, names = database.gallery(), database.cast(None)
    portraits = [plain_name(names[gallery.actors[a]]) for a in gallery.actor_of.tolist()]
    who = [*(name for folder in folders for name in folder.who), *portraits]
    columns = [f"{blurred:.0%} blurred, {replaced:.0%} replaced" for blurred, replaced in NOISES]
    lines = [f"| vector | real pairs | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|"]
    for name, way in WAYS.items():
        vectors = [way(f.trajectory_of, f.embeddings, f.quality, len(f.who)) for f in folders]
        cells = [f"{area_under_curve(np.concatenate([*vectors, gallery.vectors]), who):.4f}"]
        for blurred, replaced in NOISES:
            hits, alike = recognised(folders, way, blurred, replaced, np.random.default_rng(args.seed))
            cells.append(f"{hits:.3f}, {alike:.3f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(lines))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
