#!/usr/bin/env python3
"""What annotators' labels of one episode do for the names in the next: SIMULATED faces on real tracks.

Takes the episodes of one show in their order, their faces simulated as in bench/clusters.py (one person is
one person in all of them), and an actor database of one look of everybody as a portrait. Each episode is
clustered and named, then everybody's best faces are confirmed and learnt, as learn_from_labels.py does,
and the next one comes. Prints for each episode how many trajectories are named right, wrong and not at all
by the portraits alone and by what was learnt before as well; strangers, who can only be named
wrongly, are counted apart. One face stands for each trajectory, where in a film several do.
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
from facerec.annotations.learning import Confirmed, choose
from facerec.annotations.metrics import NOT, Matched, Scores, score
from facerec.folder.records import Feature
from facerec.people.clustering import cluster
from facerec.people.constraints import cannot_links, continuations
from facerec.people.naming import cluster_vectors, name_clusters
from facerec.settings import LearnSettings
from facerec.support.cli import configure_logging, parser, run_main

Vectors = NDArray[np.float32]
STRANGER = NOT + "in the cast"


def learnt(
    movie_id: int, episode: Episode, vectors: Vectors, worth: Vectors, per_actor: int
) -> list[tuple[str, Vectors]]:
    """Name and vector of the faces of an episode that become pictures."""
    keypoints = np.zeros((5, 2), np.float32)
    faces = []
    for one, who, vector, quality in zip(episode.tracks, episode.identities, vectors, worth, strict=True):
        if who:
            x1, y1, x2, y2 = one.boxes[0].tolist()
            face = Feature(movie_id, one.start, (x1, y1, x2, y2), keypoints, vector, one.w, one.h)
            faces.append(Confirmed(face, who, one.index, float(quality)))
    return [(one.actor, one.face.embedding) for one in choose(faces, {}, LearnSettings(per_actor))]


def named(
    episode: Episode,
    vectors: Vectors,
    worth: Vectors,
    gallery: Sequence[tuple[str, Vectors]],
    same_person: float,
) -> tuple[Scores, int]:
    """Cluster and name an episode by a gallery of its cast; figures, and how many strangers got a name."""
    usable, together = np.ones(len(vectors), bool), cannot_links(episode.tracks)
    on = continuations(episode.tracks, episode.cuts)
    labels = cluster(vectors, worth, usable, together, on, same_person).labels
    direction, known = cluster_vectors(vectors, worth, usable, labels, int(labels.max()) + 1)
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
        "episodes", type=Path, nargs="+", metavar="EPISODE.csv.gz", help="of one show, in order"
    )
    add_faces(made)
    made.add_argument(
        "--spread", type=float, default=1.0, help="times the distances measured within a person"
    )
    made.add_argument(
        "--per-actor", type=int, default=LearnSettings.per_actor, help="faces learnt an episode"
    )
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    faces = measure_faces(args.faces, args.truth, ActorDatabase(args.actor_db))
    episodes = [read_episode(path) for path in args.episodes]
    cast = sorted({who for episode in episodes for who in episode.identities if who})
    identities = [*cast, *(who for episode in episodes for who in episode.identities)]
    vectors, worth = simulate(identities, faces, args.spread, np.random.default_rng(args.seed))
    portraits = list(zip(cast, vectors[: len(cast)], strict=True))
    pictures, at = list(portraits), len(cast)
    lines = ["| episode | names by | right | wrong | silent | strangers named |", "|---|---|---|---|---|---|"]
    for number, episode in enumerate(episodes):
        own = slice(at, at + len(episode.tracks))
        at = own.stop
        for by, gallery in (("portraits", portraits), ("portraits and labels", pictures)):
            if number or gallery is portraits:
                made_of, strangers = named(episode, vectors[own], worth[own], gallery, faces.same_person)
                counts = made_of.right, made_of.wrong, made_of.silent, strangers
                lines.append(f"| {episode.name} | {by} | {' | '.join(map(str, counts))} |")
        pictures += learnt(number, episode, vectors[own], worth[own], args.per_actor)
    print("\n".join(lines))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
