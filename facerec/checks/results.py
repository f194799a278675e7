"""Rules between the merged files: trajectories, features, qualities, cuts, clusters and predictions.

The rules for one line or one file by itself are its reader's (`folder.records`, `folder.documents`). Every
broken rule is collected, not only the first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping

from facerec.checks.images import check_image_files, check_images
from facerec.checks.pages import check_pages
from facerec.checks.violations import Expected, Violations
from facerec.errors import ContractError
from facerec.folder.documents import (
    DISPLAY_THRESHOLD,
    read_clusters,
    read_predictions,
    read_scene_changes,
    read_transitions,
)
from facerec.folder.frame_records import QualityRecord
from facerec.folder.layout import MovieFolder
from facerec.folder.people import read_people
from facerec.folder.readers import find_shared_boxes, scan_features, scan_trajectories
from facerec.folder.records import Trajectory
from facerec.geometry import Box
from facerec.support.atomic import sha256_of
from facerec.support.jsonl import scan_lines
from facerec.support.shell import stage_command
from facerec.support.text import counted

_NO_FACES = (
    "the film has no face: the labeling backend starts with this folder but cannot show the movie's page; "
    "do not hand it over"
)


def check_results(
    folder: MovieFolder,
    expected: Expected,
    cast: Mapping[str, str] | None,
    violations: Violations,
    *,
    is_copy: bool = False,
) -> str:
    """Check the top-level files and the thumbnails; returns counts of what they hold, as a phrase.

    Args:
        cast: names by actor id, the ids that a prediction may have; None if they are unknown.
        is_copy: the folder holds only what the labeling backend reads.
    """
    cuts = [] if is_copy else _check_cuts(folder, expected, violations)
    trajectories, lines = _check_trajectories(folder, expected, cuts, violations)
    faces = None
    if not is_copy:
        faces, tags = _check_features(folder, expected, violations)
        _check_qualities(folder, tags, violations)
    images = check_image_files(folder, violations)
    complete = folder.trajectories.is_file() and len(trajectories) == lines
    check_images(folder, expected, trajectories, faces, images, violations, complete=complete)
    labels = _check_clusters(folder, lines, violations)
    clusters = None if labels is None else max(labels, default=-1) + 1
    if clusters == 0:
        violations.warn(folder.clusters, _NO_FACES)
    predictions = _check_predictions(folder, clusters, cast, violations)
    if folder.people.exists():
        _check_people(folder, lines, violations)
    if labels and complete:
        check_pages(folder, [one for _, one in trajectories], labels, predictions, violations)
    named = sum(any(p > DISPLAY_THRESHOLD for p in names.values()) for names in predictions.values())
    saved = sum(map(len, images.values()))
    return (
        f"{counted(lines, 'trajectory', 'trajectories')}, {counted(clusters or 0, 'cluster')}, "
        f"{named} of them named, {counted(saved, 'thumbnail')}"
    )


def _check_cuts(folder: MovieFolder, expected: Expected, violations: Violations) -> list[int]:
    """Check scene_changes.json; returns its cuts, none if it is broken."""
    try:
        cuts = read_scene_changes(folder.scene_changes, folder.movie_id)
    except ContractError as error:
        violations.add_error(error)
        return []
    for cut in cuts[-1:]:
        if expected.frame_count is not None and cut >= expected.frame_count:
            violations.add(folder.scene_changes, f"cut {cut} in a film of {expected.frame_count} frames")
    if folder.transitions.exists():  # earlier releases did not write it
        _check_transitions(folder, expected, cuts, violations)
    return cuts


def _check_transitions(
    folder: MovieFolder, expected: Expected, cuts: list[int], violations: Violations
) -> None:
    try:
        transitions = read_transitions(folder.transitions, folder.movie_id)
    except ContractError as error:
        violations.add_error(error)
        return
    if [one.cut for one in transitions] != cuts:
        violations.add(folder.transitions, f"its cuts are not those of {folder.scene_changes.name}")
    for one in transitions[-1:]:
        if expected.frame_count is not None and one.end > expected.frame_count:
            rule = f"a transition up to frame {one.end} in a film of {expected.frame_count} frames"
            violations.add(folder.transitions, rule)


def _check_trajectories(
    folder: MovieFolder, expected: Expected, cuts: list[int], violations: Violations
) -> tuple[list[tuple[int, Trajectory]], int]:
    """Check trajectories.jsonl; returns (line number, trajectory) of readable lines, and the line count."""
    path, lines = folder.trajectories, 0
    readable: list[tuple[int, Trajectory]] = []
    try:
        for number, record in scan_trajectories(path, folder.movie_id):
            lines = number
            if isinstance(record, ContractError):
                violations.add_error(record)
                continue
            readable.append((number, record))
            for rule in expected.broken_rules(record.end, (record.w, record.h)):
                violations.add(path, rule, number)
            later = cuts[bisect_right(cuts, record.start) :][:1]
            if later and later[0] < record.end:
                violations.add(path, f"crosses the cut at frame {later[0]}", number)
    except ContractError as error:
        violations.add_error(error)
    for shared in find_shared_boxes(path, readable):
        violations.add_error(shared)
    return readable, lines


def _check_features(
    folder: MovieFolder, expected: Expected, violations: Violations
) -> tuple[dict[int, dict[Box, int]], dict[int, str]]:
    """Check features.jsonl.

    Returns:
        The line numbers of the saved faces by frame and box, and the tags by line number (empty if the
        line is broken).
    """
    path = folder.features
    faces: dict[int, dict[Box, int]] = defaultdict(dict)
    tags: dict[int, str] = {}
    try:
        for number, record in scan_features(path, folder.movie_id):
            if isinstance(record, ContractError):
                violations.add_error(record)
                tags[number] = ""
                continue
            tags[number] = record.tag
            faces[record.frame][record.box] = number
            for rule in expected.broken_rules(record.frame + 1, (record.w, record.h)):
                violations.add(path, rule, number)
            if expected.save_every and record.frame % expected.save_every:
                rule = f"frame {record.frame} is not a multiple of {expected.save_every} (save_every)"
                violations.add(path, rule, number)
    except ContractError as error:
        violations.add_error(error)
    return faces, tags


def _check_qualities(folder: MovieFolder, tags: Mapping[int, str], violations: Violations) -> None:
    """Check quality.jsonl, which has a line for each of features.jsonl's `tags`, in the same order."""
    lines = 0
    try:
        for number, record in scan_lines(folder.quality, QualityRecord.from_json):
            lines = number
            if isinstance(record, ContractError):
                violations.add_error(record)
            elif tags.get(number) and tags[number] != record.tag:
                rule = f"tag {record.tag}, but this line of {folder.features.name} has {tags[number]}"
                violations.add(folder.quality, rule, number)
    except ContractError as error:
        violations.add_error(error)
        return
    if lines != len(tags):
        rule = f"{lines} lines, but {folder.features.name} has {len(tags)}; there must be one each"
        violations.add(folder.quality, rule)


