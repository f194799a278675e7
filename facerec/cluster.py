"""Stage 3: cluster the trajectories of a film by person.

Reads trajectories, saved faces and scene changes, and writes clusters.json. Clusters are numbered in the
order in which annotators should work: people of several trajectories, the longest on screen first, then
single trajectories, last those of too low quality to compare. These share pages, which manifest.json
lists; no other cluster contains two faces seen in the same frame.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from facerec.folder.command import add_dry_run_argument, add_path_argument, print_dry_run, run_on_folders
from facerec.settings import METHODS, POOR, ClusterSettings, VectorSettings
from facerec.support.cli import configure_logging, parser, run_main
from facerec.support.text import counted

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this stage's command line."""
    command_line = parser(__doc__)
    c, v = ClusterSettings, VectorSettings
    add_path_argument(command_line)
    command_line.add_argument(
        "--method",
        choices=METHODS,
        default=c.method,
        help="plda: join the groups that are most likely one person, by the embedder's calibration; "
        "hdbscan: find dense groups of three trajectories or more",
    )
    command_line.add_argument(
        "--max-size",
        type=int,
        default=c.max_size,
        metavar="TRAJECTORIES",
        help="split clusters of more trajectories than this; annotators see two thumbnails of each",
    )
    command_line.add_argument(
        "--poor",
        choices=POOR,
        default=c.poor,
        help="clusters of trajectories of too low quality to compare; pages: up to --max-size of them per "
        "cluster, in order of time, which annotators discard with one click; alone: one per cluster",
    )
    command_line.add_argument(
        "--threshold",
        type=float,
        default=c.threshold,
        metavar="FACTOR",
        help="multiplies the distance at which two faces are as likely one person as two, by the embedder's "
        "calibration; lower: purer clusters, more of them",
    )
    command_line.add_argument(
        "--min-quality",
        type=float,
        default=v.min_quality,
        metavar="QUALITY",
        help="minimum quality of a trajectory, 0 to 1; one below it is not compared, see --poor. "
        "Higher: purer clusters, more of them",
    )
    command_line.add_argument(
        "--allow-same-frame",
        action="store_true",
        help="allow two faces in one frame to be the same person, for films with many mirrors, screens or "
        "split screens",
    )
    command_line.add_argument(
        "--overwrite",
        action="store_true",
        help="replace published results; the old ones are kept in previous/",
    )
    add_dry_run_argument(command_line)
    return command_line


def cluster_folder(
    folder: MovieFolder, vector_settings: VectorSettings, settings: ClusterSettings, *, overwrite: bool
) -> str:
    """Cluster the trajectories of `folder`, publish clusters.json, and return a line of summary.

    Raises:
        StaleError: the inputs are not the outputs of merge_shards.py, or different clusters are published
            and `overwrite` is not given.
        ContractError: a file breaks the folder's contract.
    """
    import numpy as np

    from facerec.folder.documents import clusters_bytes, read_scene_changes
    from facerec.folder.manifest import checked_inputs, read_embedder, read_manifest, recorded_tracking
    from facerec.folder.publish import publish, staging
    from facerec.folder.readers import read_trajectories
    from facerec.people.clustering import cluster
    from facerec.people.constraints import cannot_links, continuations
    from facerec.people.loading import load_trajectory_vectors
    from facerec.people.pages import arrange_pages

    inputs = checked_inputs(folder, "cluster")
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    pooled = load_trajectory_vectors(folder, trajectories, vector_settings)
    cuts = read_scene_changes(folder.scene_changes, folder.movie_id)
    clustering = cluster(
        pooled.vectors,
        pooled.quality,
        pooled.usable,
        cannot_links(trajectories, settings),
        continuations(trajectories, cuts, settings, recorded_tracking(read_manifest(folder))),
        read_embedder(folder).same_person,
        settings,
    )
    starts = np.array([one.start for one in trajectories], np.int64)
    pages = arrange_pages(
        clustering.labels,
        pooled.vectors,
        pooled.usable,
        np.array([len(one.boxes) for one in trajectories], np.int64),
        np.searchsorted(np.array(cuts, np.int64), starts, side="right"),
        settings,
    )
    limit = clustering.min_log_likelihood_ratio
    n = int(pages.labels.max(initial=-1)) + 1
    too_poor = np.flatnonzero(~pooled.usable).tolist()
    with staging(folder) as directory:
        staged = directory / folder.clusters.name
        staged.write_bytes(clusters_bytes(folder.movie_id, pages.labels))
        changed = publish(
            folder,
            "cluster",
            {folder.clusters: staged},
            inputs=inputs,
            settings={**asdict(vector_settings), **asdict(settings)},
            report={
                "clusters": n,
                "min_log_likelihood_ratio": None if limit is None else round(limit, 6),
                "continued": clustering.continued,
                "split": pages.split,
                "outlying_faces": pooled.outliers,
                "too_poor_to_compare": too_poor,
                "poor_pages": pages.poor,
            },
            overwrite=overwrite,
        )
    on_pages = f", on {counted(len(pages.poor), 'shared page')}" if pages.poor else ""
    return (
        f"{counted(n, 'cluster')} of {counted(len(trajectories), 'trajectory', 'trajectories')}, "
        f"of which {len(too_poor)} too poor to compare{on_pages}"
        f"{'' if changed else '; nothing changed'}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    vector_settings = VectorSettings(min_quality=args.min_quality)
    settings = ClusterSettings(
        method=args.method,
        threshold=args.threshold,
        max_size=args.max_size,
        poor=args.poor,
        allow_same_frame=args.allow_same_frame,
    )
    if args.dry_run:
        return print_dry_run()
    return run_on_folders(
        args.path,
        lambda folder: cluster_folder(folder, vector_settings, settings, overwrite=args.overwrite),
    )


if __name__ == "__main__":
    raise SystemExit(run_main(main))
