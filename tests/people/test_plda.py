"""The log-likelihood ratio of two groups agrees with the model's densities, for every embedder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec.people.plda import Groups, reliability
from facerec.settings import ClusterSettings
from tests.merged_folder import person
from tests.people.plda_reference import SAME_PERSON, log_likelihood, observations

PAIR = np.array([[0, 1]])


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10_000))
def test_the_ratio_is_the_likelihood_of_one_person_over_that_of_two(a: int, b: int, seed: int) -> None:
    vectors, reliabilities = observations(a + b, seed)
    single = Groups.from_observations(vectors, reliabilities, SAME_PERSON, np.inf)
    groups = single.merged(np.repeat([0, 1], [a, b]))
    two_people = log_likelihood(vectors[:a], reliabilities[:a]) + log_likelihood(
        vectors[a:], reliabilities[a:]
    )
    ratio = float(groups.pair_log_likelihood_ratio(PAIR)[0])
    assert ratio == pytest.approx(log_likelihood(vectors, reliabilities) - two_people, abs=2e-3)


@pytest.mark.parametrize("same_person", [0.43, 1.05, 1.16])
def test_distances_count_as_multiples_of_the_embedders_same_person(same_person: float) -> None:
    def ratio(unit: float) -> float:
        """The ratio of two faces 0.7 units apart."""
        cosine = 1 - (0.7 * unit) ** 2 / 2
        vectors = np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)]], np.float32)
        groups = Groups.from_observations(vectors, np.full(2, 0.5), unit, np.inf)
        return float(groups.pair_log_likelihood_ratio(PAIR)[0])

    assert ratio(same_person) == pytest.approx(ratio(1.0), abs=1e-3)


def test_an_observation_without_reliability_changes_nothing() -> None:
    vectors = np.repeat(person(0, 8)[None], 2, axis=0)
    groups = Groups.from_observations(vectors, np.array([0.5, 0.0]), SAME_PERSON, np.inf)
    assert groups.pair_log_likelihood_ratio(PAIR)[0] == pytest.approx(0, abs=1e-4)


def test_pairs_compared_in_parts_have_the_same_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, reliabilities = observations(6, 1)
    groups = Groups.from_observations(vectors, reliabilities, SAME_PERSON, 2.0)
    pairs = np.column_stack(np.triu_indices(6, 1))
    whole = groups.pair_log_likelihood_ratio(pairs)
    monkeypatch.setattr("facerec.people.plda._PAIRS_PER_BLOCK", 4)
    assert groups.pair_log_likelihood_ratio(pairs).tolist() == whole.tolist()
    assert groups.pair_log_likelihood_ratio(pairs[:0]).tolist() == []


def test_reliability_grows_with_quality_from_0_towards_its_maximum() -> None:
    chosen = ClusterSettings()
    values = reliability(np.array([0, chosen.half_quality, 1.0]), chosen)
    assert values[:2].tolist() == pytest.approx([0, chosen.max_reliability / 2])
    assert 0.9 * chosen.max_reliability < values[2] < chosen.max_reliability
