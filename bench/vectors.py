#!/usr/bin/env python3
"""One vector a trajectory: the plain mean of its faces, weighted by worth, and without outliers as well.

Faces are those of movie folders (--faces) whose people are known from truth (--truth); portraits of an actor
database (--actor-db, of the same embedder) stand beside them. Two measures, for each way to take the mean:

real: of all pairs of trajectories, or of a trajectory and a portrait, how often one of one person is more
alike than one of two (area under the curve; 0.5 is chance, 1 is always).

SIMULATED noise: the vector of half of a trajectory's faces (every other one). "Blurred": each face gets, with
that probability, noise of up to three times its length, and less worth in the same measure. "Slipped": that
share of the faces, in a row, is another trajectory's, as when a box slips onto a passer-by. Given are how
often the vector is nearer to the plain mean of its own other half, left as it was, than to anybody else's,
and its mean cosine to that.
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
from facerec.annotations.export import plain_name
from facerec.annotations.metrics import is_person
from facerec.annotations.truth import read_truth, shown_frames
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_embedder
from facerec.folder.readers import read_trajectories
from facerec.people.embeddings import trajectory_vectors
from facerec.people.reading import judged_faces
from facerec.settings import VectorSettings
from facerec.support.cli import configure_logging, parser, run_main

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
ALL = VectorSettings(min_quality=0)
NO_OUTLIERS = replace(ALL, outlier=float("inf"))
HALF = 4  # faces that each half of a trajectory must have
REPEATS = 20
BLUR = 3.0  # length of the noise on a face that loses all its worth
NOISES = ((0.5, 0.0), (0.8, 0.0), (0.0, 0.2), (0.0, 0.4), (0.5, 0.3))  # shares blurred and slipped

Way = Callable[[Ints, Floats, Floats, int], Floats]


def _way(settings: VectorSettings, weighted: bool) -> Way:
    def way(whose: Ints, embeddings: Floats, quality: Floats, n: int) -> Floats:
        worth = quality if weighted else np.ones_like(quality)
        return trajectory_vectors(whose, embeddings, worth, n, settings).vectors

    return way


PLAIN = _way(NO_OUTLIERS, weighted=False)
WAYS: dict[str, Way] = {
    "plain mean": PLAIN,
    "weighted by worth": _way(NO_OUTLIERS, weighted=True),
    "without outliers": _way(ALL, weighted=False),
    "both (ours)": _way(ALL, weighted=True),
}


@dataclass(frozen=True)
class Folder:
    """The faces of one film's trajectories that show a known person: see `judged_faces`."""

    who: list[str]
    whose: Ints
    embeddings: Floats
    quality: Floats


def read_people(folder: MovieFolder, truth: Path, database: ActorDatabase) -> Folder:
    """Faces of the film's people; `whose` counts from 0 over their trajectories."""
    database.check_embedder(vars(read_embedder(folder)), folder.path)
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    matched = read_truth(truth, folder, trajectories, shown_frames(folder, trajectories), {})
    whose, embeddings, quality = judged_faces(folder, trajectories, ALL)
    names = {index: matched.identity(index) for index, counts in enumerate(matched.boxes) if len(counts) == 1}
    people = {i: who for i, who in names.items() if who and is_person(who) and who not in NO_PEOPLE}
    kept = np.isin(whose, list(people))
    return Folder(
        list(people.values()),
        np.searchsorted(np.array([*people], np.int64), whose[kept]),
        embeddings[kept],
        quality[kept],
    )


def area_under_curve(vectors: Floats, who: Sequence[str]) -> float:
    """How often a pair of vectors of one person is more alike than a pair of two people's."""
    i, j = np.triu_indices(len(vectors), 1)
    alike = np.einsum("ij,ij->i", vectors[i], vectors[j])
    own = np.array([who[a] == who[b] for a, b in zip(i.tolist(), j.tolist(), strict=True)])
    return float((alike[own][:, None] > alike[~own]).mean())


def recognised(
    folders: Sequence[Folder], way: Way, blurred: float, slipped: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Share of noisy halves that are nearest to their own other half, and the mean cosine to it."""
    everything = np.concatenate([f.embeddings for f in folders])
    worths = np.concatenate([f.quality for f in folders])
    offsets = np.cumsum([0, *(len(f.who) for f in folders)])
    whose = np.concatenate([f.whose + o for f, o in zip(folders, offsets, strict=False)])
    long = np.flatnonzero(np.bincount(whose, minlength=offsets[-1]) >= 2 * HALF)
    rows = [np.flatnonzero(whose == t) for t in long.tolist()]
    quiet, noisy = [r[::2] for r in rows], [r[1::2] for r in rows]
    of_quiet, of_noisy = (np.repeat(np.arange(len(rows)), [len(r) for r in half]) for half in (quiet, noisy))
    left, right = np.concatenate(quiet), np.concatenate(noisy)
    reference = PLAIN(of_quiet, everything[left], worths[left], len(rows))
    hits, alike = [], []
    for _ in range(REPEATS):
        source = right.copy()
        for t in range(len(rows) if slipped else 0):
            own = np.flatnonzero(of_noisy == t)
            count = max(1, round(slipped * len(own)))
            first = int(rng.integers(0, len(own) - count + 1))
            other = rows[(t + int(rng.integers(1, len(rows)))) % len(rows)]
            source[own[first : first + count]] = rng.choice(other, count)
        left_over = np.where(rng.random(len(right)) < blurred, rng.uniform(0.05, 1, len(right)), 1)
        noise = rng.normal(size=everything[source].shape) / np.sqrt(everything.shape[1])
        faces = everything[source] + BLUR * (1 - left_over)[:, None] * noise
        faces = (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32)
        made = way(of_noisy, faces, (worths[source] * left_over).astype(np.float32), len(rows))
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
    columns = [f"{blurred:.0%} blurred, {slipped:.0%} slipped" for blurred, slipped in NOISES]
    lines = [f"| vector | real pairs | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|"]
    for name, way in WAYS.items():
        vectors = [way(f.whose, f.embeddings, f.quality, len(f.who)) for f in folders]
        cells = [f"{area_under_curve(np.concatenate([*vectors, gallery.vectors]), who):.4f}"]
        for blurred, slipped in NOISES:
            hits, alike = recognised(folders, way, blurred, slipped, np.random.default_rng(args.seed))
            cells.append(f"{hits:.3f}, {alike:.3f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(lines))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
