"""Tracking by detection: which boxes of a shot are the same face. Numbers only, no pixels.

The whole film is at hand, so nothing is decided online. Boxes grow into trajectories in rounds, the
hierarchical association of C. Huang, B. Wu, R. Nevatia, "Robust object tracking by hierarchical
association of detection responses" (ECCV 2008): neighbouring frames first, then ever longer gaps, so
that a face seen a moment ago goes before one that is merely expected at that place. In each round the
ends of trajectories are matched with the beginnings of later ones by an optimal assignment (H. W. Kuhn,
"The Hungarian method", 1955). `motion` says how well two ends explain each other. Where nothing fits, a
trajectory ends: two pieces of one person are put together later, two people in one trajectory never come
apart.

Every length is relative to the face's size, so near and far faces are treated alike. Each pair is judged
by + - * / of its own numbers, and what is summed over pairs is rounded to whole numbers first. So all
machines agree, and neither another shot nor the order of a frame's boxes can change a result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec.geometry import iou
from facerec.settings import TrackSettings
from facerec.tracking.motion import Floats, Ints, filtered, unlikeness

_SUDDEN = 2  # missed frames up to which no stranger is likely to have come, so that a face may leap,
_LEAP = 1.75  # by this many times what is allowed later;
_LONE_LEAP = 1.25  # less to or from a box that is all alone, for it may be no face:
_LONE_REACH = 0.9  # such a box is always looked at more closely,
_LONE = 1  # and two of them are no trajectory at all where more frames than this lie between them
_PAIRS_AT_ONCE = 1 << 20  # bounds memory where hundreds of faces share a frame


@dataclass(frozen=True, eq=False)
class Track:
    """One face through one shot.

    Attributes:
        frames: (n,) frames in which it was detected, strictly increasing.
        boxes: (n, 4) x1, y1, x2, y2 in pixels.
        ids: (n,) index of each detection in what `track` was given.
    """

    frames: Ints
    boxes: Floats
    ids: Ints

    def __len__(self) -> int:
        return len(self.frames)


def track(
    frames: ArrayLike, boxes: ArrayLike, cuts: Sequence[int] = (), settings: TrackSettings | None = None
) -> list[Track]:
    """Link the detections of a film into trajectories.

    Args:
        frames: (n,) int, the frame of each detection, in any order.
        boxes: (n, 4) x1, y1, x2, y2 in pixels.
        cuts: the first frame of each new shot, in any order.
        settings: see `TrackSettings`.

    Returns:
        Trajectories sorted by first frame, then by first box. Each detection is in exactly one, none
        crosses a cut, and none has a gap of more than `settings.max_gap` frames.
    """
    settings = settings or TrackSettings()
    all_frames, all_boxes = (
        np.asarray(frames, np.int64).reshape(-1),
        np.asarray(boxes, np.float64).reshape(-1, 4),
    )
    if len(all_frames) != len(all_boxes):
        raise ValueError(f"{len(all_frames)} frames for {len(all_boxes)} boxes")
    order = np.lexsort((*all_boxes.T[::-1], all_frames))  # so that the order of the input means nothing
    found = _Detections(all_frames[order], all_boxes[order], cuts)
    links = _Links(len(order))
    links.add(*_match(*_neighbours(found, settings)))
    for longest, leaps in _rounds(settings.max_gap):
        earlier, later = _match(*_bridges(found, links, longest, leaps, settings))
        now = found.frames[later] - found.frames[earlier] - 1 <= longest  # the others wait for their round
        links.add(earlier[now], later[now])
    return [
        Track(found.frames[chain], found.boxes[chain], order[chain].astype(np.int64))
        for chain in links.chains()
    ]


def interpolate(track: Track) -> tuple[int, Floats, NDArray[np.bool_]]:
    """Fill the gaps of a trajectory linearly between the two detected ends of each.

    Returns:
        Its first frame; (len, 4) boxes of that and all following frames; (len,) whether each was detected,
        of which the first and the last always were.
    """
    start = int(track.frames[0])
    every = np.arange(start, int(track.frames[-1]) + 1)
    boxes = np.stack([np.interp(every, track.frames, edge) for edge in track.boxes.T], axis=1)
    detected = np.zeros(len(every), bool)
    detected[track.frames - start] = True
    return start, boxes, detected


class _Detections:
    """All boxes of a film in order of frame: shot, centre and size of each."""

    def __init__(self, frames: Ints, boxes: Floats, cuts: Sequence[int]) -> None:
        self.frames, self.boxes = frames, boxes
        self.shots = np.searchsorted(np.unique(np.asarray(cuts, np.int64)), frames, side="right")
        x1, y1, x2, y2 = boxes.T
        size = np.maximum(((x2 - x1) + (y2 - y1)) / 2, 1.0)
        self.state = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, size], axis=1)  # what moves: x, y, size


class _Links:
    """Which detection follows which: a growing set of disjoint chains."""

    def __init__(self, n: int) -> None:
        self.after = np.full(n, -1)
        self.before = np.full(n, -1)

    def add(self, earlier: Ints, later: Ints) -> None:
        self.after[earlier] = later
        self.before[later] = earlier

    def chains(self) -> list[Ints]:
        """The chains, each in order of time, sorted by their first detection."""
        label = np.cumsum(self.before < 0) - 1  # right where a chain begins
        found: list[int] = label.tolist()
        for i, previous in enumerate(self.before.tolist()):  # links go forward in time, so one pass will do
            if previous >= 0:
                found[i] = found[previous]
        order = np.argsort(found, kind="stable")
        counts = np.bincount(np.asarray(found, np.int64))
        return [chain for chain in np.split(order, np.cumsum(counts)) if len(chain)]


def _rounds(max_gap: int) -> Iterator[tuple[int, bool]]:
    """Longest gap, in frames, of each round (0, 1, 3, 7, … and last of all `max_gap`); whether faces leap.

    No face leaps to where another one fits, even a moment later: two that are missed in turn would be
    taken for one that jumps to and fro. Nor does one that comes back a moment later: see `_bridges`.
    """
    longest = 0
    yield longest, False
    while True:
        longest = min(2 * longest + 1, max_gap)
        yield longest, False
        yield longest, True
        if longest == max_gap:
            return


def _pairs(end: Ints, begin: Ints, longest: int) -> Iterator[tuple[Ints, Ints]]:
    """Pairs (i, j) where the frame `begin[j]` follows `end[i]` by a gap of at most `longest` frames.

    `begin` is sorted. Comes in pieces of about `_PAIRS_AT_ONCE`.
    """
    low, high = begin.searchsorted(end, side="right"), begin.searchsorted(end + 1 + longest, side="right")
    total = np.cumsum(high - low)
    for piece in np.split(np.arange(len(end)), np.flatnonzero(np.diff(total // _PAIRS_AT_ONCE)) + 1):
        count = (high - low)[piece]
        first = np.cumsum(count) - count
        yield np.repeat(piece, count), np.arange(count.sum()) + np.repeat(low[piece] - first, count)


def _neighbours(found: _Detections, settings: TrackSettings) -> tuple[Ints, Ints, Floats]:
    """Candidate links of the first round: boxes of neighbouring frames that overlap."""
    kept = []
    for a, b in _pairs(found.frames, found.frames, 0):
        overlap = iou(found.boxes[a], found.boxes[b])
        good = (overlap >= settings.iou_threshold) & (found.shots[a] == found.shots[b])
        kept.append((a[good], b[good], overlap[good]))
    a, b, worth = (np.concatenate(part) for part in zip(*kept, strict=True))
    return a, b, worth


def _bridges(
    found: _Detections, links: _Links, longest: int, leaps: bool, settings: TrackSettings
) -> tuple[Ints, Ints, Floats]:
    """Candidate links of a later round: ends and beginnings whose motions meet in the middle of the gap.

    Where faces may leap over a gap of at most `longest` frames, whoever fits without a leap is a candidate
    too, after however long a gap: a place that is not taken is no proof that its owner does not come back.
    """
    tails, heads = np.flatnonzero(links.after < 0), np.flatnonzero(links.before < 0)
    going = filtered(found.state, found.frames, tails, links.before)
    coming = filtered(found.state, found.frames, heads, links.after)
    kept = []
    for i, j in _pairs(found.frames[tails], found.frames[heads], settings.max_gap if leaps else longest):
        same = found.shots[tails[i]] == found.shots[heads[j]]
        i, j = i[same], j[same]
        step = found.frames[heads[j]] - found.frames[tails[i]]
        alone = links.before[tails[i]] < 0, links.after[heads[j]] < 0
        either = alone[0] | alone[1]
        reach = settings.reach * np.where(either, _LONE_REACH, 1.0)
        sudden = leaps & (step - 1 <= min(longest, _SUDDEN))
        reach *= np.where(sudden, np.where(either, _LONE_LEAP, _LEAP), 1.0)
        miss = unlikeness(going, i, coming, j, step) / (reach * reach)
        good = (miss <= 1) & ~(alone[0] & alone[1] & (step - 1 > _LONE))
        kept.append((tails[i[good]], heads[j[good]], 2 - miss[good]))  # a poor link is better than none
    a, b, worth = (np.concatenate(part) for part in zip(*kept, strict=True))
    return a, b, worth


def _match(a: Ints, b: Ints, worth: Floats) -> tuple[Ints, Ints]:
    """The one-to-one choice among the candidate links a → b, (n,) each, of the largest total worth (> 0).

    Most links have no rival; only the knots of rivals need the assignment algorithm, each knot by itself.
    """
    _, i, ends = np.unique(a, return_inverse=True, return_counts=True)
    _, j, begins = np.unique(b, return_inverse=True, return_counts=True)
    rivals = (ends[i] > 1) | (begins[j] > 1)
    chosen = np.concatenate([np.flatnonzero(~rivals), *_untangled(i, j, worth, np.flatnonzero(rivals))])
    return a[chosen], b[chosen]


def _untangled(i: Ints, j: Ints, worth: Floats, rivals: Ints) -> Iterator[Ints]:
    """Of the `rivals` among the links `i` → `j`, (n,) each from 0, those to choose, knot by knot."""
    if not len(rivals):
        return
    from scipy.optimize import linear_sum_assignment  # half a second, which most shards can do without
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = int(i.max()) + 1 + int(j.max()) + 1
    ends = i[rivals], j[rivals] + int(i.max()) + 1
    graph = coo_array((np.ones(len(rivals)), ends), shape=(size, size))
    knot = connected_components(graph, directed=False)[1][ends[0]]
    order = np.argsort(knot, kind="stable")
    for links in np.split(rivals[order], np.flatnonzero(np.diff(knot[order])) + 1):
        r, row = np.unique(i[links], return_inverse=True)
        c, column = np.unique(j[links], return_inverse=True)
        table = np.zeros((len(r), len(c)))
        table[row, column] = np.rint(worth[links] * 1e6)  # whole numbers: sums are exact everywhere
        which = np.full(table.shape, -1)
        which[row, column] = links
        picked = which[linear_sum_assignment(table, maximize=True)]
        yield picked[picked >= 0]
