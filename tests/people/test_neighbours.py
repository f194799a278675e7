"""Neighbours of clusters are those that the clustering's evidence and the places in the picture name."""

from __future__ import annotations

import numpy as np
import pytest

from facerec.folder.records import Trajectory
from facerec.people.clustering import cluster
from facerec.people.constraints import Continuations
from facerec.people.neighbours import neighbours, places, shots_of
from facerec.people.plda import Groups, reliability
from facerec.settings import ClusterSettings

NONE = np.zeros((0, 2), np.int64)


def vectors(*people: int, spread: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(1)
    made = np.eye(16)[list(people)] + spread * rng.normal(size=(len(people), 16))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def found(people: np.ndarray, labels: list[int], apart: np.ndarray = NONE, nearest: int = 24, **more: object):
    n = len(people)
    usable = np.array(more.get("usable", [True] * n))
    return neighbours(
        people, np.full(n, 0.5, np.float32), usable, np.array(labels, np.int64), apart, 1.1, nearest=nearest
    )


def test_the_cluster_of_the_same_person_comes_first() -> None:
    made = found(vectors(0, 1, 0, 2, 1), [0, 1, 2, 3, 4])
    assert made.clusters[:, 0].tolist()[:3] == [2, 4, 0] and made.clusters[4, 0] == 1
    assert (made.ratios[[0, 1, 2, 4], 0] > 5).all() and made.ratios[3, 0] < 0
    assert (np.diff(made.ratios, axis=1) <= 0).all()


def test_the_ratio_is_the_one_by_which_clusters_are_joined() -> None:
    people = vectors(0, 0, 1, spread=0.1)
    ratio = found(people, [0, 1, 2]).ratios[0, 0]
    for limit, joined in ((ratio - 0.6, True), (ratio - 0.5, False)):  # half the logarithm of 3 is added
        settings = ClusterSettings(min_log_likelihood_ratio=float(limit))
        nothing = Continuations(NONE, np.zeros(0))
        one = cluster(people, np.full(3, 0.5, np.float32), np.ones(3, bool), NONE, nothing, 1.1, settings)
        assert (one.labels[0] == one.labels[1]) is np.bool_(joined)


def test_clusters_seen_in_one_frame_or_without_usable_faces_are_no_neighbours() -> None:
    made = found(vectors(0, 0, 0, 0), [0, 1, 2, 3], np.array([[0, 1]]), usable=[True, True, True, False])
    assert made.clusters.tolist() == [[2, -1, -1], [2, -1, -1], [0, 1, -1], [-1, -1, -1]]
    assert (np.isneginf(made.ratios) == (made.clusters < 0)).all() and made.clusters.dtype == np.int64


def test_clusters_of_any_quality_have_the_ratios_of_their_observations() -> None:
    """Poor ones as well: they are those that an annotator has to compare."""
    people, labels = vectors(0, 1, 0, 2, 1, 0, spread=0.2), np.array([0, 1, 2, 3, 1, 0])
    quality = np.array([0.1, 0.5, 0.08, 0.9, 0.3, 0.2], np.float32)
    made = neighbours(people, quality, np.ones(6, bool), labels, NONE, 1.1)
    chosen = ClusterSettings()
    groups = Groups.from_observations(people, reliability(quality, chosen), 1.1, chosen.max_precision)
    for one in range(4):
        others = [other for other in range(4) if other != one]
        ratios = groups.merged(labels).pair_log_likelihood_ratio(np.array([[one, other] for other in others]))
        assert made.clusters[one].tolist() == [others[i] for i in np.argsort(-ratios)]
        np.testing.assert_allclose(made.ratios[one], np.sort(ratios)[::-1], rtol=1e-4)


def test_a_cluster_seen_with_all_others_has_no_neighbours() -> None:
    made = found(vectors(0, 0, 0), [0, 1, 2], np.array([[0, 1], [0, 2]]))
    assert made.clusters[0].tolist() == [-1, -1] and np.isneginf(made.ratios[0]).all()


@pytest.mark.parametrize("n", [0, 1])
def test_no_clusters_and_one_cluster_have_no_neighbours(n: int) -> None:
    assert found(vectors(*[0] * n), [0] * n).clusters.shape == (n, 0)


def test_many_clusters_are_compared_in_blocks() -> None:
    people = vectors(*[k % 16 for k in range(600)], spread=0.05)
    made = found(people, list(range(600)), nearest=3)
    assert made.clusters.shape == (600, 3)
    assert (made.clusters % 16 == np.arange(600)[:, None] % 16).all()


def test_clusters_on_both_sides_of_the_end_of_a_block_may_be_two_people(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("facerec.people.neighbours._ROWS", 2)
    for apart in ([0, 1], [1, 2], [0, 2], [2, 4], [3, 4]):
        made = found(vectors(0, 0, 0, 0, 0), list(range(5)), np.array([apart]))
        for one in range(5):
            others = sorted({*range(5)} - {one} - ({*apart} if one in apart else set()))
            assert sorted(set(made.clusters[one].tolist()) - {-1}) == others


def trajectory(index: int, start: int, x: int) -> Trajectory:
    boxes = np.tile([x, 10, x + 100, 110], (10, 1))
    return Trajectory(index, 7, start, boxes, np.ones(10, bool), 640, 360)


def test_the_same_place_two_shots_later_is_strong_evidence_and_in_the_next_shot_weak() -> None:
    cuts = [20, 40, 60, 400]
    shown = [trajectory(0, 0, 0), trajectory(1, 20, 0), trajectory(2, 40, 0), trajectory(3, 40, 300)]
    pairs, ratios = places(shown, cuts)
    made = {tuple(pair): ratio for pair, ratio in zip(pairs.tolist(), ratios.tolist(), strict=True)}
    assert made == {(0, 1): 1.4, (1, 2): 1.4, (0, 2): 4.9}
    assert shots_of(shown, cuts).tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("shots", "ratios"),
    [
        (0, [2.4, 4.6, 5.6, 6.0]), (1, [None, 0.2, 0.3, 1.4]), (2, [1.3, 2.4, 3.4, 4.9]),
        (3, [0.609375, 1.125, 1.59375, 2.296875]), (4, [1.1375, 2.1, 2.975, 4.2875]),
        (10, [0.65, 1.2, 1.7, 2.45]),
    ],
)  # fmt: skip
def test_the_evidence_of_a_place_falls_with_overlap_and_shots(shots: int, ratios: list[float | None]) -> None:
    """Of the table of the measurement: the overlaps are 0.25, 0.33, 0.67 and 1."""
    cuts = list(range(20, 400, 20))
    for shift, ratio in zip((60, 50, 20, 0), ratios, strict=True):
        pairs, found = places([trajectory(0, 0, 0), trajectory(1, 20 * shots, shift)], cuts)
        assert found.tolist() == ([] if ratio is None else [pytest.approx(ratio)])
        assert pairs.tolist() == ([] if ratio is None else [[0, 1]])


def test_far_shots_and_films_without_faces_have_no_evidence_of_places() -> None:
    cuts = list(range(20, 400, 20))
    assert len(places([trajectory(0, 0, 0), trajectory(1, 240, 0)], cuts)[0]) == 0
    assert len(places([trajectory(0, 0, 0), trajectory(1, 200, 0)], cuts)[0]) == 1
    assert places([], [])[0].shape == (0, 2)
