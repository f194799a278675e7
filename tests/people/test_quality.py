"""The quality of a face grows with score, sharpness, size and frontality."""

from __future__ import annotations

import numpy as np
import pytest

from facerec.people.quality import face_quality, frontality
from facerec.settings import VectorSettings
from tests.merged_folder import FRONTAL


def test_yaw_lowers_frontality_and_roll_and_scale_do_not() -> None:
    roll = np.array([[0, -1], [1, 0]], np.float32)
    profile = FRONTAL + np.array([[0, 0], [0, 0], [25, 0], [0, 0], [0, 0]], np.float32)
    values = frontality(np.array([FRONTAL, FRONTAL @ roll, FRONTAL * 3, profile]))
    assert values[:3] == pytest.approx([1, 1, 1])
    assert values[3] < 0.4


def test_a_face_turned_by_about_45_degrees_has_its_nose_below_an_eye() -> None:
    half = (FRONTAL[1] - FRONTAL[0]) / 2  # the distance of an eye from the middle of both
    turned = FRONTAL.copy()
    turned[2] += half
    found = frontality(np.array([turned, 0.01 * turned]))
    assert found == pytest.approx([0.2 + 0.8 * np.exp(-1)] * 2, rel=1e-3)


def test_a_face_in_profile_has_a_fifth_of_the_quality() -> None:
    profile = FRONTAL + np.array([[0, 0], [0, 0], [99, 0], [0, 0], [0, 0]], np.float32)
    one = np.ones(2, np.float32)
    front, side = face_quality(one, 50 * one, 80 * one, np.array([FRONTAL, profile]), VectorSettings())
    assert side == pytest.approx(front / 5, rel=0.01) and 0 < side < front <= 1


def test_the_quality_is_the_product_of_its_factors() -> None:
    """By hand: a score of 0.9, twice the sharpness and three times the size that halve it, from the front."""
    ones = np.ones(3, np.float32)
    scores = np.array(
        [0.9, 1.5, -0.5], np.float32
    )  # a score above 1 says no more than 1, one below 0 nothing
    found = face_quality(scores, 16 * ones, 96 * ones, np.array([FRONTAL] * 3), VectorSettings())
    sharp, large = 16**2 / (16**2 + 8**2), 96 / (96 + 32)
    assert found.tolist() == pytest.approx([0.9 * sharp * large, sharp * large, 0])
    assert found.dtype == np.float32


@pytest.mark.parametrize("better", [{"scores": 0.95}, {"sharpness": 200.0}, {"sizes": 150.0}])
def test_a_better_face_has_more_quality(better: dict[str, float]) -> None:
    face = {"scores": 0.7, "sharpness": 8.0, "sizes": 30.0}

    def quality(values: dict[str, float]) -> float:
        arrays = {key: np.array([value], np.float32) for key, value in values.items()}
        return float(face_quality(**arrays, keypoints=FRONTAL[None], settings=VectorSettings())[0])

    assert 0 < quality(face) < quality({**face, **better}) <= 1
