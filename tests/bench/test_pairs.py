"""The table of pairs counts errors on both sides, and its thresholds are the ones it says."""

from __future__ import annotations

import numpy as np
import pytest

from bench.pairs import Pairs, measure_pairs, pairs_table


@pytest.fixture
def pairs() -> Pairs:
    return Pairs(np.array([0.5, 0.7, 0.9, 1.1]), np.array([0.95, 0.98, 1.2, 1.3, 1.4]))


def test_errors_by_hand(pairs: Pairs) -> None:
    assert (pairs.false_accepts(1), pairs.false_rejects(1)) == (2, 1)
    assert pairs.accuracy(1) == pytest.approx(1 - (1 / 4 + 2 / 5) / 2)


def test_the_best_threshold_lies_between_the_pairs_that_it_separates(pairs: Pairs) -> None:
    assert pairs.best() == pytest.approx(
        0.925
    )  # one false reject of four; above 1.1 two false accepts of five


def test_the_strictest_threshold_accepts_what_same_person_accepts(pairs: Pairs) -> None:
    assert pairs.false_rejects(pairs.strictest()) == pairs.false_rejects(1)
    assert pairs.false_rejects(pairs.strictest() - 1e-6) == pairs.false_rejects(1) + 1


def test_distances_are_shares_of_same_person_and_pairs_of_people() -> None:
    vectors = np.array([[0.0, 0.0], [0.3, 0.4], [3.0, 4.0]])
    found = measure_pairs(vectors, ["a", "a", "b"], 2.0)
    assert found.same.tolist() == pytest.approx([0.25])
    assert found.different.tolist() == pytest.approx([2.25, 2.5])


def test_the_table_gives_the_distance_of_each_share(pairs: Pairs) -> None:
    (row,) = [line for line in pairs_table(pairs, 0.5) if line.startswith("| 1.00 ")]
    assert row == "| 1.00 | 0.500 | 2 of 5 | 1 of 4 | 0.675 |"
