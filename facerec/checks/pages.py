"""Rules of the annotators' pages: their order, shared pages, and no two faces of a frame on any other.

What they are made from is in the manifest, so that a folder without the entry of cluster.py is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facerec.checks.violations import Violations
from facerec.errors import FacerecError
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest, recorded_poor_pages
from facerec.folder.records import Trajectory
from facerec.people.constraints import cannot_links

_AGAIN = "unless annotators have begun, run cluster.py --overwrite"


def check_pages(
    folder: MovieFolder,
    trajectories: Sequence[Trajectory],
    labels: Sequence[int],
    predictions: Mapping[int, Mapping[str, float]],
    violations: Violations,
) -> None:
    """Check the pages; what an earlier release did otherwise is only warned of.

    Args:
        labels: cluster of each of the trajectories, dense from 0.
        predictions: probabilities of actors by cluster; empty where they cannot be read.
    """
    try:
        manifest = read_manifest(folder)
    except FacerecError:
        return  # check_history reports it
    if not (recorded := manifest["stages"].get("cluster")):
        return
    listed = recorded["report"].get("too_poor_to_compare")
    too_poor = set(listed) if isinstance(listed, list) else set()
    shared = recorded_poor_pages(manifest)
    members: list[list[int]] = [[] for _ in range(max(labels) + 1)]
    for trajectory, label in enumerate(labels):
        members[label].append(trajectory)
    for page in sorted(shared):
        rule = f"poor_pages: cluster {page}"
        if not 0 <= page < len(members):
            violations.add(folder.manifest, f"{rule} is not in {folder.clusters.name}")
            continue
        if comparable := set(members[page]) - too_poor:
            rest = f"holds trajectory {min(comparable)}, which is not in too_poor_to_compare"
            violations.add(folder.manifest, f"{rule} {rest}")
        if predictions.get(page):
            rest = f"has a name in {folder.predictions.name}, but is not one person"
            violations.add(folder.manifest, f"{rule} {rest}")
    if recorded["settings"].get("allow_same_frame") is not True:
        _check_same_frame(folder, trajectories, labels, shared, violations)
    poor = [too_poor.issuperset(one) for one in members]
    frames = [sum(len(trajectories[i].boxes) for i in one) for one in members]
    if recorded["report"].get("split"):  # which pages are of one person, poor ones included, is not recorded
        keys = [(int(page in shared), 0) for page in range(len(members))]
    else:
        keys = [
            (2, 0) if page in shared else (2 if poor[page] else int(len(one) == 1), -frames[page])
            for page, one in enumerate(members)
        ]
    if keys != sorted(keys):
        rule = "the clusters are not in the order in which annotators should work, most time on screen first"
        violations.warn(folder.clusters, f"{rule}; {_AGAIN}")


def _check_same_frame(
    folder: MovieFolder,
    trajectories: Sequence[Trajectory],
    labels: Sequence[int],
    shared: frozenset[int],
    violations: Violations,
) -> None:
    """Warn of a cluster with two faces of one frame; `shared` pages are not one person and may hold them."""
    pairs = [(i, j) for i, j in cannot_links(trajectories).tolist() if labels[i] == labels[j] not in shared]
    if pairs:
        i, j = pairs[0]
        more = f", and {len(pairs) - 1} more such pairs" if len(pairs) > 1 else ""
        rule = f"cluster {labels[i]} holds trajectories {i} and {j}, which are in one frame{more}"
        violations.warn(folder.clusters, f"{rule}; they are two people; {_AGAIN}")
