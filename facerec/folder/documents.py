"""The files of the data folder that hold one JSON value: cuts, transitions, clusters and predictions.

Each `*_bytes` function checks what it returns with the parser that reads it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from facerec.folder.names import MAX_FRAME
from facerec.support.jsonl import is_int, read_json, require, require_keys

DISPLAY_THRESHOLD = 0.40  # annotators see the names with a probability above this
MIN_PROBABILITY = 0.05  # smaller probabilities are not written
TRANSITION_KINDS = ("cut", "dissolve", "wipe", "fade through black", "fade through white", "gradual")
_CLUSTER_ID = re.compile("0|[1-9][0-9]{0,8}")


def _document(value: object, key: str, movie_id: int) -> Any:
    """Return the value of `key` in an object that has exactly this key and the right `movie_id`."""
    record = require_keys(value, {key, "movie_id"})
    found = record["movie_id"]
    require(is_int(found) and found == movie_id, f"movie_id {found!r} in the folder of movie {movie_id}")
    return record[key]


def scene_changes_bytes(movie_id: int, cuts: Iterable[int]) -> bytes:
    """Return the contents of `scene_changes.json`.

    Args:
        cuts: first frame of each new shot, ascending.

    Raises:
        RuleViolation: the cuts are not ascending frame numbers above 0.
    """
    record = {"frame_indices": [int(cut) for cut in cuts], "movie_id": movie_id}
    _parse_scene_changes(record, movie_id)
    return orjson.dumps(record)


def read_scene_changes(path: Path, movie_id: int) -> list[int]:
    """Read the cuts of a film: the first frame of each new shot, ascending.

    Raises:
        ContractError: the file violates the contract.
    """
    return read_json(path, lambda value: _parse_scene_changes(value, movie_id))


def _parse_scene_changes(value: object, movie_id: int) -> list[int]:
    cuts = _document(value, "frame_indices", movie_id)
    require(
        isinstance(cuts, list) and all(is_int(cut) and 0 < cut <= MAX_FRAME for cut in cuts),
        "frame_indices must be frame numbers above 0",
    )
    require(all(a < b for a, b in pairwise(cuts)), "frame_indices must be ascending, without duplicates")
    return list(cuts)


class TransitionRecord(NamedTuple):
    """A transition of which `scene_changes.json` has the cut.

    Attributes:
        kind: one of `TRANSITION_KINDS`.
        begin, end: the frames that are of neither shot alone, half-open; both are `cut` for a hard cut.
        cut: the first frame that is more of the new shot.
    """

    kind: str
    begin: int
    end: int
    cut: int


def transitions_bytes(movie_id: int, transitions: Iterable[TransitionRecord]) -> bytes:
    """Return the contents of `transitions.json`.

    Raises:
        RuleViolation: the transitions violate the format.
    """
    record = {"movie_id": movie_id, "transitions": [one._asdict() for one in transitions]}
    _parse_transitions(record, movie_id)
    return orjson.dumps(record)


def read_transitions(path: Path, movie_id: int) -> list[TransitionRecord]:
    """Read the transitions of a film, in its order.

    Raises:
        ContractError: the file violates its format.
    """
    return read_json(path, lambda value: _parse_transitions(value, movie_id))


def _parse_transitions(value: object, movie_id: int) -> list[TransitionRecord]:
    records = _document(value, "transitions", movie_id)
    require(isinstance(records, list), "transitions must be a list")
    transitions = [_transition(one) for one in records]
    require(all(a.cut < b.cut for a, b in pairwise(transitions)), "the cuts of the transitions must ascend")
    return transitions


def _transition(value: object) -> TransitionRecord:
    one = TransitionRecord(**require_keys(value, set(TransitionRecord._fields)))
    require(one.kind in TRANSITION_KINDS, f"kind must be one of {', '.join(TRANSITION_KINDS)}")
    known = all(is_int(frame) and 0 < frame <= MAX_FRAME for frame in one[1:])
    require(known, "begin, cut and end must be frame numbers above 0")
    require(one.begin <= one.cut <= one.end, "begin, cut and end must not descend")
    require((one.begin == one.end) == (one.kind == TRANSITION_KINDS[0]), "only a cut has no frames")
    return one


def clusters_bytes(movie_id: int, labels: Iterable[int]) -> bytes:
    """Return the contents of `clusters.json`.

    Args:
        labels: cluster of each trajectory, in the order of the trajectories.

    Raises:
        RuleViolation: the labels are not 0..n-1.
    """
    record = {"clusters": [int(label) for label in labels], "movie_id": movie_id}
    _parse_clusters(record, movie_id, None)
    return orjson.dumps(record)


def read_clusters(path: Path, movie_id: int, trajectories: int | None = None) -> list[int]:
    """Read the cluster of each trajectory.

    Args:
        trajectories: how many there must be; None to accept any number.

    Raises:
        ContractError: the file violates the contract.
    """
    return read_json(path, lambda value: _parse_clusters(value, movie_id, trajectories))


def _parse_clusters(value: object, movie_id: int, trajectories: int | None) -> list[int]:
    labels = _document(value, "clusters", movie_id)
    require(isinstance(labels, list) and all(map(is_int, labels)), "clusters must be a list of ints")
    if trajectories is not None:
        require(
            len(labels) == trajectories,
            f"{len(labels)} clusters for {trajectories} trajectories; there must be one for each",
        )
    dense = "cluster ids must be dense, 0..n-1"
    require(all(0 <= label < len(labels) for label in labels), dense)
    sizes = np.bincount(np.array(labels, np.int64))
    require(bool((sizes > 0).all()), dense)
    return list(labels)


Predictions = Mapping[int, Mapping[str, float]]  # probability by actor id, by cluster


def shown_actor(
    probabilities: Mapping[str, float], least: float = DISPLAY_THRESHOLD
) -> tuple[str, float] | None:
    """Return the most likely actor of a cluster with its probability.

    Args:
        probabilities: by actor id.
        least: an actor needs a probability above this.

    Returns:
        None if no actor is that likely, or two are equally likely.
    """
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])[:2]
    likely = [(actor, p) for actor, p in ranked if p > least]
    return likely[0] if likely and len({p for _, p in likely}) == len(likely) else None


def predictions_bytes(movie_id: int, predictions: Predictions) -> bytes:
    """Return the contents of `predictions.json`, the probabilities rounded and small ones left out.

    Raises:
        RuleViolation: the predictions violate the contract.
    """
    rounded = {
        str(cluster): {
            actor: round(p, 5)
            for actor, p in sorted(names.items(), key=lambda item: (-item[1], item[0]))
            if round(p, 5) >= MIN_PROBABILITY
        }
        for cluster, names in sorted(predictions.items())
    }
    record = {"movie_id": movie_id, "predictions": rounded}
    _parse_predictions(record, movie_id, None)
    return orjson.dumps(record)


def read_predictions(path: Path, movie_id: int, clusters: int | None = None) -> dict[int, dict[str, float]]:
    """Read the probabilities of actors, by cluster.

    Args:
        clusters: how many clusters there must be; None to accept any number.

    Raises:
        ContractError: the file violates the contract.
    """
    return read_json(path, lambda value: _parse_predictions(value, movie_id, clusters))


def _parse_predictions(value: object, movie_id: int, clusters: int | None) -> dict[int, dict[str, float]]:
    predictions = _document(value, "predictions", movie_id)
    require(isinstance(predictions, dict), "predictions must be an object by cluster id")
    if clusters is not None:
        require(
            predictions.keys() == {str(c) for c in range(clusters)},
            f"there must be one entry for each of the {clusters} clusters",
        )
    for cluster, names in predictions.items():
        require(_CLUSTER_ID.fullmatch(cluster) is not None, f"{cluster!r} is not a cluster id")
        require(isinstance(names, dict), f"cluster {cluster}: its value must be an object by actor id")
        for actor, p in names.items():
            require(
                0 < len(actor) <= 64, f"cluster {cluster}: actor id {actor!r} is not 1 to 64 characters long"
            )
            require(
                isinstance(p, float) or (is_int(p) and p in (0, 1)),
                f"cluster {cluster}: {p!r} is not a probability",
            )
            require(
                MIN_PROBABILITY <= p <= 1,
                f"cluster {cluster}: probability {p} is not in {MIN_PROBABILITY}..1",
            )
            require(round(p, 5) == p, f"cluster {cluster}: probability {p} has more than 5 decimals")
        require(sum(names.values()) <= 1.0001, f"cluster {cluster}: the probabilities add up to more than 1")
    return {int(cluster): dict(names) for cluster, names in predictions.items()}
