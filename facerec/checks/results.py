"""The rules of the data folder's contract that hold between the files that the labeling backend is given.

The rules for a line or a file are the readers' (`records.py`, `documents.py`). All deviations are
collected, not the first alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping

from facerec.checks.images import Box, check_pictures, scan_pictures
from facerec.checks.violations import Deviations, Expected
from facerec.errors import ContractError
from facerec.folder.documents import SHOWN_ABOVE, read_clusters, read_predictions, read_scene_changes
from facerec.folder.frame_records import Quality
from facerec.folder.layout import MovieFolder
from facerec.folder.records import Trajectory, scan_features, scan_trajectories, shared_boxes
from facerec.support.jsonl import scan_lines


def check_results(
    folder: MovieFolder, expected: Expected, cast: Mapping[str, str] | None, found: Deviations
) -> str:
    """Check the top-level files and the pictures; returns what they hold, as a phrase.

    Args:
        cast: the ids that a name may have; None where they are not known.
    """
    cuts = _cuts(folder, expected, found)
    trajectories, lines = _trajectories(folder, expected, cuts, found)
    faces, tags = _features(folder, expected, found)
    _check_quality(folder, tags, found)
    pictures = scan_pictures(folder, found)
    whole = folder.trajectories.is_file() and len(trajectories) == lines
    check_pictures(folder, expected, trajectories, faces, pictures, found, whole=whole)
    clusters = _clusters(folder, lines, found)
    named = _check_names(folder, clusters, cast, found)
    saved = sum(map(len, pictures.values()))
    return f"{lines} trajectories, {clusters or 0} clusters, {named} of them named, {saved} pictures"


def _cuts(folder: MovieFolder, expected: Expected, found: Deviations) -> list[int]:
    try:
        cuts = read_scene_changes(folder.scene_changes, folder.movie_id)
    except ContractError as error:
        found.take(error)
        return []
    for cut in cuts[-1:]:
        if expected.frame_count is not None and cut >= expected.frame_count:
            found.add(folder.scene_changes, f"cut {cut} in a film of {expected.frame_count} frames")
    return cuts


def _trajectories(
    folder: MovieFolder, expected: Expected, cuts: list[int], found: Deviations
) -> tuple[list[tuple[int, Trajectory]], int]:
    """The sound trajectories with their line numbers, and the number of lines."""
    path, sound, lines = folder.trajectories, [], 0
    try:
        for number, record in scan_trajectories(path, folder.movie_id):
            lines = number
            if isinstance(record, ContractError):
                found.take(record)
                continue
            sound.append((number, record))
            for rule in expected.rules(record.end, (record.w, record.h)):
                found.add(path, rule, number)
            later = cuts[bisect_right(cuts, record.start) :][:1]
            if later and later[0] < record.end:
                found.add(path, f"crosses the scene change at frame {later[0]}", number)
    except ContractError as error:
        found.take(error)
    for shared in shared_boxes(path, sound):
        found.take(shared)
    return sound, lines


def _features(
    folder: MovieFolder, expected: Expected, found: Deviations
) -> tuple[dict[int, dict[Box, int]], dict[int, str]]:
    """The lines of the saved faces by frame and box, and their tags by line (empty where it is broken)."""
    path = folder.features
    faces: dict[int, dict[Box, int]] = defaultdict(dict)
    tags: dict[int, str] = {}
    try:
        for number, record in scan_features(path, folder.movie_id):
            if isinstance(record, ContractError):
                found.take(record)
                tags[number] = ""
                continue
            tags[number] = record.tag
            faces[record.frame][record.box] = number
            for rule in expected.rules(record.frame + 1, (record.w, record.h)):
                found.add(path, rule, number)
            if expected.save_every and record.frame % expected.save_every:
                found.add(path, f"frame {record.frame}, where every {expected.save_every}th is saved", number)
    except ContractError as error:
        found.take(error)
    return faces, tags


def _check_quality(folder: MovieFolder, tags: Mapping[int, str], found: Deviations) -> None:
    lines = 0
    try:
        for number, record in scan_lines(folder.quality, Quality.from_json):
            lines = number
            if isinstance(record, ContractError):
                found.take(record)
            elif tags.get(number) and tags[number] != record.tag:
                rule = f"is of {record.tag} where {folder.features.name} has {tags[number]}"
                found.add(folder.quality, rule, number)
    except ContractError as error:
        found.take(error)
        return
    if lines != len(tags):
        found.add(
            folder.quality, f"{lines} lines for {len(tags)} of {folder.features.name}; there is one each"
        )


def _clusters(folder: MovieFolder, trajectories: int, found: Deviations) -> int | None:
    """The number of clusters; None where the file is broken."""
    try:
        return max(read_clusters(folder.clusters, folder.movie_id, trajectories), default=-1) + 1
    except ContractError as error:
        found.take(error)
        return None


def _check_names(
    folder: MovieFolder, clusters: int | None, cast: Mapping[str, str] | None, found: Deviations
) -> int:
    """Check the predictions; returns how many clusters have a name that the annotator sees."""
    try:
        predictions = read_predictions(folder.predictions, folder.movie_id, clusters)
    except ContractError as error:
        found.take(error)
        return 0
    for cluster, names in predictions.items():
        for actor in names.keys() - cast.keys() if cast is not None else ():
            found.add(folder.predictions, f"cluster {cluster}: no row of actors.csv has the id {actor!r}")
    return sum(any(p > SHOWN_ABOVE for p in names.values()) for names in predictions.values())
