"""The saved faces of a folder are pooled by the trajectory in which they were detected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facerec.folder.readers import read_trajectories
from facerec.people.loading import load_faces, load_trajectory_vectors
from facerec.settings import VectorSettings
from tests.merged_folder import Seen, merged_folder, person


def test_each_face_belongs_to_the_trajectory_of_its_box_in_its_frame(tmp_path: Path) -> None:
    """1 is beside 0 in the same frames, 2 later at the place of 0; of 3 the trajectory is left out."""
    seen = [Seen(0, 3), Seen(1, 3, x=200), Seen(2, 40), Seen(3, 60, x=300, sharpness=10.0)]
    folder = merged_folder(tmp_path, seen, spread=0.0)
    trajectories = read_trajectories(folder.trajectories, 7)[:3]
    undetected = trajectories[2].detected.copy()
    undetected[0] = False  # frame 40
    trajectories[2] = replace(trajectories[2], detected=undetected)
    of_face, embeddings, quality = load_faces(folder, trajectories, VectorSettings())
    assert of_face.tolist() == [0, 1] * 4 + [-1, 2, 2, 2] + [-1] * 4
    expected = [person(0), person(1)] * 4 + [person(2)] * 4 + [person(3)] * 4
    np.testing.assert_array_equal(embeddings, np.array(expected))
    sharp, blurred = (0.95 * s**2 / (s**2 + VectorSettings.half_sharpness**2) for s in (60.0, 10.0))
    size = 100 / (100 + VectorSettings.half_size)  # in pixels
    np.testing.assert_allclose(quality, size * np.array([sharp] * 12 + [blurred] * 4), rtol=1e-5)


def test_settings_decide_which_trajectories_are_usable(tmp_path: Path) -> None:
    folder = merged_folder(tmp_path, [Seen(0, 0), Seen(1, 0, x=200, sharpness=10.0)], spread=0.0)
    trajectories = read_trajectories(folder.trajectories, 7)
    found = load_trajectory_vectors(folder, trajectories)
    assert found.usable.tolist() == [True, True]
    np.testing.assert_allclose(found.vectors, [person(0), person(1)])
    least = float(found.quality.mean())
    strict = load_trajectory_vectors(folder, trajectories, VectorSettings(min_quality=least))
    assert strict.usable.tolist() == [True, False]


@pytest.mark.parametrize("seen", [[], [Seen(0, 1, length=3)]])
def test_films_without_saved_faces_have_no_vectors(seen: list[Seen], tmp_path: Path) -> None:
    folder = merged_folder(tmp_path, seen)
    found = load_trajectory_vectors(folder, read_trajectories(folder.trajectories, 7))
    assert found.vectors.shape == (len(seen), 0) and not found.usable.any()
