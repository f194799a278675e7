"""Stage 4: name the clusters of a film from the portraits of its cast in the actor database.

Writes predictions.json: the probabilities of actors for each cluster, none for a cluster that cannot be
compared and for a page that trajectories too poor to compare share. Only actors with rows of
the movie in actors.csv are considered, with all their pictures.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import InputError
from facerec.folder.command import (
    add_actor_db_argument,
    add_dry_run_argument,
    add_path_argument,
    run_on_folders,
)
from facerec.settings import NamingSettings, VectorSettings
from facerec.support.cli import configure_logging, parser, run_main
from facerec.support.text import counted

if TYPE_CHECKING:
    from facerec.actors.database import ActorDatabase, Gallery
    from facerec.folder.layout import MovieFolder


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this stage's command line."""
    command_line = parser(__doc__)
    n = NamingSettings
    add_path_argument(command_line)
    add_actor_db_argument(command_line, "the actor database")
    command_line.add_argument(
        "--k",
        type=int,
        default=n.k,
        metavar="PICTURES",
        help="least number of pictures of each actor, the nearest, that are averaged; higher: wrong pictures "
        "do less harm, rare poses are missed more often",
    )
    command_line.add_argument(
        "--unknown",
        type=float,
        default=n.unknown_odds,
        metavar="ODDS",
        help="prior odds that a cluster shows a person who is not in the database, against one given actor; "
        "higher: fewer names, fewer wrong ones",
    )
    command_line.add_argument(
        "--year-half-life",
        type=float,
        default=n.year_half_life,
        metavar="YEARS",
        help="years before or after the film after which an actor's picture counts half, where the column "
        "year of actor_images.csv is filled; inf: all pictures count the same",
    )
    command_line.add_argument(
        "--overwrite",
        action="store_true",
        help="not needed: published names are replaced anyway, and the old ones are kept in previous/",
    )
    add_dry_run_argument(command_line)
    command_line.add_argument(
        "--embedder",
        metavar="NAME[:FILE]",
        help="with --dry-run: the embedder with which the movies are going to be extracted",
    )
    command_line.add_argument(
        "--allow-unlisted",
        action="store_true",
        help="with --dry-run: accept movies without rows in actors.csv, which get no names",
    )
    return command_line


def check_inputs(paths: Sequence[Path], actor_db: Path, embedder: str | None, *, allow_unlisted: bool) -> int:
    """Check whether the movies at `paths`, which need not exist yet, can be named; return the exit status.

    Prints a line for each that can.

    Args:
        embedder: with which the movies are going to be extracted; None: the one in each folder's plan.
    """
    from facerec.actors.database import ActorDatabase
    from facerec.actors.readiness import ReadyDatabase
    from facerec.folder.plan import read_plan
    from facerec.models import card_of

    ready = ReadyDatabase(ActorDatabase(actor_db), embedder or "")
    card = asdict(card_of(embedder, "embedder")) if embedder else None

    def check(folder: MovieFolder) -> str:
        plan = None if card else read_plan(folder)
        recorded = card or (plan.models.get("embedder") if plan else None)
        made = "the film would be extracted" if card else str(folder.path)
        return ready.check_movie(folder.movie_id, recorded, made, allow_unlisted=allow_unlisted)

    return run_on_folders(paths, check, may_be_missing=True)


