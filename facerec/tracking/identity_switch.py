"""Where a trajectory goes on with another person: boxes cannot tell, faces can.

Two people who pass each other while a detector misses one of them may leave boxes that move like one
face. Their embeddings then change once, and for good. A face that turns away, is blurred or is covered
changes too, but comes back, or is far from itself as well; it must not be split.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec.geometry import iou
from facerec.settings import SplitSettings
from facerec.tracking.motion import Floats, Ints
from facerec.tracking.tracker import Track

_MOST_FACES = 1000  # of a trajectory that are compared with each other; bounds time and memory


def split_by_appearance(
    track: Track,
    frames: ArrayLike,
    embeddings: ArrayLike,
    same_person: float,
    settings: SplitSettings | None = None,
) -> list[Track]:
    """Split a trajectory where its embeddings say that the person changed.

    Binary segmentation with an energy statistic (D. S. Matteson, N. A. James, "A nonparametric approach
    for multiple change point analysis of multivariate data", JASA 109, 2014, section 2; without its
    weights, which favour the middle): the change is where faces are farther from those on the other side
    than from their own side's, on average. They are two people if, moreover, the median distance across
    it is a stranger's, while it is one person's within each side; medians, so that a few bad faces decide
    nothing. Between the last face before the change and the first after it the boxes decide: the
    trajectory is split where they overlap least.

    Args:
        frames: (m,) frames of the trajectory's embedded faces, strictly increasing, all its own.
        embeddings: (m, d) of Euclidean length 1.
        same_person: distance between two faces below which they are one person, the embedder's.

    Returns:
        The trajectory itself, or its pieces in order of time.
    """
    times, vectors = np.asarray(frames, np.int64), np.asarray(embeddings, np.float64)
    if len(times) != len(vectors):
        raise ValueError(f"{len(times)} frames for {len(vectors)} embeddings")
    if not len(times):
        return [track]
    if (np.diff(times) <= 0).any() or not np.isin(times, track.frames).all():
        raise ValueError("the embedded faces are not the trajectory's own, in order of time")
    every = -(-len(times) // _MOST_FACES)
    times, vectors = times[::every], vectors[::every]
    distances = np.sqrt(np.maximum(2 - 2 * (vectors @ vectors.T), 0))
    changes = _changes(distances, 0, len(times), same_person, settings or SplitSettings())
    places = [_least_overlap(track, times[k - 1], times[k]) for k in changes]
    return [
        Track(track.frames[a:b], track.boxes[a:b], track.ids[a:b])
        for a, b in zip([0, *places], [*places, len(track)], strict=True)
    ]


def _changes(
    distances: Floats, beg: int, end: int, same_person: float, settings: SplitSettings
) -> Iterator[int]:
    """The faces among `beg`..`end` with which another person begins, in order of time."""
    change = _best_change(distances[beg:end, beg:end], settings.min_faces)
    if change is None:
        return
    change += beg
    between = np.median(distances[beg:change, change:end])
    within = max(_spread(distances[beg:change, beg:change]), _spread(distances[change:end, change:end]))
    if between < same_person * settings.stranger or within > same_person * settings.own:
        return
    yield from _changes(distances, beg, change, same_person, settings)
    yield change
    yield from _changes(distances, change, end, same_person, settings)


def _best_change(distances: Floats, least: int) -> int | None:
    """The index from which the second of two sides begins, of at least `least` faces each, that are
    farthest apart for how far they spread; None where there are too few faces."""
    n = len(distances)
    left = np.arange(least, n - least + 1)
    if not len(left):
        return None
    right = n - left
    sums = np.pad(distances.cumsum(0).cumsum(1), (1, 0))  # of all distances above and to the left
    first, across = sums[left, left], sums[left, n] - sums[left, left]
    second = sums[n, n] - first - 2 * across
    within = first / (left * np.maximum(left - 1, 1)) + second / (right * np.maximum(right - 1, 1))
    return int(left[np.argmax(2 * across / (left * right) - within)])


def _spread(distances: NDArray[np.float64]) -> float:
    """Median distance between two faces of one side; 0 for a single face."""
    pairs = distances[np.triu_indices(len(distances), 1)]
    return float(np.median(pairs)) if len(pairs) else 0.0


def _least_overlap(track: Track, before: int, after: int) -> int:
    """Index of the detection after frame `before`, up to `after`, that overlaps the one before it least."""
    a, b = np.searchsorted(track.frames, [before, after])
    steps: Ints = np.arange(a + 1, b + 1)
    return int(steps[np.argmin(iou(track.boxes[steps - 1], track.boxes[steps]))])
