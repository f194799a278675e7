"""Compare ways to cluster a whole TV episode's trajectories, simulated from real ones and real faces.

    python bench/clusters.py EPISODE.csv.gz --shots EPISODE.shots.txt --faces DIR [DIR …] --actor-db DIR

Who is on screen when, and with whom, is real: the tracks of an episode with their identities. What the
faces look like is simulated, because no pixels come with the tracks: every identity gets the vector of a
real person (an actor of the database, or a cluster of the movie folders; drawn from their mean and
covariance where they run out), and every trajectory a vector about it, as far away as the looks of one
real person are from each other (pictures of one actor; the first and the last third of a trajectory),
in a direction in which some real face deviates from its person: strangers who turn away or stand in the
dark alike come closer to each other. `--spread` multiplies those distances, because two scenes of a film
differ more than what could be measured within one.
Prints JSON: for each method purity weighted by trajectories (WCP), normalised mutual information (NMI),
clusters a person, and clicks: one a cluster, and one for each of the two pictures that the page shows of
a trajectory that is not its cluster's majority. Trajectories of nobody known take part but are not scored.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from facerec.actor_db import ActorDatabase  # noqa: E402
from facerec.clustering import cluster  # noqa: E402
from facerec.constraints import cannot_links, continuations  # noqa: E402
from facerec.documents import read_clusters  # noqa: E402
from facerec.folder_vectors import embedder_of, read_vectors  # noqa: E402
from facerec.movie_folder import MovieFolder  # noqa: E402
from facerec.naming import cluster_vectors  # noqa: E402
from facerec.records import Trajectory, read_features, read_trajectories  # noqa: E402
from facerec.settings import ClusterSettings  # noqa: E402

Floats = NDArray[np.float64]
UNKNOWN = {"unknown", "false", "none", "other", ""}
PICTURES = 2  # of a trajectory, on the annotator's page
PERSON_SIZE = 18  # trajectories a cluster in the ancestor's rule


@dataclass(frozen=True)
class Faces:
    """Real faces: (p, d) vectors of people, distances between two looks of one person, and (r, d)
    directions in which single faces deviate from their person."""

    people: Floats
    within: Floats
    deviations: Floats
    same_person: float


def measure(folders: list[Path], actor_db: Path) -> Faces:
    """Take people and spread from what the pipeline made of real film and real pictures."""
    people, within, deviations = [], [], []
    gallery = ActorDatabase(actor_db).gallery()
    for actor in range(len(gallery.actors)):
        own = gallery.vectors[gallery.actor_of == actor]
        people.append(unit(own.mean(0, keepdims=True))[0])
        within += distances(own)[np.triu_indices(len(own), 1)].tolist()
    for path in folders:
        folder = MovieFolder.existing(path)
        trajectories = read_trajectories(folder.trajectories, folder.movie_id)
        labels = np.array(read_clusters(folder.clusters, folder.movie_id, len(trajectories)), np.int64)
        found = read_vectors(folder, trajectories)
        vectors, known = cluster_vectors(found.vectors, found.weights, found.usable, labels, labels.max() + 1)
        people += list(vectors[known])
        faces = list(read_features(folder.features, folder.movie_id))
        for one in trajectories:
            own = [
                face.embedding
                for face in faces
                if one.start <= face.frame < one.end and tuple(one.boxes[face.frame - one.start]) == face.box
            ]
            if known[labels[one.index]]:
                deviations += [vector - vectors[labels[one.index]] for vector in own]
            third = len(own) // 3
            if third >= 2 and found.usable[one.index]:
                ends = np.array([np.mean(own[:third], 0), np.mean(own[-third:], 0)])
                within.append(float(distances(unit(ends))[0, 1]))
    same_person = embedder_of(MovieFolder(folders[0])).same_person
    return Faces(np.array(people, np.float64), np.array(within), unit(np.array(deviations)), same_person)


def read_tracks(path: Path) -> tuple[list[Trajectory], list[str]]:
    """The tracks of an episode and who each is."""
    rows: dict[str, list[tuple[int, list[float], str]]] = {}
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            x, y, w, h = (float(row[key]) for key in "xywh")
            rows.setdefault(row["track_id"], []).append(
                (int(row["frame"]), [x, y, x + w, y + h], row["identity"])
            )
    tracks, identities = [], []
    for index, track in enumerate(sorted(rows.values(), key=lambda track: min(row[:2] for row in track))):
        track.sort(key=lambda row: row[0])
        boxes = np.array([row[1] for row in track]).astype(np.int64)
        tracks.append(Trajectory(index, 0, track[0][0], boxes, np.ones(len(track), bool), 1024, 576))
        identities.append(track[0][2].strip().lower())
    return tracks, identities


def simulate(
    identities: list[str], faces: Faces, spread: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A vector (n, d) for each trajectory; those of nobody known are all of different people."""
    named = sorted({name for name in identities if name not in UNKNOWN})
    order = rng.permutation(len(faces.people))
    mean, covariance = faces.people.mean(0), np.cov(faces.people.T)
    spare = unit(rng.multivariate_normal(mean, covariance, len(identities)))
    real = list(faces.people[order])
    centre = {name: real.pop() if real else spare[i] for i, name in enumerate(named)}
    centres = np.array([centre.get(name, spare[i]) for i, name in enumerate(identities)])
    # two looks of one person lie d apart, so one lies at an angle of cosine sqrt(1 - d²/2) from the person
    within = spread * rng.choice(faces.within, len(identities))
    cosine = np.sqrt(np.maximum(1 - within**2 / 2, 0))[:, None]
    aside = rng.choice(faces.deviations, len(identities)) + unit(rng.normal(size=centres.shape))
    aside = unit(aside - (aside * centres).sum(1, keepdims=True) * centres)
    return np.asarray(cosine * centres + np.sqrt(1 - cosine**2) * aside, np.float32)


