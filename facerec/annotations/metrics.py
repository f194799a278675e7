"""How good a folder's trajectories, clusters and names are, against truth. Numbers only.

Definitions are given with each figure of `Scores`; they are the same for every kind of truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.annotations.export import plain_name
from facerec.folder.documents import DISPLAY_THRESHOLD
from facerec.folder.records import Trajectory
from facerec.geometry import iou

NO_FACE = "NOT_A_FACE"  # identity of a box that shows none
NOT = "not "  # begins the identity of which only this is known: whose it is not; no plain name has a space
MIXED_SHARE = 0.1  # of a trajectory's matched boxes that are another's, for it to mix people
MATCH_IOU = 0.4  # overlap from which a box is taken for a truth's box: detectors frame faces differently
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Matched:
    """A folder's trajectories in the light of a truth.

    An identity is a person's plain name, `NO_FACE`, or `NOT` and the name of whom it is not.

    Attributes:
        boxes: for each trajectory, how many of its boxes are which identity.
        pictures: for each trajectory, the identity on the first and on the last saved picture (one entry
            where they are one picture); None where the truth does not say.
        truth_boxes, found_boxes: truth's boxes of faces, those of unsure identity included, and how many
            of them a trajectory has; None where the truth has no boxes.
        truth_tracks: how many tracks the truth has of each identity; None where it has no tracks.
    """

    boxes: Sequence[Counter[str]]
    pictures: Sequence[tuple[str | None, ...]]
    truth_boxes: int | None
    found_boxes: int | None
    truth_tracks: Mapping[str, int] | None

    def identity(self, trajectory: int) -> str | None:
        """Who a trajectory is: the identity of most of its matched boxes."""
        counts = self.boxes[trajectory]
        return min(counts, key=lambda who: (-counts[who], who)) if counts else None


@dataclass(frozen=True)
class Scores:
    """The figures; None where the truth, or the folder, has nothing to compute one from.

    Attributes:
        recall: share of the truth's face boxes that lie under a trajectory's box.
        trajectories, judged: all, and those whose identity the truth knows; only these count below.
        mixed: trajectories of which a tenth or more of the matched boxes are not their majority's.
        fragments: a person's trajectories for each of the person's tracks in the truth, mean over the
            persons found.
        clusters, people: clusters that hold a judged trajectory; persons named by the truth among them.
        clusters_a_person: clusters that hold a person's judged trajectories, mean over the persons found;
            false faces, whose clusters count among `clusters`, leave it alone.
        purity: WCP, the share of judged trajectories that are their cluster's majority.
        nmi: normalised mutual information of clusters and identities, arithmetic mean (as scikit-learn's).
        clicks: one a cluster, and one for each picture shown that is not the cluster's majority; where
            the truth does not know a picture it is taken for its trajectory's identity.
        right, wrong, silent: judged trajectories whose cluster shows their person's name alone; shows
            another name (above 0.40, the second of two included); shows none. False faces and people
            whose name is not known can only be silent or wrong.
        forecasts: judged trajectories of a cluster that has a name, however unlikely.
        calibration_error, brier: of the best name's probability as a forecast that it is right, each
            forecast counting once: expected calibration error over ten bins, and mean squared error. Of
            a few forecasts the first is mostly chance: of one right one at 0.9 it is 0.1.
    """

    recall: float | None
    trajectories: int
    judged: int
    mixed: int
    fragments: float | None
    clusters: int
    people: int
    clusters_a_person: float | None
    purity: float | None
    nmi: float | None
    clicks: int
    right: int
    wrong: int
    silent: int
    forecasts: int
    calibration_error: float | None
    brier: float | None


def match_boxes(
    trajectories: Sequence[Trajectory],
    saved: Mapping[int, Sequence[int]],
    frames: NDArray[np.int64],
    boxes: NDArray[np.float64],
    tracks: Sequence[str],
    identities: Sequence[str | None],
) -> Matched:
    """Match trajectories with truth given as boxes.

    In each frame boxes are matched one to one, best overlap first.

    Args:
        saved: the frames of each trajectory's saved pictures, ascending, by index.
        frames: (n,) of the truth's boxes.
        boxes: (n, 4) x1, y1, x2, y2.
        tracks, identities: (n,) of the truth's boxes; identity None where the truth is not sure.
    """
    counts: list[Counter[str]] = [Counter() for _ in trajectories]
    who: dict[tuple[int, int], str] = {}
    ours = [
        np.column_stack([np.arange(t.start, t.end), np.full(len(t.boxes), t.index), t.boxes])
        for t in trajectories
    ]
    rows = np.concatenate([np.empty((0, 6), np.int64), *ours])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    found = 0
    for mine, theirs in _best_pairs(rows[:, 0], rows[:, 2:], frames, boxes):
        identity, frame, index = identities[theirs], int(rows[mine, 0]), int(rows[mine, 1])
        found += identity != NO_FACE
        if identity is not None:
            counts[index][identity] += 1
            who[index, frame] = identity
    faces = sum(identity != NO_FACE for identity in identities)
    of_tracks = set(zip(tracks, identities, strict=True))
    per_identity = Counter(identity for _, identity in of_tracks if identity is not None)
    return Matched(counts, _shown(trajectories, saved, who), faces, found, per_identity)


def match_tags(
    trajectories: Sequence[Trajectory],
    saved: Mapping[int, Sequence[int]],
    labels: Mapping[tuple[int, int], str],
) -> Matched:
    """Match trajectories with truth given as labels of pictures.

    Args:
        labels: identity by (trajectory, frame).
    """
    counts: list[Counter[str]] = [Counter() for _ in trajectories]
    for (index, _), identity in labels.items():
        counts[index][identity] += 1
    return Matched(counts, _shown(trajectories, saved, labels), None, None, None)


def _shown(
    trajectories: Sequence[Trajectory],
    saved: Mapping[int, Sequence[int]],
    who: Mapping[tuple[int, int], str],
) -> list[tuple[str | None, ...]]:
    """Who is on the pictures of each trajectory that the labeling page shows: the first and the last."""
    return [
        tuple(who.get((t.index, frame)) for frame in sorted({*saved[t.index][:1], *saved[t.index][-1:]}))
        if t.index in saved
        else ()
        for t in trajectories
    ]


def _best_pairs(
    our_frames: NDArray[np.int64],
    ours: NDArray[np.int64],
    frames: NDArray[np.int64],
    boxes: NDArray[np.float64],
) -> list[tuple[int, int]]:
    """Pairs (row of `ours`, row of `boxes`) that overlap in one frame, one to one, best overlap first.

    Args:
        our_frames: (m,) ascending, of `ours` (m, 4); frames: (n,) of `boxes` (n, 4).
    """
    first, end = (np.searchsorted(our_frames, frames, side) for side in ("left", "right"))
    candidates = end - first
    theirs = np.repeat(np.arange(len(frames)), candidates)
    mine = np.arange(len(theirs)) + np.repeat(first - (np.cumsum(candidates) - candidates), candidates)
    overlap = iou(ours[mine], boxes[theirs])
    order = np.lexsort((theirs, mine, -overlap))
    order = order[overlap[order] >= MATCH_IOU]
    taken_mine, taken_theirs = np.zeros(len(ours), bool), np.zeros(len(boxes), bool)
    pairs: list[tuple[int, int]] = []
    for i, j in zip(mine[order].tolist(), theirs[order].tolist(), strict=True):
        if not taken_mine[i] and not taken_theirs[j]:
            taken_mine[i] = taken_theirs[j] = True
            pairs.append((i, j))
    return pairs


def score(
    matched: Matched,
    clusters: Sequence[int],
    predictions: Mapping[int, Mapping[str, float]],
    names: Mapping[str, str],
) -> Scores:
    """Score clusters and names.

    Args:
        clusters: of each trajectory.
        predictions: probabilities of actor ids by cluster.
        names: the identity in the truth of each actor id; an id that is not there stands for itself.
    """
    who = [matched.identity(index) for index in range(len(clusters))]
    judged = [index for index, identity in enumerate(who) if identity is not None]
    identities = [who[index] for index in judged]
    labels = [clusters[index] for index in judged]
    by_cluster: dict[int, Counter[str | None]] = {}
    for label, identity in zip(labels, identities, strict=True):
        by_cluster.setdefault(label, Counter())[identity] += 1
    majority = {label: min(c, key=lambda who: (-c[who], str(who))) for label, c in by_cluster.items()}
    stray = sum(
        (picture or who[index]) != majority[clusters[index]]
        for index in judged
        for picture in matched.pictures[index]
    )
    ours = Counter(identities)
    people = [identity for identity in ours if identity and is_person(identity)]
    tracks = matched.truth_tracks
    right, wrong, forecasts = _names(judged, who, clusters, predictions, names)
    error, brier = calibration(forecasts)
    return Scores(
        recall=matched.found_boxes / matched.truth_boxes
        if matched.truth_boxes and matched.found_boxes is not None
        else None,
        trajectories=len(clusters),
        judged=len(judged),
        mixed=sum(_is_mixed(matched.boxes[index]) for index in judged),
        fragments=float(np.mean([ours[person] / tracks[person] for person in people]))
        if tracks and people
        else None,
        clusters=len(by_cluster),
        people=len(people),
        clusters_a_person=sum(len(c.keys() & set(people)) for c in by_cluster.values()) / len(people)
        if people
        else None,
        purity=sum(max(c.values()) for c in by_cluster.values()) / len(judged) if judged else None,
        nmi=_nmi(labels, identities) if judged else None,
        clicks=len(by_cluster) + stray,
        right=right,
        wrong=wrong,
        silent=len(judged) - right - wrong,
        forecasts=len(forecasts),
        calibration_error=error,
        brier=brier,
    )


def _is_mixed(counts: Counter[str]) -> bool:
    return sum(counts.values()) - max(counts.values()) >= MIXED_SHARE * sum(counts.values())


def _nmi(labels: Sequence[int], identities: Sequence[str | None]) -> float:
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score([str(i) for i in identities], labels))


def _names(
    judged: Sequence[int],
    who: Sequence[str | None],
    clusters: Sequence[int],
    predictions: Mapping[int, Mapping[str, float]],
    names: Mapping[str, str],
) -> tuple[int, int, list[tuple[float, bool]]]:
    """Trajectories named right and wrong, and (probability, came true) of each one's best name."""
    right = wrong = 0
    forecasts = []
    for index in judged:
        said = predictions.get(clusters[index], {})
        shown = {names.get(actor, plain_name(actor)) for actor, p in said.items() if p > DISPLAY_THRESHOLD}
        right += shown == {who[index]}
        wrong += bool(shown - {who[index]})
        if said:
            best = max(said, key=lambda actor: said[actor])
            forecasts.append((said[best], names.get(best, plain_name(best)) == who[index]))
    return right, wrong, forecasts


def calibration(forecasts: Sequence[tuple[float, bool]]) -> tuple[float | None, float | None]:
    """Expected calibration error (M. P. Naeini et al., AAAI 2015) and Brier score."""
    if not forecasts:
        return None, None
    p, true = np.array(forecasts, float).T
    bins = np.minimum((p * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [abs(p[bins == b].mean() - true[bins == b].mean()) * (bins == b).sum() for b in np.unique(bins)]
    return float(sum(gaps) / len(p)), float(((p - true) ** 2).mean())


def is_person(identity: str) -> bool:
    """Whether an identity is a person's name."""
    return identity != NO_FACE and not identity.startswith(NOT)
