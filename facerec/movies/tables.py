"""The tables of a movie, made from the records of its folder; `Movie` documents their columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from facerec.actors.cast import Cast
from facerec.folder.frame_records import QualityRecord
from facerec.folder.people import SOURCES
from facerec.folder.records import SavedFace, Trajectory
from facerec.movies.identities import Identity
from facerec.movies.times import FrameTimes

Span = tuple[int, int]  # frames [begin, end)


def shots_table(cuts: Sequence[int], times: FrameTimes) -> Any:
    """Return one row per shot of a film with the given cuts."""
    bounds = np.array([0, *cuts, times.frame_count] if times.frame_count else [], np.int64)
    begin, end = bounds[:-1], bounds[1:]
    return pd.DataFrame(
        {
            "shot": np.arange(len(begin)),
            "begin": begin,
            "end": end,
            "begin_s": times.seconds[begin],
            "end_s": times.seconds[end],
        }
    )


def trajectories_table(
    trajectories: Sequence[Trajectory],
    clusters: Sequence[int],
    identities: Sequence[Identity | None],
    n_faces: Sequence[int],
    cuts: Sequence[int],
    times: FrameTimes,
) -> Any:
    """Return one row per trajectory, in the order of trajectories.jsonl."""
    begin = np.array([one.start for one in trajectories], np.int64)
    end = np.array([one.end for one in trajectories], np.int64)
    return pd.DataFrame(
        {
            "trajectory": np.arange(len(trajectories)),
            "begin": begin,
            "end": end,
            "begin_s": times.seconds[begin],
            "end_s": times.seconds[end],
            "seconds": times.between(begin, end),
            "shot": np.searchsorted(np.array(cuts, np.int64), begin, side="right"),
            "cluster": np.array(clusters, np.int64),
            "person": pd.array([one.person if one else None for one in identities], "str"),
            "name": pd.array([one.name if one else None for one in identities], "str"),
            "source": pd.array([one.source if one else None for one in identities], "str"),
            "probability": np.array([_number(one.probability if one else None) for one in identities], float),
            "n_faces": np.array(n_faces, np.int64),
            "n_detected": np.array([int(one.detected.sum()) for one in trajectories], np.int64),
            "mean_height": np.array([_heights(one).mean() for one in trajectories], float),
        }
    )


def boxes_table(trajectories: Sequence[Trajectory], times: FrameTimes) -> Any:
    """Return one row per box of the given trajectories."""
    frames = [np.arange(one.start, one.end) for one in trajectories]
    frame = np.concatenate(frames) if frames else np.empty(0, np.int64)
    boxes = np.concatenate([one.boxes for one in trajectories]) if frames else np.empty((0, 4), np.int64)
    index = np.repeat([one.index for one in trajectories], [len(one.boxes) for one in trajectories])
    detected = np.concatenate([one.detected for one in trajectories]) if frames else np.empty(0, bool)
    return pd.DataFrame(
        {
            "trajectory": index.astype(np.int32),
            "frame": frame.astype(np.int32),
            "time_s": times.seconds[frame],
            **{name: boxes[:, i].astype(np.int32) for i, name in enumerate(("x1", "y1", "x2", "y2"))},
            "detected": detected,
        }
    )


def faces_table(
    faces: Sequence[tuple[SavedFace, QualityRecord]],
    trajectory_of: Any,
    embeddings: Any,
    quality: Any,
    times: FrameTimes,
) -> Any:
    """Return one row per saved face, in the order of features.jsonl.

    Args:
        trajectory_of: (m,) index of the trajectory of each face, -1 for none.
        embeddings: (m, d), read-only.
        quality: (m,) 0..1.
    """
    frame = np.array([face.frame for face, _ in faces], np.int64)
    boxes = np.array([face.box for face, _ in faces], np.int64).reshape(-1, 4)
    return pd.DataFrame(
        {
            "tag": pd.array([face.tag for face, _ in faces], "str"),
            "trajectory": pd.array(
                [None if index < 0 else index for index in trajectory_of.tolist()], "Int64"
            ),
            "frame": frame,
            "time_s": times.seconds[frame],
            **{name: boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
            "quality": quality,
            "score": np.array([record.score for _, record in faces], float),
            "sharpness": np.array([record.sharpness for _, record in faces], float),
            "keypoints": pd.Series([face.keypoints for face, _ in faces], dtype=object),
            "embedding": pd.Series(list(embeddings), dtype=object),
        }
    )


def presence_table(trajectories: Any, people: Any, times: FrameTimes) -> Any:
    """Return one row for each longest interval inside a shot in which a person is on screen."""
    order = {person: rank for rank, person in enumerate(people["person"])}
    spans: dict[tuple[str, int], list[Span]] = defaultdict(list)
    for row in trajectories.dropna(subset="person").itertuples():
        spans[row.person, row.shot].append((row.begin, row.end))
    rows = [
        (begin, order[person], end, person, shot)
        for (person, shot), of_shot in spans.items()
        for begin, end in union(of_shot)
    ]
    rows.sort()
    begin = np.array([row[0] for row in rows], np.int64)
    end = np.array([row[2] for row in rows], np.int64)
    names = dict(zip(people["person"], people["name"], strict=True))
    return pd.DataFrame(
        {
            "person": pd.array([row[3] for row in rows], "str"),
            "name": pd.array([names[row[3]] for row in rows], "str"),
            "shot": np.array([row[4] for row in rows], np.int64),
            "begin": begin,
            "end": end,
            "begin_s": times.seconds[begin],
            "end_s": times.seconds[end],
        }
    )


def people_table(
    trajectories: Any, identities: Sequence[Identity | None], cast: Cast, height: int, times: FrameTimes
) -> Any:
    """Return one row per person, the longest on screen first, shared pages last.

    Args:
        trajectories: the table of trajectories.
        identities: of each trajectory.
        height: of the frame in pixels.
    """
    columns: dict[str, list[Any]] = defaultdict(list)
    for person, rows in trajectories.dropna(subset="person").groupby("person", sort=False):
        members = [one for index in rows["trajectory"] if (one := identities[index])]
        sources = [one.source for one in members]
        spans = union(list(zip(rows["begin"], rows["end"], strict=True)))
        frames = (rows["end"] - rows["begin"]).to_numpy()
        first, last = spans[0][0], spans[-1][1] - 1
        seconds = sum(float(times.between(begin, end)) for begin, end in spans)
        actor = members[0].actor_id
        member = cast.members.get(actor) if actor is not None else None
        values = {
            "person": person,
            "name": members[0].name,
            "actor_id": actor,
            "probability": max((_number(one.probability) for one in members), key=_missing_as_lowest),
            "source": min(sources, key=SOURCES.index),
            "shared": members[0].shared,
            "clusters": tuple(sorted(set(rows["cluster"].tolist()))),
            "n_trajectories": len(rows),
            "n_shots": rows["shot"].nunique(),
            "seconds": seconds,
            "share": seconds / times.duration,
            "mean_height": float(np.average(rows["mean_height"], weights=frames)),
            "face_height": float(np.average(rows["mean_height"], weights=frames)) / height,
            "first": first,
            "last": last,
            "first_s": float(times.seconds[first]),
            "last_s": float(times.seconds[last + 1]),
            "uri": " ".join(member.uris) if member else "",
        }
        for name, value in values.items():
            columns[name].append(value)
    table = pd.DataFrame({name: pd.array(columns[name], dtype) for name, dtype in _PEOPLE.items()})
    order = np.lexsort((table["first"], -table["seconds"], table["shared"]))
    return table.iloc[order].reset_index(drop=True)


_PEOPLE = {
    "person": "str", "name": "str", "actor_id": "str", "probability": "float64", "source": "str",
    "shared": "bool", "clusters": "object", "n_trajectories": "int64", "n_shots": "int64",
    "seconds": "float64", "share": "float64", "mean_height": "float64", "face_height": "float64",
    "first": "int64", "last": "int64", "first_s": "float64", "last_s": "float64", "uri": "str",
}  # fmt: skip


def co_presence_table(presence: Any, people: Any, times: FrameTimes) -> Any:
    """Return one row for each two people who are in a shot together; shared pages are left out."""
    order = {person: rank for rank, person in enumerate(people.loc[~people["shared"].astype(bool), "person"])}
    spans: dict[int, dict[str, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for row in presence.itertuples():
        if row.person in order:
            spans[row.shot][row.person].append((row.begin, row.end))
    found: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [0, 0, 0.0])
    for of_shot in spans.values():
        for one, other in combinations(sorted(of_shot, key=order.__getitem__), 2):
            pair = found[one, other]
            pair[0] += 1
            for begin, end in intersection(of_shot[one], of_shot[other]):
                pair[1] += end - begin
                pair[2] += float(times.between(begin, end))
    pairs = sorted(found, key=lambda pair: (-found[pair][2], -found[pair][0], *map(order.__getitem__, pair)))
    names = dict(zip(people["person"], people["name"], strict=True))
    return pd.DataFrame(
        {
            "person_a": pd.array([one for one, _ in pairs], "str"),
            "name_a": pd.array([names[one] for one, _ in pairs], "str"),
            "person_b": pd.array([other for _, other in pairs], "str"),
            "name_b": pd.array([names[other] for _, other in pairs], "str"),
            "shots": np.array([found[pair][0] for pair in pairs], np.int64),
            "frames": np.array([found[pair][1] for pair in pairs], np.int64),
            "seconds": np.array([found[pair][2] for pair in pairs], float),
        }
    )


def cast_table(cast: Cast) -> Any:
    """Return one row per actor of the movie."""
    members = list(cast.members.values())
    columns = {
        "actor_id": [one.actor_id for one in members],
        "name": [one.name for one in members],
        "role": [one.role for one in members],
        "uri": [" ".join(one.uris) for one in members],
    }
    return pd.DataFrame({name: pd.array(values, "str") for name, values in columns.items()})


def union(spans: Sequence[Span]) -> list[Span]:
    """Join overlapping and adjacent spans; returns them ascending."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


def intersection(one: Sequence[Span], other: Sequence[Span]) -> Iterator[Span]:
    """Yield the spans in which both of two ascending lists of disjoint spans are, ascending."""
    i = j = 0
    while i < len(one) and j < len(other):
        begin, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if begin < end:
            yield begin, end
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1


def _heights(one: Trajectory) -> Any:
    return one.boxes[:, 3] - one.boxes[:, 1]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _missing_as_lowest(probability: float) -> float:
    return -1.0 if probability != probability else probability
