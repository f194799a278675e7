"""How good a folder's trajectories, clusters and names are, against truth. Numbers only.

Definitions are given with each figure of `Scores`; they are the same for every kind of truth.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.documents import SHOWN_ABOVE
from facerec.records import Trajectory

NO_FACE = "NOT_A_FACE"  # identity of a box that shows none
MIXED_SHARE = 0.1  # of a trajectory's matched boxes that are another person's, for it to mix people
MATCH_IOU = 0.4  # overlap from which a box is taken for a truth's box: detectors frame faces differently
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Matched:
    """A folder's trajectories in the light of a truth.

    Attributes:
        boxes: for each trajectory, how many of its boxes are which identity.
        pictures: for each trajectory, the identity on the first and on the last saved picture; None
            where the truth does not say.
        truth_boxes, found_boxes: truth's boxes of faces, and how many of them a trajectory has; None
            where the truth has no boxes.
        truth_tracks: how many tracks the truth has of each identity.
    """

    boxes: Sequence[Counter[str]]
    pictures: Sequence[tuple[str | None, ...]]
    truth_boxes: int | None
    found_boxes: int | None
    truth_tracks: Mapping[str, int]

    def identity(self, trajectory: int) -> str | None:
        """Who a trajectory is: the identity of most of its matched boxes."""
        counts = self.boxes[trajectory]
        return min(counts, key=lambda who: (-counts[who], who)) if counts else None


@dataclass(frozen=True)
class Scores:
    """The figures.

    Attributes:
        recall: share of the truth's face boxes that lie under a trajectory's box.
        trajectories, judged: all, and those whose identity the truth knows; only these count below.
        mixed: trajectories of which a tenth or more of the matched boxes are another person's.
        fragments: trajectories a person's track of the truth, mean over the persons found.
        clusters, people: clusters that hold a judged trajectory; persons (false faces are none).
        purity: WCP, the share of judged trajectories that are their cluster's majority.
        nmi: normalised mutual information of clusters and identities, arithmetic mean (as scikit-learn's).
        clicks: one a cluster, and one for each picture shown that is not the cluster's majority.
        right, wrong, silent: judged trajectories whose cluster shows their person's name alone; shows
            another name (above 0.40, the second of two included); shows none.
        calibration_error, brier: of each cluster's best probability as a forecast that it is right,
            weighted by trajectories: expected calibration error over ten bins, and mean squared error.
    """

    recall: float | None
    trajectories: int
    judged: int
    mixed: int
    fragments: float
    clusters: int
    people: int
    purity: float
    nmi: float
    clicks: int
    right: int
    wrong: int
    silent: int
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
    found = 0
    for frame in np.unique(frames).tolist():
        here, there = rows[rows[:, 0] == frame], np.flatnonzero(frames == frame)
        for mine, theirs in _best_pairs(here[:, 2:].astype(float), boxes[there]):
            identity, index = identities[there[theirs]], int(here[mine, 1])
            found += identity != NO_FACE
            if identity is not None:
                counts[index][identity] += 1
                who[index, frame] = identity
    shown = [
        tuple(who.get((t.index, f)) for f in _first_and_last(saved.get(t.index, ()))) for t in trajectories
    ]
    faces = sum(identity != NO_FACE for identity in identities)
    per_track = {
        (track, identity) for track, identity in zip(tracks, identities, strict=True) if identity is not None
    }
    return Matched(counts, shown, faces, found, Counter(identity for _, identity in per_track))


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
    shown = [
        tuple(labels.get((t.index, f)) for f in _first_and_last(saved.get(t.index, ()))) for t in trajectories
    ]
    return Matched(counts, shown, None, None, {})


def _first_and_last(frames: Sequence[int]) -> list[int]:
    return sorted({frames[0], frames[-1]}) if frames else []


def _best_pairs(a: NDArray[np.float64], b: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of overlapping boxes, one to one, best overlap first."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], axis=1), np.prod(b[:, 2:] - b[:, :2], axis=1)
    iou = inter / (area_a[:, None] + area_b[None] - inter)
    pairs: list[tuple[int, int]] = []
    for flat in np.argsort(-iou, axis=None, kind="stable").tolist():
        i, j = divmod(flat, iou.shape[1])
        if iou[i, j] < MATCH_IOU:
            break
        if all(i != x and j != y for x, y in pairs):
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
        names: the identity in the truth of each actor id.
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
        picture is not None and picture != majority[clusters[index]]
        for index in judged
        for picture in matched.pictures[index]
    )
    people = {identity for identity in identities if identity and identity != NO_FACE}
    tracks = {person: matched.truth_tracks[person] for person in people if person in matched.truth_tracks}
    ours = Counter(identities)
    right, wrong, forecasts = _names(judged, who, clusters, predictions, names)
    error, brier = _calibration(forecasts)
    return Scores(
        recall=matched.found_boxes / matched.truth_boxes
        if matched.truth_boxes and matched.found_boxes is not None
        else None,
        trajectories=len(clusters),
        judged=len(judged),
        mixed=sum(_is_mixed(matched.boxes[index]) for index in judged),
        fragments=float(np.mean([ours[person] / count for person, count in tracks.items()]))
        if tracks
        else 0.0,
        clusters=len(by_cluster),
        people=len(people),
        purity=sum(max(c.values()) for c in by_cluster.values()) / len(judged) if judged else 1.0,
        nmi=_nmi(labels, identities),
        clicks=len(by_cluster) + stray,
        right=right,
        wrong=wrong,
        silent=len(judged) - right - wrong,
        calibration_error=error,
        brier=brier,
    )


def _is_mixed(counts: Counter[str]) -> bool:
    return sum(counts.values()) - max(counts.values()) >= MIXED_SHARE * sum(counts.values())


def _nmi(labels: Sequence[int], identities: Sequence[str | None]) -> float:
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score([str(i) for i in identities], labels)) if labels else 1.0


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
        shown = {names.get(actor, actor) for actor, p in said.items() if p > SHOWN_ABOVE}
        right += shown == {who[index]}
        wrong += bool(shown - {who[index]})
        if said:
            best = max(said, key=lambda actor: said[actor])
            forecasts.append((said[best], names.get(best, best) == who[index]))
    return right, wrong, forecasts


def _calibration(forecasts: Sequence[tuple[float, bool]]) -> tuple[float | None, float | None]:
    """Expected calibration error (M. P. Naeini et al., AAAI 2015) and Brier score."""
    if not forecasts:
        return None, None
    p, true = np.array(forecasts, float).T
    bins = np.minimum((p * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [abs(p[bins == b].mean() - true[bins == b].mean()) * (bins == b).sum() for b in np.unique(bins)]
    return float(sum(gaps) / len(p)), float(((p - true) ** 2).mean())


def plain_name(name: str) -> str:
    """A person's name as truth files spell it: `Lin-Manuel Miranda` is `lin_manuel_miranda`."""
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
