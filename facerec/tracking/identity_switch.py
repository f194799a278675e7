"""Splits tracks at identity switches, which embeddings show and boxes do not.

When two people pass each other and the detector misses one of them, or one shot dissolves into the next,
the boxes can move like one face. The embeddings then change from one person's to another's. A face that turns
away, is blurred or is covered changes as well, but less, or its embeddings are far from each other too; such
a track must not be split.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec.geometry import iou
from facerec.settings import SplitSettings
from facerec.tracking.motion import Floats, Ints
from facerec.tracking.tracker import Track

_MAX_FACES = 1000  # of a track that are compared with each other; bounds time and memory
# of a segment, as a share of the gain of the smallest change that counts: more segments than people
_PENALTY = 0.5


def split_by_appearance(
    track: Track,
    frames: ArrayLike,
    embeddings: ArrayLike,
    same_person: float,
    settings: SplitSettings | None = None,
) -> list[Track]:
    """Split a track where its embeddings change from one person to another.

    First the faces are divided into segments of similar embeddings, more than there are people; then
    neighbouring segments of one person are joined. So a person who comes back, or three people in turn, are
    found too, and the blended faces of a dissolve, which belong to nobody, hide no change: they join the
    side that they resemble or become a part of their own.

    - Segments: optimal partitioning (B. Jackson et al., "An algorithm for optimal partitioning of data on an
      interval", IEEE Signal Processing Letters 12, 2005) of the sum of squared distances from the segments'
      means, with a penalty for each segment below the gain of the smallest change that counts.
    - Joining: two neighbours are two people if the median distance between them is that of two people, and
      the median distance within each that of one person; medians, so that a few bad faces change nothing.
      Of all other neighbours those with the smallest median distance are joined first, and so on.

    The boxes decide where between the last face before a change and the first one after it the track is
    split: where they overlap least.

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
    changes = _change_points(distances, same_person, settings or SplitSettings())
    splits = [_least_overlap(track, times[k - 1], times[k]) for k in changes]
    return [
        Track(track.frames[a:b], track.boxes[a:b], track.detection_ids[a:b])
        for a, b in zip([0, *splits], [*splits, len(track)], strict=True)
    ]


def _change_points(distances: Floats, same_person: float, settings: SplitSettings) -> list[int]:
    """The first face of each new person, in order of time, from the (m, m) distances of all faces."""
    gain = settings.min_between**2 - settings.max_within**2  # of two means, squared, in `same_person` squared
    penalty = _PENALTY * settings.min_faces / 2 * max(gain, 0) * same_person**2
    starts = _segments(distances, settings.min_faces, penalty)
    return _join(distances, starts, same_person * settings.min_between, same_person * settings.max_within)


def _segments(distances: Floats, min_faces: int, penalty: float) -> list[int]:
    """The first face of each segment of the optimal partition into segments of at least `min_faces` faces.

    The cost of a segment is its faces' sum of squared distances from their mean, plus `penalty`. Takes
    O(m²) time for (m, m) distances.
    """
    m = len(distances)
    sums = np.pad(np.square(distances).cumsum(0).cumsum(1), (1, 0))  # of all above and to the left
    diagonal = sums.diagonal()
    cost, last = np.full(m + 1, np.inf), np.zeros(m + 1, np.int64)  # of the first k faces; their last segment
    cost[0] = 0
    for end in range(min_faces, m + 1):
        begin = np.arange(end - min_faces + 1)
        scatter = (diagonal[end] - 2 * sums[begin, end] + diagonal[begin]) / (2 * (end - begin))
        total = cost[begin] + scatter + penalty
        last[end] = np.argmin(total)
        cost[end] = total[last[end]]
    starts, end = [], m
    while end:
        end = int(last[end])
        starts.append(end)
    return starts[::-1]


def _join(distances: Floats, starts: list[int], min_between: float, max_within: float) -> list[int]:
    """Join neighbouring segments of one person, the most similar first.

    Returns:
        The starts of all joined segments but the first.
    """
    ends = [*starts[1:], len(distances)]
    segments = [_Segment(distances, begin, end) for begin, end in zip(starts, ends, strict=True)]
    between = [a.distance_to(b) for a, b in pairwise(segments)]
    while True:
        two_people = [
            far >= min_between and max(a.within, b.within) <= max_within
            for far, (a, b) in zip(between, pairwise(segments), strict=True)
        ]
        one_person = [i for i, two in enumerate(two_people) if not two]
        if not one_person:
            return [segment.begin for segment in segments[1:]]
        i = min(one_person, key=between.__getitem__)
        segments[i : i + 2] = [_Segment(distances, segments[i].begin, segments[i + 1].end)]
        near = range(max(0, i - 1), min(i + 1, len(segments) - 1))  # the pairs with the joined segment
        between[max(0, i - 1) : i + 2] = [segments[k].distance_to(segments[k + 1]) for k in near]


@dataclass(frozen=True)
class _Segment:
    """The faces `begin`..`end` of a track, with the (m, m) distances of all its faces."""

    distances: Floats
    begin: int
    end: int

    @cached_property
    def within(self) -> float:
        """The median distance of two of its faces."""
        return _median_distance(self.distances[self.begin : self.end, self.begin : self.end])

    def distance_to(self, later: _Segment) -> float:
        """The median distance of a face from a face of a later segment."""
        return float(np.median(self.distances[self.begin : self.end, later.begin : later.end]))


def _median_distance(distances: NDArray[np.float64]) -> float:
    """The median of the distances between two faces, from their (m, m) table; 0 for a single face."""
    pairs = distances[np.triu_indices(len(distances), 1)]
    return float(np.median(pairs)) if len(pairs) else 0.0


def _least_overlap(track: Track, before: int, after: int) -> int:
    """The index, after frame `before` and up to `after`, of the box that overlaps its predecessor least."""
    a, b = np.searchsorted(track.frames, [before, after])
    candidates: Ints = np.arange(a + 1, b + 1)
    return int(candidates[np.argmin(iou(track.boxes[candidates - 1], track.boxes[candidates]))])
