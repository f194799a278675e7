#!/usr/bin/env python3
"""Measure how labels of one episode improve the names in the next, with SIMULATED embeddings.

    python bench/learning.py EPISODE.csv.gz … --faces work/*-data --truth truth --actor-db work/actor_db

Takes the episodes of one show in order. Embeddings are drawn as in bench/clusters.py; a person is the same
in all episodes. The actor database starts with one observation of every actor as a portrait. Each episode is
clustered and named; then the best faces of every actor are confirmed and learned, as learn_from_labels.py
does. Prints a Markdown table: for each episode the trajectories with the right name, a wrong name and no
name, from the portraits alone and with the faces learned before. Strangers, who can only get a wrong name,
are counted separately. One face stands for each trajectory; in a film there are several.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.clusters import Episode, add_faces, read_episode, simulate
from bench.real_faces import measure_faces
from facerec.actors.database import ActorDatabase
from facerec.annotations.confirmed_faces import ConfirmedFace
from facerec.annotations.identities import NOT
from facerec.annotations.learning import choose_faces
from facerec.annotations.matching import Matched
from facerec.annotations.metrics import Scores, score
from facerec.folder.records import SavedFace
from facerec.people.clustering import cluster
from facerec.people.constraints import cannot_links, continuations
from facerec.people.naming import cluster_vectors, name_clusters
from facerec.settings import LearnSettings
from facerec.support.cli import configure_logging, parser, run_main

Vectors = NDArray[np.float32]
STRANGER = NOT + "in the cast"


def learned(
    movie_id: int, episode: Episode, vectors: Vectors, quality: Vectors, per_actor: int
) -> list[tuple[str, Vectors]]:
    """Choose the faces of an episode that become pictures; return names and embeddings."""
    keypoints = np.zeros((5, 2), np.float32)
    faces = []
    for one, who, vector, q in zip(episode.tracks, episode.identities, vectors, quality, strict=True):
        if who:
            x1, y1, x2, y2 = one.boxes[0].tolist()
            face = SavedFace(movie_id, one.start, (x1, y1, x2, y2), keypoints, vector, one.w, one.h)
            faces.append(ConfirmedFace(face, who, one.index, float(q)))
    return [(one.actor, one.face.embedding) for one in choose_faces(faces, {}, LearnSettings(per_actor))]


def named(
    episode: Episode,
    vectors: Vectors,
    quality: Vectors,
    gallery: Sequence[tuple[str, Vectors]],
    same_person: float,
) -> tuple[Scores, int]:
    """Cluster an episode and name it from a gallery; return figures and the number of strangers named."""
    usable, together = np.ones(len(vectors), bool), cannot_links(episode.tracks)
    on = continuations(episode.tracks, episode.cuts)
    labels = cluster(vectors, quality, usable, together, on, same_person).labels
    direction, known = cluster_vectors(vectors, quality, usable, labels, int(labels.max()) + 1)
    cast = sorted({who for who in episode.identities if who})
    mine = [(who, vector) for who, vector in gallery if who in cast]
    pictures = np.array([vector for _, vector in mine])
    actor_of = np.array([cast.index(who) for who, _ in mine], np.int64)
    said = name_clusters(direction, known, labels[together], pictures, actor_of, cast, same_person)

    def scores(who: list[str | None]) -> Scores:
        boxes = [Counter({name: 1} if name else {}) for name in who]
        matched = Matched(boxes, [()] * len(boxes), None, None, None)
        return score(matched, labels.tolist(), dict(enumerate(said)), {})

    strangers: list[str | None] = [None if who else STRANGER for who in episode.identities]
    return scores(episode.identities), scores(strangers).wrong


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument(
        "episodes", type=Path, nargs="+", metavar="EPISODE.csv.gz", help="episodes of one show, in order"
    )
    add_faces(made)
    made.add_argument("--spread", type=float, default=1.0, help="factor on the distances within a person")
    made.add_argument(
        "--per-actor", type=int, default=LearnSettings.per_actor, help="faces learned per actor and episode"
    )
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    faces = measure_faces(args.faces, args.truth, ActorDatabase(args.actor_db))
    episodes = [read_episode(path) for path in args.episodes]
    cast = sorted({who for episode in episodes for who in episode.identities if who})
    identities = [*cast, *(who for episode in episodes for who in episode.identities)]
    vectors, quality = simulate(identities, faces, args.spread, np.random.default_rng(args.seed))
    portraits = list(zip(cast, vectors[: len(cast)], strict=True))
    pictures, at = list(portraits), len(cast)
    lines = ["| episode | gallery | right | wrong | silent | strangers named |", "|---|---|---|---|---|---|"]
    for number, episode in enumerate(episodes):
        own = slice(at, at + len(episode.tracks))
        at = own.stop
        for by, gallery in (("portraits", portraits), ("portraits and labels", pictures)):
            if number or gallery is portraits:
                made_of, strangers = named(episode, vectors[own], quality[own], gallery, faces.same_person)
                counts = made_of.right, made_of.wrong, made_of.silent, strangers
                lines.append(f"| {episode.name} | {by} | {' | '.join(map(str, counts))} |")
        pictures += learned(number, episode, vectors[own], quality[own], args.per_actor)
    print("\n".join(lines))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