def methods(
    vectors: NDArray[np.float32], tracks: list[Trajectory], cuts: list[int], same_person: float
) -> dict[str, Callable[[], NDArray[np.int64]]]:
    """Each way to label the trajectories; none knows an identity."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from sklearn.cluster import HDBSCAN

    n = len(vectors)
    apart, on = cannot_links(tracks), continuations(tracks, cuts)
    usable, weights = np.ones(n, bool), np.full(n, 0.5, np.float32)
    pages = ClusterSettings(max_size=n)
    free = ClusterSettings(max_size=n, allow_same_frame=True)

    def density() -> NDArray[np.int64]:
        labels = HDBSCAN(min_cluster_size=2, algorithm="brute", copy=True).fit_predict(vectors)
        return np.where(labels < 0, n + np.arange(n), labels)  # noise: each alone

    return {
        "ours": lambda: cluster(vectors, weights, usable, apart, on, same_person, pages).labels,
        "ours, cannot-links ignored": lambda: (
            cluster(vectors, weights, usable, apart, on, same_person, free).labels
        ),
        f"complete linkage, N/{PERSON_SIZE} clusters": lambda: fcluster(
            linkage(vectors, "complete"), max(1, n // PERSON_SIZE), "maxclust"
        ),
        "HDBSCAN": density,
        "average linkage": lambda: fcluster(
            linkage(vectors, "average"), ClusterSettings.threshold * same_person, "distance"
        ),
    }


def scored(labels: NDArray[np.int64], identities: list[str]) -> dict[str, float]:
    """The figures of one method."""
    from sklearn.metrics import normalized_mutual_info_score

    kept = np.array([name not in UNKNOWN for name in identities])
    people, who = np.unique(np.array(identities)[kept], return_inverse=True)
    clusters, of = np.unique(labels[kept], return_inverse=True)
    table = np.zeros((len(clusters), len(people)), np.int64)
    np.add.at(table, (of, who), 1)
    strays = int(table.sum() - table.max(1).sum())
    return {
        "wcp": round(1 - strays / len(who), 4),
        "nmi": round(float(normalized_mutual_info_score(who, of)), 4),
        "clusters": len(clusters),
        "clusters_a_person": round(len(clusters) / len(people), 2),
        "clicks": len(clusters) + PICTURES * strays,
    }


def unit(rows: NDArray[np.floating]) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float64)


def distances(rows: NDArray[np.floating]) -> Floats:
    return np.asarray(np.sqrt(np.maximum(2 - 2 * rows @ rows.T, 0)), np.float64)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tracks", type=Path)
    parser.add_argument("--shots", type=Path, required=True)
    parser.add_argument("--faces", type=Path, nargs="+", required=True, help="clustered movie folders")
    parser.add_argument("--actor-db", type=Path, required=True)
    parser.add_argument("--spread", type=float, default=1.25, help="times the measured distances")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    faces = measure(args.faces, args.actor_db)
    tracks, identities = read_tracks(args.tracks)
    cuts = [int(line.split()[0]) for line in args.shots.read_text().splitlines() if line.strip()]
    vectors = simulate(identities, faces, args.spread, np.random.default_rng(args.seed))
    result = {
        "episode": args.tracks.name,
        "simulated": True,
        "spread": args.spread,
        "trajectories": len(tracks),
        "people": len({name for name in identities if name not in UNKNOWN}),
        "real_people": len(faces.people),
        "within": np.quantile(faces.within, [0.1, 0.5, 0.9]).round(3).tolist(),
        "between": np.quantile(
            distances(faces.people)[np.triu_indices(len(faces.people), 1)], [0.01, 0.1, 0.5]
        )
        .round(3)
        .tolist(),
        "methods": {},
    }
    for name, method in methods(vectors, tracks, cuts, faces.same_person).items():
        begun = time.perf_counter()
        labels = method()
        seconds = round(time.perf_counter() - begun, 2)
        result["methods"][name] = {**scored(labels, identities), "seconds": seconds}
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
