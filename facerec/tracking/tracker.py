"""Offline tracking by detection: links the boxes of each shot into tracks, without looking at pixels.

Boxes are linked in rounds, as in the hierarchical association of C. Huang, B. Wu, R. Nevatia, "Robust object
tracking by hierarchical association of detection responses" (ECCV 2008): adjacent frames first, then longer
and longer gaps, so that a face seen a moment ago is preferred to one predicted at that place. Each round
assigns the ends of tracks to the starts of later ones optimally (H. W. Kuhn, "The Hungarian method for the
assignment problem", 1955), by the costs of `motion`. Where no link passes the gate, a track ends: clustering
can still join two tracks of one person, but nothing later repairs a track of two people.

Lengths are relative to the size of the face, so that near and far faces are treated equally. Each pair is
judged by + - * / of its own numbers, and sums over pairs are sums of whole numbers. So all machines give the
same result, and it depends neither on other shots nor on the order of the boxes in a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec.geometry import iou
from facerec.settings import TrackSettings
from facerec.tracking.appearance import Appearance
from facerec.tracking.assignment import assign
from facerec.tracking.motion import Floats, Ints, estimate_motion, link_cost, walk_inward

_MAX_JUMP_GAP = 2  # missed frames after which a face may still jump: another one rarely appears so soon
_JUMP_FACTOR = 1.75  # widens the gate of a jump
_SINGLE_BOX_JUMP_FACTOR = 1.25  # the same where an end is a single box, which may be no face
_SINGLE_BOX_FACTOR = 0.9  # narrows the gate where an end is a single box
_MAX_GAP_OF_SINGLES = 1  # two single boxes farther apart than this many missed frames are not linked
_END_DETECTIONS = 5  # detections at an end of a track that say what it looks like
_PAIRS_PER_BLOCK = 1 << 20  # bounds memory where hundreds of faces share a frame


@dataclass(frozen=True, eq=False)
class Track:
    """The linked detections of one face in one shot.

    Attributes:
        frames: (n,) frames of the detections, strictly increasing.
        boxes: (n, 4) x1, y1, x2, y2 in pixels.
        detection_ids: (n,) index of each detection in the input of `track`.
    """

    frames: Ints
    boxes: Floats
    detection_ids: Ints

    def __len__(self) -> int:
        return len(self.frames)


def track(
    frames: ArrayLike,
    boxes: ArrayLike,
    cuts: Sequence[int] = (),
    settings: TrackSettings | None = None,
    appearance: Appearance | None = None,
) -> list[Track]:
    """Link the detections of a film into tracks.

    Args:
        frames: (n,) int, the frame of each detection, in any order.
        boxes: (n, 4) x1, y1, x2, y2 in pixels.
        cuts: the first frame of each new shot, in any order.
        settings: see `TrackSettings`.
        appearance: of the detections; None: only the boxes decide.

    Returns:
        Tracks sorted by first frame, then by first box. Each detection is in exactly one, none crosses a
        cut, and none has a gap of more than `settings.max_gap` frames.

    Raises:
        ValueError: the numbers of frames and boxes differ.
    """
    settings = settings or TrackSettings()
    all_frames, all_boxes = (
        np.asarray(frames, np.int64).reshape(-1),
        np.asarray(boxes, np.float64).reshape(-1, 4),
    )
    if len(all_frames) != len(all_boxes):
        raise ValueError(f"{len(all_frames)} frames for {len(all_boxes)} boxes")
    order = np.lexsort((*all_boxes.T[::-1], all_frames))  # the result must not depend on the input's order
    detections = _Detections(all_frames[order], all_boxes[order], cuts, order, appearance)
    links = _Links(len(order))
    links.add(*assign(*_adjacent_links(detections, settings)))
    for max_gap, jumps in _rounds(settings.max_gap):
        earlier, later = assign(*_gap_links(detections, links, max_gap, jumps, settings))
        due = detections.frames[later] - detections.frames[earlier] - 1 <= max_gap  # longer gaps: later round
        links.add(earlier[due], later[due])
    return [
        Track(detections.frames[chain], detections.boxes[chain], order[chain].astype(np.int64))
        for chain in links.chains()
    ]


def interpolate(track: Track) -> tuple[int, Floats, NDArray[np.bool_]]:
    """Interpolate the boxes of a track's gaps linearly.

    Returns:
        The first frame; (n, 4) boxes x1, y1, x2, y2 of this and all following frames up to the last;
        (n,) whether each was detected, as the first and the last always are.
    """
    start = int(track.frames[0])
    every = np.arange(start, int(track.frames[-1]) + 1)
    boxes = np.stack([np.interp(every, track.frames, edge) for edge in track.boxes.T], axis=1)
    detected = np.zeros(len(every), bool)
    detected[track.frames - start] = True
    return start, boxes, detected


class _Detections:
    """All boxes of a film in order of frame, with the shot, centre and size of each.

    Args:
        order: (n,) their indices in the input of `track`.
    """

    def __init__(
        self, frames: Ints, boxes: Floats, cuts: Sequence[int], order: Ints, appearance: Appearance | None
    ) -> None:
        self.frames, self.boxes, self._order, self._appearance = frames, boxes, order, appearance
        self.shots = np.searchsorted(np.unique(np.asarray(cuts, np.int64)), frames, side="right")
        x1, y1, x2, y2 = boxes.T
        size = np.maximum(((x2 - x1) + (y2 - y1)) / 2, 1.0)
        self.states = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, size], axis=1)  # of the Kalman filter

    def remove_unlike(
        self, passed: NDArray[np.bool_], one: Ints, other: Ints, links: _Links | None = None
    ) -> NDArray[np.bool_]:
        """Return `passed`, (m,), without the links `one` → `other` of boxes that do not look alike.

        Args:
            links: those of the tracks that `one` end and `other` start; None: they are single boxes.
        """
        if self._appearance is None or not passed.any():
            return passed
        ends, starts = [one[passed]], [other[passed]]
        if links is not None:
            ends = walk_inward(ends[0], links.previous, _END_DETECTIONS)
            starts = walk_inward(starts[0], links.next, _END_DETECTIONS)
        alike = passed.copy()
        alike[passed] = self._appearance.alike(self._input_indices(ends), self._input_indices(starts))
        return alike

    def _input_indices(self, steps: list[Ints]) -> Ints:
        detections = np.stack(steps, axis=1)
        return np.where(detections >= 0, self._order[detections], -1)


class _Links:
    """Links from detections to later ones, which form disjoint chains; −1 where there is no link."""

    def __init__(self, n: int) -> None:
        self.next = np.full(n, -1)
        self.previous = np.full(n, -1)

    def add(self, earlier: Ints, later: Ints) -> None:
        self.next[earlier] = later
        self.previous[later] = earlier

    def chains(self) -> list[Ints]:
        """The detections of each chain in order of time; chains sorted by their first detection."""
        chain_of: list[int] = (np.cumsum(self.previous < 0) - 1).tolist()  # final for the first of each chain
        for i, previous in enumerate(self.previous.tolist()):  # links go forward in time: one pass is enough
            if previous >= 0:
                chain_of[i] = chain_of[previous]
        order = np.argsort(chain_of, kind="stable")
        counts = np.bincount(np.asarray(chain_of, np.int64))
        return [chain for chain in np.split(order, np.cumsum(counts)) if len(chain)]


def _rounds(max_gap: int) -> Iterator[tuple[int, bool]]:
    """The longest gap of each round, in frames (0, 1, 3, 7, … `max_gap`), and whether faces may jump.

    Each gap is tried without jumps first. Otherwise two faces that are missed in turn would be linked as
    one face that jumps back and forth.
    """
    longest = 0
    yield longest, False
    while True:
        longest = min(2 * longest + 1, max_gap)
        yield longest, False
        yield longest, True
        if longest == max_gap:
            return


def _frame_pairs(ends: Ints, starts: Ints, max_gap: int) -> Iterator[tuple[Ints, Ints]]:
    """Pairs (i, j) where frame `starts[j]` follows frame `ends[i]` after at most `max_gap` frames.

    Args:
        starts: ascending.

    Yields:
        Blocks of about `_PAIRS_PER_BLOCK` pairs: (m,) i and (m,) j.
    """
    low, high = starts.searchsorted(ends, side="right"), starts.searchsorted(ends + 1 + max_gap, side="right")
    total = np.cumsum(high - low)
    for block in np.split(np.arange(len(ends)), np.flatnonzero(np.diff(total // _PAIRS_PER_BLOCK)) + 1):
        count = (high - low)[block]
        first = np.cumsum(count) - count
        yield np.repeat(block, count), np.arange(count.sum()) + np.repeat(low[block] - first, count)


def _adjacent_links(detections: _Detections, settings: TrackSettings) -> tuple[Ints, Ints, Floats]:
    """Candidate links of the first round, between overlapping boxes of adjacent frames.

    Returns:
        (m,) earlier and (m,) later detections, (m,) gains: their intersection over union.
    """
    blocks = []
    for a, b in _frame_pairs(detections.frames, detections.frames, 0):
        overlap = iou(detections.boxes[a], detections.boxes[b])
        passed = (overlap >= settings.iou_threshold) & (detections.shots[a] == detections.shots[b])
        passed = detections.remove_unlike(passed, a, b)
        blocks.append((a[passed], b[passed], overlap[passed]))
    a, b, gain = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return a, b, gain


def _gap_links(
    detections: _Detections, links: _Links, max_gap: int, jumps: bool, settings: TrackSettings
) -> tuple[Ints, Ints, Floats]:
    """Candidate links of a later round, between ends and starts with predictions that meet within the gate.

    In a round with jumps over at most `max_gap` frames, links without a jump over any gap are candidates
    too: a face must not jump to a place where another face is expected to come back later.

    Returns:
        (m,) last detections of the earlier and (m,) first ones of the later tracks, (m,) gains, 1..2.
    """
    ends, starts = np.flatnonzero(links.next < 0), np.flatnonzero(links.previous < 0)
    end_motion = estimate_motion(detections.states, detections.frames, ends, links.previous)
    start_motion = estimate_motion(detections.states, detections.frames, starts, links.next)
    blocks = []
    pairs = _frame_pairs(
        detections.frames[ends], detections.frames[starts], settings.max_gap if jumps else max_gap
    )
    for i, j in pairs:
        same_shot = detections.shots[ends[i]] == detections.shots[starts[j]]
        i, j = i[same_shot], j[same_shot]
        step = detections.frames[starts[j]] - detections.frames[ends[i]]
        single_end, single_start = links.previous[ends[i]] < 0, links.next[starts[j]] < 0
        single = single_end | single_start
        gate = settings.gate_sigma * np.where(single, _SINGLE_BOX_FACTOR, 1.0)
        may_jump = jumps & (step - 1 <= min(max_gap, _MAX_JUMP_GAP))
        gate *= np.where(may_jump, np.where(single, _SINGLE_BOX_JUMP_FACTOR, _JUMP_FACTOR), 1.0)
        cost = link_cost(end_motion, i, start_motion, j, step) / (gate * gate)
        passed = (cost <= 1) & ~(single_end & single_start & (step - 1 > _MAX_GAP_OF_SINGLES))
        passed = detections.remove_unlike(passed, ends[i], starts[j], links)
        blocks.append((ends[i[passed]], starts[j[passed]], 2 - cost[passed]))  # > 0: any link beats none
    a, b, gain = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return a, b, gain
