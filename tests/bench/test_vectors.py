"""The benchmark of trajectory vectors measures what it says, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.real_faces import unit
from bench.vectors import PLAIN, WAYS, Folder, area_under_curve, recognised

OURS = WAYS["both (facerec)"]


@pytest.fixture
def folder() -> Folder:
    """Six trajectories of twelve faces each, the even ones of low quality."""
    rng = np.random.default_rng(0)
    trajectory_of = np.repeat(np.arange(6), 12)
    faces = unit(np.eye(6, 64)[trajectory_of] + 0.2 * unit(rng.normal(size=(72, 64)))).astype(np.float32)
    return Folder(
        [f"p{t}" for t in range(6)],
        trajectory_of,
        faces,
        np.where(trajectory_of % 2, 0.6, 0.1).astype(np.float32),
    )


def test_a_pair_of_one_person_among_pairs_of_two_by_hand() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]], np.float32)
    # ada's pair at 0.8, bob's at 0.8; of the pairs of two 0, 0.6, 0.6 and 0.96, one is more alike
    assert area_under_curve(vectors, ["ada", "ada", "bob", "bob"]) == pytest.approx(0.75)


def test_without_noise_every_half_is_its_other_half_s(folder: Folder) -> None:
    hits, alike = recognised([folder], OURS, 0, 0, np.random.default_rng(0))
    assert hits == 1 and alike > 0.98


@pytest.mark.parametrize(("blurred", "slipped"), [(0.6, 0.0), (0.0, 0.3)])
def test_noise_takes_more_from_the_plain_mean_than_from_ours(
    folder: Folder, blurred: float, slipped: float
) -> None:
    _, ours = recognised([folder], OURS, blurred, slipped, np.random.default_rng(0))
    _, plain = recognised([folder], PLAIN, blurred, slipped, np.random.default_rng(0))
    quiet = recognised([folder], PLAIN, 0, 0, np.random.default_rng(0))[1]
    assert plain < ours < quiet + 1e-6
