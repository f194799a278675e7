"""Score trajectories, clusters and names that were matched with ground truth.

`Scores` defines each figure; the definitions are the same for every kind of ground truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facerec.annotations.identities import MIXED, is_person, plain_name
from facerec.annotations.matching import Matched
from facerec.folder.documents import DISPLAY_THRESHOLD

MIXED_SHARE = 0.1  # share of a trajectory's boxes that are not its identity's, from which it is mixed
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Scores:
    """The figures; None where truth or folder have nothing to compute one from.

    A trajectory is judged if the truth knows its identity. It has no single one if two identities have
    equally many of its boxes, or if annotators found both its cluster's person and another one on its
    thumbnails: then it counts as mixed, belongs to no person, and its cluster's name is neither right nor
    wrong for it. A cluster's majority is the identity of most of its judged trajectories with a single
    identity; of equally frequent ones that with the fewest clicks.

    A page that trajectories too poor to compare share is no cluster. Those on it are judged and silent, but
    not part of purity, nmi and clusters_a_person.

    Attributes:
        recall: share of the truth's face boxes that were matched with a trajectory's box.
        trajectories: all trajectories; judged: those with a known identity, the only ones counted below.
        mixed: trajectories without a single identity, and those of which at least a tenth of the matched
            boxes are of another one.
        fragments: trajectories of a person divided by the person's tracks in the truth, mean over persons.
        clusters: clusters with a judged trajectory.
        poor_pages: shared pages with a judged trajectory; on_poor_pages: judged trajectories on them.
        people: persons among the identities of judged trajectories.
        clusters_a_person: clusters that hold a person's trajectories, mean over persons who have one.
            Clusters of false faces count in `clusters` only.
        purity: weighted cluster purity (WCP), the share of the trajectories in clusters that are their
            cluster's majority; those without a single identity are not.
        nmi: normalised mutual information of clusters and single identities, arithmetic mean (as
            scikit-learn's).
        clicks: one for each cluster and one for each thumbnail that is not its cluster's majority; a
            thumbnail that the truth does not know counts as its trajectory's identity. One for each shared
            page, which is discarded, or marked as mixed, as a whole.
        right: trajectories in a cluster that shows their person's name and no other; wrong: those in a
            cluster that shows another name (above 0.40, also as the second of two); silent: those in a
            cluster that shows none. False faces and persons without a known name can only be silent or wrong.
        forecasts: trajectories in a cluster with a name of any probability.
        calibration_error, brier: expected calibration error over ten bins, and mean squared error, of the
            most likely name's probability as a forecast that it is right, one for each trajectory. Of n
            equally likely names with a right one, 1/n is right. With
            few forecasts the former is mostly chance: one right forecast of 0.9 gives 0.1.
    """

    recall: float | None
    trajectories: int
    judged: int
    mixed: int
    fragments: float | None
    clusters: int
    poor_pages: int
    on_poor_pages: int
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


def score(
    matched: Matched,
    clusters: Sequence[int],
    predictions: Mapping[int, Mapping[str, float]],
    names: Mapping[str, str],
    poor_pages: Collection[int] = (),
) -> Scores:
    """Score clusters and names.

    Args:
        clusters: cluster of each trajectory.
        predictions: probabilities of actor ids by cluster.
        names: identity in the truth of each actor id; a missing id is its own identity.
        poor_pages: clusters that are shared pages of trajectories too poor to compare.
    """
    identity_of = [matched.identity(index) for index in range(len(clusters))]
    judged = [index for index, identity in enumerate(identity_of) if identity is not None]
    single = [index for index in judged if identity_of[index] != MIXED]
    in_clusters = [index for index in judged if clusters[index] not in poor_pages]
    grouped = [index for index in in_clusters if identity_of[index] != MIXED]
    by_cluster: dict[int, Counter[str | None]] = {clusters[index]: Counter() for index in in_clusters}
    for index in grouped:
        by_cluster[clusters[index]][identity_of[index]] += 1
    pages = {clusters[index] for index in judged} - by_cluster.keys()
    trajectories_of = Counter(identity_of[index] for index in single)
    people = [identity for identity in trajectories_of if identity and is_person(identity)]
    people_in_clusters = {identity_of[index] for index in grouped} & set(people)
    tracks = matched.truth_tracks
    right, wrong, forecasts = _score_names(single, identity_of, clusters, predictions, names)
    error, brier = calibration(forecasts)
    return Scores(
        recall=matched.found_boxes / matched.truth_boxes
        if matched.truth_boxes and matched.found_boxes is not None
        else None,
        trajectories=len(clusters),
        judged=len(judged),
        mixed=sum(_is_mixed(matched.boxes[index]) for index in judged),
        fragments=float(np.mean([trajectories_of[person] / tracks[person] for person in people]))
        if tracks and people
        else None,
        clusters=len(by_cluster),
        poor_pages=len(pages),
        on_poor_pages=len(judged) - len(in_clusters),
        people=len(people),
        clusters_a_person=sum(len(c.keys() & people_in_clusters) for c in by_cluster.values())
        / len(people_in_clusters)
        if people_in_clusters
        else None,
        purity=sum(max(c.values(), default=0) for c in by_cluster.values()) / len(in_clusters)
        if in_clusters
        else None,
        nmi=_nmi([clusters[index] for index in grouped], [identity_of[index] for index in grouped])
        if grouped
        else None,
        clicks=len(by_cluster) + _misplaced(matched, clusters, identity_of, by_cluster) + len(pages),
        right=right,
        wrong=wrong,
        silent=len(single) - right - wrong,
        forecasts=len(forecasts),
        calibration_error=error,
        brier=brier,
    )


def _is_mixed(counts: Counter[str]) -> bool:
    """Return whether a trajectory with these boxes by identity mixes several."""
    return MIXED in counts or counts.total() - max(counts.values()) >= MIXED_SHARE * counts.total()


def _misplaced(
    matched: Matched,
    clusters: Sequence[int],
    identity_of: Sequence[str | None],
    by_cluster: Mapping[int, Counter[str | None]],
) -> int:
    """Count the thumbnails of judged trajectories that are not their cluster's majority.

    Args:
        by_cluster: trajectories by single identity, of each cluster with a judged one; thumbnails of other
            clusters are not counted.
    """
    pictures: dict[int, Counter[str | None]] = {label: Counter() for label in by_cluster}
    for index, identity in enumerate(identity_of):
        if identity is not None and clusters[index] in by_cluster:
            pictures[clusters[index]].update(picture or identity for picture in matched.pictures[index])
    misplaced = 0
    for label, counts in by_cluster.items():
        shown = pictures[label]
        most = max(counts.values(), default=0)  # 0: every trajectory is mixed, any thumbnail may decide
        candidates = [identity for identity in counts or shown if counts[identity] == most]
        misplaced += shown.total() - max((shown[identity] for identity in candidates), default=0)
    return misplaced


def _nmi(labels: Sequence[int], identities: Sequence[str | None]) -> float:
    """Compute the normalised mutual information of clusters and identities."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score([str(i) for i in identities], labels))


def _score_names(
    indices: Sequence[int],
    identity_of: Sequence[str | None],
    clusters: Sequence[int],
    predictions: Mapping[int, Mapping[str, float]],
    names: Mapping[str, str],
) -> tuple[int, int, list[tuple[float, float]]]:
    """Count the trajectories `indices` named right and wrong, and list the forecasts of `calibration`."""
    right = wrong = 0
    forecasts = []
    for index in indices:
        predicted = predictions.get(clusters[index], {})
        shown = {names.get(a, plain_name(a)) for a, p in predicted.items() if p > DISPLAY_THRESHOLD}
        right += shown == {identity_of[index]}
        wrong += bool(shown - {identity_of[index]})
        if predicted:
            highest = max(predicted.values())
            likeliest = [names.get(a, plain_name(a)) for a, p in predicted.items() if p == highest]
            forecasts.append((highest, likeliest.count(identity_of[index] or "") / len(likeliest)))
    return right, wrong, forecasts


def calibration(forecasts: Sequence[tuple[float, float]]) -> tuple[float | None, float | None]:
    """Compute expected calibration error (M. P. Naeini et al., AAAI 2015) and Brier score.

    Args:
        forecasts: (probability of an event, 1 if it happened, 0 if not); without any both figures are None.
    """
    if not forecasts:
        return None, None
    p, happened = np.array(forecasts, float).T
    bins = np.minimum((p * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [
        abs(p[bins == b].mean() - happened[bins == b].mean()) * (bins == b).sum() for b in np.unique(bins)
    ]
    return float(sum(gaps) / len(p)), float(((p - happened) ** 2).mean())