def name_folder(folder: MovieFolder, actor_db: Path, settings: NamingSettings, *, overwrite: bool) -> str:
    """Name the clusters of `folder`, publish predictions.json, and return a line of summary.

    Raises:
        StaleError: the inputs are not the outputs of the earlier stages.
        InputError: the actor database is missing or was made with another embedder.
        ContractError: a file of the folder or of the actor database breaks its rules, or the labeling
            backend would have another id of an actor.
    """
    import numpy as np

    from facerec.actors.backend_tables import first_changed_id
    from facerec.actors.cast import allowed_names
    from facerec.actors.database import ActorDatabase
    from facerec.actors.people import title_and_year
    from facerec.folder.documents import DISPLAY_THRESHOLD, predictions_bytes, read_clusters
    from facerec.folder.manifest import (
        checked_inputs,
        read_embedder,
        read_manifest,
        recorded_poor_pages,
    )
    from facerec.folder.publish import publish, staging
    from facerec.folder.readers import read_trajectories
    from facerec.people.constraints import cannot_links
    from facerec.people.loading import load_trajectory_vectors
    from facerec.people.naming import cluster_vectors, name_clusters, year_weights
    from facerec.support.atomic import sha256_of

    inputs = checked_inputs(folder, "classify_knn")
    embedder = read_embedder(folder)
    database = ActorDatabase(actor_db)
    if not database.actors.exists():
        raise InputError(f"{database.actors}: no such file; give the actor database with --actor-db")
    if embedder.dimension is not None:
        database.check_embedder(asdict(embedder), folder.path)
    if error := first_changed_id(database):
        raise error
    gallery = database.gallery(folder.movie_id, embedder.dimension)
    _warn_about(database, gallery, folder)
    min_quality, allow_same_frame = _cluster_settings(folder)
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    labels = read_clusters(folder.clusters, folder.movie_id, len(trajectories))
    n = max(labels, default=-1) + 1
    cluster_of = np.array(labels, np.int64)
    pooled = load_trajectory_vectors(folder, trajectories, VectorSettings(min_quality=min_quality))
    vectors, has_vector = cluster_vectors(pooled.vectors, pooled.quality, pooled.usable, cluster_of, n)
    has_vector &= ~np.isin(np.arange(n), [*recorded_poor_pages(read_manifest(folder))])  # not one person
    cannot_link = cannot_links(trajectories)
    _, film_year = title_and_year(database, folder.movie_id)
    weights = None
    if film_year.isdecimal() and not np.isnan(gallery.years).all():
        weights = year_weights(gallery.years, gallery.actor_of, float(film_year), settings.year_half_life)
    names = name_clusters(
        vectors,
        has_vector,
        cluster_of[cannot_link[:0] if allow_same_frame else cannot_link],
        gallery.vectors,
        gallery.actor_of,
        gallery.actors,
        embedder.same_person,
        settings,
        weights,
    )
    unnamed = database.unnamed()  # they compete for clusters all the same: theirs must not get another name
    names = [allowed_names(row, unnamed) for row in names]
    shown = [actor for row in names for actor, p in row.items() if round(p, 5) > DISPLAY_THRESHOLD]
    cast = database.cast(folder.movie_id)
    files = (database.actors, database.images, database.embeddings)
    tables = {path.name: sha256_of(path) for path in files if path.exists()}  # no pictures: no embeddings
    with staging(folder) as directory:
        staged = directory / folder.predictions.name
        staged.write_bytes(predictions_bytes(folder.movie_id, dict(enumerate(names))))
        changed = publish(
            folder,
            "classify_knn",
            {folder.predictions: staged},
            inputs={**inputs, **tables},
            settings=asdict(settings),
            report={
                "named_clusters": sum(bool(row) for row in names),
                "names_shown": len(shown),
                "actors_named": len(set(shown)),
                "actors_with_pictures": len(gallery.actors),
                "pictures": len(gallery.images),
                "cast": {actor: cast[actor] for actor in gallery.actors if actor not in unnamed},
            },
            overwrite=overwrite,
            names_only=True,
        )
    return (
        f"{counted(len(shown), 'name')} above {DISPLAY_THRESHOLD:.2f} for {counted(n, 'cluster')}, of "
        f"{counted(len(gallery.actors), 'actor')} "
        f"with {counted(len(gallery.images), 'picture')}{'' if changed else '; nothing changed'}"
    )


def _warn_about(database: ActorDatabase, gallery: Gallery, folder: MovieFolder) -> None:
    """Warn of actors that cannot be named, of outdated files and of a wrong display size."""
    from facerec.actors.aspect_ratios import find_size_error
    from facerec.actors.database import MAX_LISTED
    from facerec.folder.plan import read_plan
    from facerec.folder.readers import read_display_size

    for sentence in database.without_pictures(gallery, folder.movie_id):
        logging.warning("%s: movie %d: %s", database.folder, folder.movie_id, sentence)
    if changed_since := database.outdated(gallery):
        logging.warning(
            "%s: %s changed since prepare_actors.py ran; run it again",
            database.folder, ", ".join(changed_since[:MAX_LISTED]),
        )  # fmt: skip
    if database.aspect_ratios.exists() and (size := read_display_size(folder)):
        plan = read_plan(folder)
        film_name = plan.film.get("name") if plan else None
        if error := find_size_error(database.aspect_ratios, folder.movie_id, film_name, size):
            logging.warning("%s", error)


def _cluster_settings(folder: MovieFolder) -> tuple[float, bool]:
    """Return the `min_quality` and `allow_same_frame` that cluster.py used; naming uses the same.

    Raises:
        StaleError: the manifest does not record them.
    """
    from facerec.errors import StaleError
    from facerec.folder.manifest import read_manifest

    recorded = read_manifest(folder)["stages"]["cluster"]["settings"]
    if not {"min_quality", "allow_same_frame"} <= recorded.keys():
        raise StaleError(f"{folder.manifest}: does not record the settings of cluster.py; run it again")
    return recorded["min_quality"], recorded["allow_same_frame"]


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    settings = NamingSettings(k=args.k, unknown_odds=args.unknown, year_half_life=args.year_half_life)
    if args.dry_run:
        return check_inputs(args.path, args.actor_db, args.embedder, allow_unlisted=args.allow_unlisted)
    return run_on_folders(
        args.path, lambda folder: name_folder(folder, args.actor_db, settings, overwrite=args.overwrite)
    )


if __name__ == "__main__":
    raise SystemExit(run_main(main))