def _check_clusters(folder: MovieFolder, trajectories: int, violations: Violations) -> list[int] | None:
    """Check clusters.json; returns the cluster of each trajectory, None where the file is broken."""
    try:
        return read_clusters(folder.clusters, folder.movie_id, trajectories)
    except ContractError as error:
        violations.add_error(error)
        return None


def _check_predictions(
    folder: MovieFolder, clusters: int | None, cast: Mapping[str, str] | None, violations: Violations
) -> dict[int, dict[str, float]]:
    """Check predictions.json; returns its probabilities by cluster, none where it is broken."""
    try:
        predictions = read_predictions(folder.predictions, folder.movie_id, clusters)
    except ContractError as error:
        violations.add_error(error)
        return {}
    for cluster, names in predictions.items():
        for actor in names.keys() - cast.keys() if cast is not None else ():
            rule = f"cluster {cluster}: actors.csv has no row with the id {actor!r}, or says not to name it"
            violations.add(folder.predictions, rule)
    return predictions


def _check_people(folder: MovieFolder, trajectories: int, violations: Violations) -> None:
    """Check people.json, which apply_labels.py wrote; warn if the folder has changed since."""
    again = f"run: {stage_command('apply_labels', '--path', str(folder.path), '--labels', 'LABELS.csv')}"
    try:
        people = read_people(folder.people, folder.movie_id)
    except ContractError as error:
        violations.add_error(error)
        return
    changed = [
        name
        for name, digest in people.inputs.items()
        if (path := folder.path / name).is_file() and sha256_of(path) != digest
    ]
    if changed:
        violations.warn(folder.people, f"was made for another version of {', '.join(changed)}; {again}")
        return
    try:
        read_people(folder.people, folder.movie_id, trajectories)
    except ContractError as error:
        violations.add_error(error)
