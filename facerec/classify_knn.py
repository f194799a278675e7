"""Stage 4: name a film's clusters after the cast of that movie in the actor database.

Writes predictions.json: for each cluster the probabilities of actors, none where nothing is known.
Only actors whose rows in actors.csv have the movie's id are considered, with all their pictures.
"""

from __future__ import annotations

if not __package__:  # run as a plain script, see there
    import _script  # noqa: F401

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.folder.command import add_path_argument, run_on_folders
from facerec.settings import NamingSettings, VectorSettings
from facerec.support.cli import configure_logging, parser, run_main

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder


def arguments() -> argparse.ArgumentParser:
    """The command line of this stage."""
    made = parser(__doc__)
    n = NamingSettings
    add_path_argument(made)
    made.add_argument(
        "--actor-db", type=Path, default=Path("actor_db"), metavar="DIR", help="the actor database"
    )
    made.add_argument(
        "--k",
        type=int,
        default=n.k,
        metavar="PICTURES",
        help="nearest pictures of each actor whose mean odds count",
    )
    made.add_argument(
        "--unknown",
        type=float,
        default=n.unknown_odds,
        metavar="ODDS",
        help="how much likelier, before any look, a face is of somebody who is in no database than of a "
        "given actor; higher: fewer names, fewer wrong ones",
    )
    made.add_argument(
        "--overwrite",
        action="store_true",
        help="replace published results; the old ones are kept in previous/",
    )
    return made


def name_folder(folder: MovieFolder, actor_db: Path, settings: NamingSettings, *, overwrite: bool) -> str:
    """Name the clusters of `folder` and publish the result; returns what was made, as one line.

    Raises:
        StaleError: what it reads is not what the earlier stages made, or the folder is published and
            the names differ.
        InputError: the actor database was made with another embedder.
        ContractError: a file of the folder or of the actor database cannot be used.
    """
    from facerec.actors.database import MAX_LISTED, ActorDatabase
    from facerec.errors import StaleError
    from facerec.folder.documents import DISPLAY_THRESHOLD, predictions_bytes, read_clusters
    from facerec.folder.manifest import checked_inputs, read_embedder, read_manifest
    from facerec.folder.publish import publish, staging
    from facerec.folder.readers import read_trajectories
    from facerec.people.constraints import cannot_links
    from facerec.people.naming import cluster_vectors, name_clusters
    from facerec.people.reading import read_vectors
    from facerec.support.atomic import sha256_of

    inputs = checked_inputs(folder, "classify_knn")
    embedder = read_embedder(folder)
    database = ActorDatabase(actor_db)
    if embedder.dimension is not None:
        database.check_embedder(asdict(embedder), folder.path)
    gallery = database.gallery(folder.movie_id, embedder.dimension)
    if not gallery.actors:
        logging.warning(
            "%s: no actor of movie %d has a usable picture, so nobody is named; its cast is in %s",
            database.folder, folder.movie_id, database.actors.name,
        )  # fmt: skip
    if changed_since := database.outdated(gallery):
        logging.warning(
            "%s: %s changed since prepare_actors.py ran; run it again",
            database.folder, ", ".join(changed_since[:MAX_LISTED]),
        )  # fmt: skip
    clustered = read_manifest(folder)["stages"]["cluster"]["settings"]
    if not {"min_quality", "allow_same_frame"} <= clustered.keys():
        raise StaleError(f"{folder.manifest}: does not say how cluster.py ran; run it again")
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    labels = read_clusters(folder.clusters, folder.movie_id, len(trajectories))
    n = max(labels, default=-1) + 1
    found = read_vectors(folder, trajectories, VectorSettings(min_quality=clustered["min_quality"]))
    import numpy as np

    of = np.array(labels, np.int64)
    together = cannot_links(trajectories)
    vectors, known = cluster_vectors(found.vectors, found.weights, found.usable, of, n)
    names = name_clusters(
        vectors,
        known,
        of[together[:0] if clustered["allow_same_frame"] else together],
        gallery.vectors,
        gallery.actor_of,
        gallery.actors,
        embedder.same_person,
        settings,
    )
    shown = [name for by_actor in names for name, p in by_actor.items() if round(p, 5) > DISPLAY_THRESHOLD]
    cast = database.cast(folder.movie_id)
    tables = {path.name: sha256_of(path) for path in (database.actors, database.images, database.embeddings)}
    with staging(folder) as room:
        predictions = predictions_bytes(folder.movie_id, dict(enumerate(names)))
        (room / folder.predictions.name).write_bytes(predictions)
        changed = publish(
            folder,
            "classify_knn",
            {folder.predictions: room / folder.predictions.name},
            inputs={**inputs, **tables},
            settings=asdict(settings),
            report={
                "named_clusters": sum(bool(by_actor) for by_actor in names),
                "names_shown": len(shown),
                "actors_named": len(set(shown)),
                "actors_with_pictures": len(gallery.actors),
                "pictures": len(gallery.images),
                "cast": {actor: cast[actor] for actor in gallery.actors},
            },
            overwrite=overwrite,
        )
    return (
        f"{len(shown)} names above {DISPLAY_THRESHOLD:.2f} for {n} clusters, of {len(gallery.actors)} actors "
        f"with {len(gallery.images)} pictures{'' if changed else '; nothing changed'}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    settings = NamingSettings(k=args.k, unknown_odds=args.unknown)
    return run_on_folders(
        args.path, lambda folder: name_folder(folder, args.actor_db, settings, overwrite=args.overwrite)
    )


if __name__ == "__main__":
    raise SystemExit(run_main(main))
