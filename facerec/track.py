"""Tracking by detection: which boxes of a shot are the same face. Numbers only, no pixels.

The whole film is at hand, so nothing is decided online. Boxes grow into trajectories in rounds, the
hierarchical association of C. Huang, B. Wu, R. Nevatia, "Robust object tracking by hierarchical
association of detection responses" (ECCV 2008): neighbouring frames first, then ever longer gaps.
In each round the ends of trajectories are matched with the beginnings of later ones by an optimal
assignment (H. W. Kuhn, "The Hungarian method", 1955), where a link must be explained by the motion on
both sides: a constant-velocity Kalman filter runs over the last boxes of the one, forwards, and over the
first boxes of the other, backwards, and both predict the face in the middle of the gap (the two-filter
form of smoothing, D. C. Fraser, J. E. Potter, 1969). A face seen in the frame before therefore always
goes before one that is merely expected there, and where nothing fits a trajectory ends.

Every length is relative to the face's size, so near and far faces are treated alike. Only + - * / of
IEEE numbers decide, each computed for one pair on its own, so all machines agree and no shot,
and no order of a frame's boxes, can change another's result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec.settings import TrackSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_WINDOW = 12  # boxes at an end that say where the face is going
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
    for longest in _rounds(settings.max_gap):
        links.add(*_match(*_bridges(found, links, longest, settings)))
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

    def iou(self, a: Ints, b: Ints) -> Floats:
        """(n,) intersection over union of the boxes `a` (n,) with the boxes `b` (n,)."""
        one, other = self.boxes[a], self.boxes[b]
        sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        areas = np.prod(one[:, 2:] - one[:, :2], axis=1) + np.prod(other[:, 2:] - other[:, :2], axis=1)
        union = areas - shared
        return np.divide(shared, union, out=np.zeros(len(a)), where=union > 0)


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
        label = self.labels()
        order = np.argsort(label, kind="stable")
        return [] if not len(order) else np.split(order, np.flatnonzero(np.diff(label[order])) + 1)

    def labels(self) -> Ints:
        """(n,) number of the chain of each detection, counted in order of their first detections."""
        label = np.flatnonzero(self.before < 0).searchsorted(np.arange(len(self.before)))
        previous = self.before.tolist()
        found: list[int] = label.tolist()
        for i, p in enumerate(previous):  # links go forward in time, so one pass does
            if p >= 0:
                found[i] = found[p]
        return np.asarray(found, np.int64)


def _rounds(max_gap: int) -> list[int]:
    """Longest gap, in frames, of each round: 0, 1, 3, 7, … and last of all `max_gap`."""
    gaps = [0]
    while gaps[-1] < max_gap:
        gaps.append(min(2 * gaps[-1] + 1, max_gap))
    return gaps


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
        overlap = found.iou(a, b)
        good = (overlap >= settings.iou_threshold) & (found.shots[a] == found.shots[b])
        kept.append((a[good], b[good], overlap[good]))
    a, b, worth = (np.concatenate(part) for part in zip(*kept, strict=True))
    return a, b, worth


def _bridges(
    found: _Detections, links: _Links, longest: int, settings: TrackSettings
) -> tuple[Ints, Ints, Floats]:
    """Candidate links of a later round: ends and beginnings whose motions meet in the middle of the gap."""
    tails, heads = np.flatnonzero(links.after < 0), np.flatnonzero(links.before < 0)
    going = _motion(found, tails, links.before, settings)
    coming = _motion(found, heads, links.after, settings)
    kept = []
    for i, j in _pairs(found.frames[tails], found.frames[heads], longest):
        same = found.shots[tails[i]] == found.shots[heads[j]]
        i, j = i[same], j[same]
        half = (found.frames[heads[j]] - found.frames[tails[i]]) / 2
        there, there_variance = going.predict(i, half)
        here, here_variance = coming.predict(j, half)
        size = np.minimum(going.state[i, 2], coming.state[j, 2])
        apart = ((there - here) / np.maximum(size, 1.0)[:, None]) ** 2
        distance = (apart[:, 0] + apart[:, 1] + apart[:, 2]) / (there_variance + here_variance)
        good = distance <= settings.gate
        kept.append((tails[i[good]], heads[j[good]], (1 + settings.gate) - distance[good]))
    a, b, worth = (np.concatenate(part) for part in zip(*kept, strict=True))
    return a, b, worth


@dataclass(frozen=True)
class _Motion:
    """Filtered ends of chains: (n, 3) state and velocity a frame, and their common covariance.

    The three coordinates have the same noise, so they share one covariance: (n,) variances of position
    and velocity and their covariance, in squared face sizes.
    """

    state: Floats
    velocity: Floats
    pp: Floats
    pv: Floats
    vv: Floats
    acceleration: float

    def predict(self, chosen: Ints, dt: Floats) -> tuple[Floats, Floats]:
        """Where the `chosen` (m,) ends will be `dt` (m,) frames on: (m, 3) state, (m,) variance."""
        state = self.state[chosen] + self.velocity[chosen] * dt[:, None]
        noise = self.acceleration * self.acceleration * dt * dt * dt / 3
        return state, self.pp[chosen] + 2 * dt * self.pv[chosen] + dt * dt * self.vv[chosen] + noise


def _motion(found: _Detections, ends: Ints, inwards: Ints, settings: TrackSettings) -> _Motion:
    """Run the filter over the last boxes of each chain, towards its end.

    Args:
        ends: (n,) detections at which chains end.
        inwards: (all,) the next detection towards the middle of the chain, −1 where there is none.
    """
    steps = [ends]
    while len(steps) < _WINDOW:
        steps.append(np.where(steps[-1] >= 0, inwards[steps[-1]], -1))
    r, q, v0 = (value * value for value in (settings.jitter, settings.acceleration, settings.speed))
    n = len(ends)
    state, velocity = np.zeros((n, 3)), np.zeros((n, 3))
    pp, pv, vv, last = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    begun = np.zeros(n, bool)
    for step in reversed(steps):
        here = step >= 0
        seen, now = found.state[step], found.frames[step]
        fresh = here & ~begun
        dt = np.where(begun & here, np.abs(now - last), 0.0)
        state = state + velocity * dt[:, None]
        pp, pv, vv = (
            pp + 2 * dt * pv + dt * dt * vv + q * dt * dt * dt / 3,
            pv + dt * vv + q * dt * dt / 2,
            vv + q * dt,
        )
        gain, gain_v = np.where(begun & here, (pp / (pp + r), pv / (pp + r)), 0.0)
        innovation = seen - state
        state = np.where(fresh[:, None], seen, state + gain[:, None] * innovation)
        velocity = velocity + gain_v[:, None] * innovation
        pp, pv, vv = (
            np.where(fresh, r, (1 - gain) * pp),
            np.where(fresh, 0.0, (1 - gain) * pv),
            np.where(fresh, v0, vv - gain_v * pv),
        )
        begun, last = begun | here, np.where(here, now, last)
    return _Motion(state, velocity, pp, pv, vv, settings.acceleration)


def _match(a: Ints, b: Ints, worth: Floats) -> tuple[Ints, Ints]:
    """The one-to-one choice among the candidate links a → b, (n,) each, of the largest total worth (> 0).

    Most links have no rival; only the knots of rivals need the assignment algorithm, each knot by itself.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(a):
        return a, b
    rows, i = np.unique(a, return_inverse=True)
    columns, j = np.unique(b, return_inverse=True)
    graph = coo_array((np.ones(len(i)), (i, j + len(rows))), shape=(len(rows) + len(columns),) * 2)
    knot = connected_components(graph, directed=False)[1][i]
    order = np.argsort(knot, kind="stable")
    keep = []
    for links in np.split(order, np.flatnonzero(np.diff(knot[order])) + 1):
        if len(links) == 1:
            keep.append(links)
            continue
        r, row = np.unique(i[links], return_inverse=True)
        c, column = np.unique(j[links], return_inverse=True)
        table = np.zeros((len(r), len(c)))
        table[row, column] = np.rint(worth[links] * 1e6)  # whole numbers: sums are exact everywhere
        which = np.full(table.shape, -1)
        which[row, column] = links
        picked = which[linear_sum_assignment(table, maximize=True)]
        keep.append(picked[picked >= 0])
    chosen = np.concatenate(keep)
    return a[chosen], b[chosen]
