"""The documents of the data folder that are one JSON value each: cuts, clusters, names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from facerec.folder.names import MAX_FRAME
from facerec.support.jsonl import is_int, read_json, require, require_keys

DISPLAY_THRESHOLD = 0.40  # a name's probability above which, strictly, the annotator sees it
_CLUSTER = re.compile("0|[1-9][0-9]{0,8}")
MIN_PROBABILITY = 0.05  # a probability that is not written down


def _document(value: object, key: str, movie_id: int) -> Any:
    """What stands under `key` beside the movie's id."""
    record = require_keys(value, {key, "movie_id"})
    found = record["movie_id"]
    require(is_int(found) and found == movie_id, f"movie_id {found!r} in the folder of movie {movie_id}")
    return record[key]


def scene_changes_bytes(movie_id: int, cuts: Iterable[int]) -> bytes:
    """`scene_changes.json`: the first frame of each new shot."""
    record = {"frame_indices": [int(cut) for cut in cuts], "movie_id": movie_id}
    _parse_scene_changes(record, movie_id)
    return orjson.dumps(record)


def read_scene_changes(path: Path, movie_id: int) -> list[int]:
    """The first frame of each new shot, ascending."""
    return read_json(path, lambda value: _parse_scene_changes(value, movie_id))


def _parse_scene_changes(value: object, movie_id: int) -> list[int]:
    cuts = _document(value, "frame_indices", movie_id)
    require(
        isinstance(cuts, list) and all(is_int(cut) and 0 < cut <= MAX_FRAME for cut in cuts),
        "frame_indices must be frame numbers above 0",
    )
    require(all(a < b for a, b in pairwise(cuts)), "frame_indices must ascend, each once")
    return list(cuts)


def clusters_bytes(movie_id: int, labels: Iterable[int]) -> bytes:
    """`clusters.json`: the cluster of each trajectory, in line order."""
    record = {"clusters": [int(label) for label in labels], "movie_id": movie_id}
    _parse_clusters(record, movie_id, None)
    return orjson.dumps(record)


def read_clusters(path: Path, movie_id: int, trajectories: int | None = None) -> list[int]:
    """The cluster of each of the `trajectories` (checked where given)."""
    return read_json(path, lambda value: _parse_clusters(value, movie_id, trajectories))


def _parse_clusters(value: object, movie_id: int, trajectories: int | None) -> list[int]:
    labels = _document(value, "clusters", movie_id)
    require(isinstance(labels, list) and all(map(is_int, labels)), "clusters must be a list of ints")
    if trajectories is not None:
        require(
            len(labels) == trajectories,
            f"{len(labels)} clusters for {trajectories} trajectories; there is one each",
        )
    dense = "cluster ids must be dense, 0..n-1"
    require(all(0 <= label < len(labels) for label in labels), dense)
    sizes = np.bincount(np.array(labels, np.int64))
    require(bool((sizes > 0).all()), dense)
    require(bool((np.diff(sizes) <= 0).all()), "the biggest cluster comes first")
    return list(labels)


Predictions = Mapping[int, Mapping[str, float]]


def predictions_bytes(movie_id: int, predictions: Predictions) -> bytes:
    """`predictions.json`: for every cluster the probabilities of actors, rounded, the small ones left out."""
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
    """Probabilities of actors by cluster; exactly the ids 0..`clusters`-1 (checked where given)."""
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
        require(_CLUSTER.fullmatch(cluster) is not None, f"{cluster!r} is no cluster id")
        require(isinstance(names, dict), f"cluster {cluster}: an object by actor id is expected")
        for actor, p in names.items():
            require(
                0 < len(actor) <= 64, f"cluster {cluster}: actor id {actor!r} is not 1 to 64 characters long"
            )
            require(
                isinstance(p, float) or (is_int(p) and p in (0, 1)),
                f"cluster {cluster}: {p!r} is no probability",
            )
            require(
                MIN_PROBABILITY <= p <= 1,
                f"cluster {cluster}: probability {p} is not in {MIN_PROBABILITY}..1",
            )
            require(round(p, 5) == p, f"cluster {cluster}: probability {p} has more than 5 decimals")
        require(sum(names.values()) <= 1.0001, f"cluster {cluster}: the probabilities add up to more than 1")
    return {int(cluster): dict(names) for cluster, names in predictions.items()}
