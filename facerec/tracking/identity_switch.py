"""Splits tracks at identity switches, which embeddings show and boxes do not.

When two people pass each other and the detector misses one of them, their boxes can move like one face. The
embeddings then change once and do not change back. A face that turns away, is blurred or is covered
changes as well, but it changes back, or its embeddings are far from each other too; such a track must not be
split.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec.geometry import iou
from facerec.settings import SplitSettings
from facerec.tracking.motion import Floats, Ints
from facerec.tracking.tracker import Track

_MAX_FACES = 1000  # of a track that are compared with each other; bounds time and memory


def split_by_appearance(
    track: Track,
    frames: ArrayLike,
    embeddings: ArrayLike,
    same_person: float,
    settings: SplitSettings | None = None,
) -> list[Track]:
    """Split a track where its embeddings change from one person to another.

    Binary segmentation with an energy statistic (D. S. Matteson, N. A. James, "A nonparametric approach
    for multiple change point analysis of multivariate data", JASA 109, 2014, section 2; without its
    weights, which favour the middle): a change point maximises the mean distance between the two sides
    less the mean distances within each. It counts as a switch if also the median distance between the
    sides is that of two people, and the median distance within each side that of one person; medians, so
    that a few bad faces change nothing. The boxes decide where between the last face before the change
    and the first one after it the track is split: where they overlap least.

    Args:
        frames: (m,) frames of the track's embedded faces, strictly increasing.
        embeddings: (m, d), L2-normalised.
        same_person: Euclidean distance at which two faces are as likely one person as two.

    Returns:
        The track itself, or its parts in order of time.

    Raises:
        ValueError: frames and embeddings differ in number, or the frames are not ascending frames of the
            track.
    """
    times, vectors = np.asarray(frames, np.int64), np.asarray(embeddings, np.float64)
    if len(times) != len(vectors):
        raise ValueError(f"{len(times)} frames for {len(vectors)} embeddings")
    if not len(times):
        return [track]
    if (np.diff(times) <= 0).any() or not np.isin(times, track.frames).all():
        raise ValueError("the frames of the embeddings must be ascending frames of the track")
    step = -(-len(times) // _MAX_FACES)
    times, vectors = times[::step], vectors[::step]
    distances = np.sqrt(np.maximum(2 - 2 * (vectors @ vectors.T), 0))
    changes = _change_points(distances, 0, len(times), same_person, settings or SplitSettings())
    splits = [_least_overlap(track, times[k - 1], times[k]) for k in changes]
    return [
        Track(track.frames[a:b], track.boxes[a:b], track.detection_ids[a:b])
        for a, b in zip([0, *splits], [*splits, len(track)], strict=True)
    ]


def _change_points(
    distances: Floats, beg: int, end: int, same_person: float, settings: SplitSettings
) -> Iterator[int]:
    """The first face of each new person among the faces `beg`..`end`, in order of time."""
    change = _best_change_point(distances[beg:end, beg:end], settings.min_faces)
    if change is None:
        return
    change += beg
    between = np.median(distances[beg:change, change:end])
    within = max(
        _median_distance(distances[beg:change, beg:change]),
        _median_distance(distances[change:end, change:end]),
    )
    if between < same_person * settings.min_between or within > same_person * settings.max_within:
        return
    yield from _change_points(distances, beg, change, same_person, settings)
    yield change
    yield from _change_points(distances, change, end, same_person, settings)


def _best_change_point(distances: Floats, min_faces: int) -> int | None:
    """The index of the second side's first face, where the energy statistic is largest.

    Each side has at least `min_faces` faces; None where there are too few.
    """
    n = len(distances)
    left = np.arange(min_faces, n - min_faces + 1)
    if not len(left):
        return None
    right = n - left
    sums = np.pad(distances.cumsum(0).cumsum(1), (1, 0))  # of all distances above and to the left
    first, across = sums[left, left], sums[left, n] - sums[left, left]
    second = sums[n, n] - first - 2 * across
    within = first / (left * np.maximum(left - 1, 1)) + second / (right * np.maximum(right - 1, 1))
    return int(left[np.argmax(2 * across / (left * right) - within)])


def _median_distance(distances: NDArray[np.float64]) -> float:
    """The median of the distances between two faces, from their (m, m) table; 0 for a single face."""
    pairs = distances[np.triu_indices(len(distances), 1)]
    return float(np.median(pairs)) if len(pairs) else 0.0


def _least_overlap(track: Track, before: int, after: int) -> int:
    """The index, after frame `before` and up to `after`, of the box that overlaps its predecessor least."""
    a, b = np.searchsorted(track.frames, [before, after])
    candidates: Ints = np.arange(a + 1, b + 1)
    return int(candidates[np.argmin(iou(track.boxes[candidates - 1], track.boxes[candidates]))])
