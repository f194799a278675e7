"""Stage 3: group a film's trajectories into people, one cluster each.

Reads trajectories, saved faces and scene changes, writes clusters.json. Faces seen in one frame are
never put together; what is too poor to tell people apart stays alone, and the manifest says which.
"""

from __future__ import annotations

if not __package__:  # run as a plain script, see there
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from facerec.folder.command import add_path_argument, run_on_folders
from facerec.settings import METHODS, ClusterSettings, VectorSettings
from facerec.support.cli import configure_logging, parser, run_main

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder


def arguments() -> argparse.ArgumentParser:
    """The command line of this stage."""
    made = parser(__doc__)
    c, v = ClusterSettings, VectorSettings
    add_path_argument(made)
    made.add_argument(
        "--method",
        choices=METHODS,
        default=c.method,
        help="plda: join the groups that are most likely one person, by the embedder's calibration; "
        "hdbscan: find dense groups; a person needs three trajectories or more",
    )
    made.add_argument(
        "--max-size",
        type=int,
        default=c.max_size,
        metavar="TRAJECTORIES",
        help="split larger clusters; the annotator's page shows two pictures a trajectory",
    )
    made.add_argument(
        "--threshold",
        type=float,
        default=c.threshold,
        metavar="SHARE",
        help="the distance at which two faces are as likely one person's as two people's, as a share of what "
        "the embedder says it is; lower: purer clusters, more of them",
    )
    made.add_argument(
        "--min-quality",
        type=float,
        default=v.min_quality,
        metavar="WORTH",
        help="worth of a trajectory's faces, 0 to 1, below which it is too poor to be compared",
    )
    made.add_argument(
        "--allow-same-frame",
        action="store_true",
        help="let faces seen in one frame be one person: films with many mirrors, screens, split screens",
    )
    made.add_argument(
        "--overwrite",
        action="store_true",
        help="replace published results; the old ones are kept in previous/",
    )
    return made


def cluster_folder(
    folder: MovieFolder, judging: VectorSettings, grouping: ClusterSettings, *, overwrite: bool
) -> str:
    """Cluster the trajectories of `folder` and publish the result; returns what was made, as one line.

    Raises:
        StaleError: what it reads is not what the merge made, or the folder is published and differs.
        ContractError: a file breaks the folder's contract.
    """
    import numpy as np

    from facerec.folder.documents import clusters_bytes, read_scene_changes
    from facerec.folder.manifest import checked_inputs, read_embedder
    from facerec.folder.publish import publish, staging
    from facerec.folder.readers import read_trajectories
    from facerec.people.clustering import cluster
    from facerec.people.constraints import cannot_links, continuations
    from facerec.people.reading import read_vectors

    inputs = checked_inputs(folder, "cluster")
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    found = read_vectors(folder, trajectories, judging)
    cuts = read_scene_changes(folder.scene_changes, folder.movie_id)
    made = cluster(
        found.vectors,
        found.weights,
        found.usable,
        cannot_links(trajectories, grouping),
        continuations(trajectories, cuts, grouping),
        read_embedder(folder).same_person,
        grouping,
    )
    n = int(made.labels.max(initial=-1)) + 1
    poor = np.flatnonzero(~found.usable).tolist()
    with staging(folder) as room:
        (room / folder.clusters.name).write_bytes(clusters_bytes(folder.movie_id, made.labels))
        changed = publish(
            folder,
            "cluster",
            {folder.clusters: room / folder.clusters.name},
            inputs=inputs,
            settings={**asdict(judging), **asdict(grouping)},
            report={
                "clusters": n,
                "evidence": None if made.evidence is None else round(made.evidence, 6),
                "continued": made.continued,
                "split": made.split,
                "outlying_faces": found.dropped,
                "too_poor_to_compare": poor,
            },
            overwrite=overwrite,
        )
    return (
        f"{n} clusters of {len(trajectories)} trajectories, of which {len(poor)} too poor to compare"
        f"{'' if changed else '; nothing changed'}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    judging = VectorSettings(min_quality=args.min_quality)
    grouping = ClusterSettings(
        method=args.method,
        threshold=args.threshold,
        max_size=args.max_size,
        allow_same_frame=args.allow_same_frame,
    )
    return run_on_folders(
        args.path, lambda folder: cluster_folder(folder, judging, grouping, overwrite=args.overwrite)
    )


if __name__ == "__main__":
    raise SystemExit(run_main(main))
