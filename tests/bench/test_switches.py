"""Where one face turns into another, no trajectory shows two people and no name lies over another face."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.switch_rates import measure
from bench.switches import (
    BLACK,
    MOVIE,
    Scene,
    Score,
    all_scenes,
    portrait,
    run_stages,
    score,
    write_database,
    write_film,
)
from facerec.settings import ShotSettings, TrackSettings

PEOPLE = (
    "lin-manuel-miranda.png",
    "alex-lacamoire.png",
    "obama.jpg",
    "biden.jpg",
    "knn_examples_train_rose_leslie_img2.jpg",
    "knn_examples_test_johnsnow_test1.jpg",
)


def test_a_scene_knows_which_frames_are_blended() -> None:
    scene = Scene("A B A", (0, 1, 0), 3, 0.0)
    assert scene.length == 126
    shown = [scene.shown(frame) for frame in range(scene.length)]
    assert shown[39:44] == [(0, 0.0), (0, 0.25), (0, 0.5), (0, 0.75), (1, 0.0)]
    assert shown[-1] == (2, 0.0)
    hard = Scene("A B", (0, 1), 0, 0.0)
    assert [hard.shown(frame) for frame in (39, 40, 79)] == [(0, 0.0), (1, 0.0), (1, 0.0)]


def test_simulated_people_are_told_apart_and_one_person_is_not_split() -> None:
    """The rates on 2,000 trajectories of each kind are in bench/README.md."""
    rates = measure(300, seed=1)
    assert rates["A"].split <= 3
    for kind in ("A B", "A B A", "A B C"):
        assert rates[kind].found >= 0.8 * rates[kind].trajectories
        assert rates[kind].split <= 0.02 * rates[kind].trajectories


def found_in(tmp_path: Path, people: Path, scenes: list[Scene], models: list[str]) -> list[Score]:
    """Make a film of the scenes, run all stages on it, and score each kind of scene."""
    film = tmp_path / f"{MOVIE}-Switches.mp4"
    portraits = [people / name for name in PEOPLE]
    write_film(film, scenes, [portrait(path, models[1]) for path in portraits])
    write_database(tmp_path / "actor_db", portraits)
    return list(score(run_stages(tmp_path, film, tmp_path / "actor_db", models), scenes).values())


def assert_nobody_is_mixed(found: list[Score]) -> None:
    for row in found:
        assert row.mixed == 0
        assert row.wrong == 0
        assert row.right == row.frames >= 39 * row.stretches
        assert row.trajectories - row.blended == row.stretches, "each stretch is one trajectory"
        # a cut divides each dissolve, and on both sides of it the other shot's face may be seen, too
        assert row.blended <= 2 * row.dissolves


def offline_models(shared: Path, kind: str) -> list[str]:
    if kind == "packaged":
        return ["--detector", "mtcnn", "--embedder", "dlib"]
    weights = shared / "data" / "weights"
    yunet, arcface = weights / "face_detection_yunet_2026may.onnx", weights / "MobileFaceNet.onnx"
    return ["--detector", f"yunet:{yunet}", "--embedder", f"arcface:{arcface}"]


def test_the_black_between_two_scenes_is_neither_a_flash_nor_bridged() -> None:
    """Two scenes may show one person on both sides of it."""
    assert max(ShotSettings().max_flash, TrackSettings().max_gap) < BLACK


def test_somebody_who_dissolves_into_another_and_back_is_never_named_over_the_other(
    shared: Path, tmp_path: Path
) -> None:
    scenes = [Scene("A B A", (0, 2, 0), 12, 0.0)]
    models = offline_models(shared, "beside")
    assert_nobody_is_mixed(found_in(tmp_path, shared / "data" / "people", scenes, models))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["beside", "packaged"])
def test_no_trajectory_shows_two_people_whatever_the_change_between_them(
    shared: Path, tmp_path: Path, kind: str
) -> None:
    scenes = all_scenes(len(PEOPLE), (0, 8, 12, 24, 48) if kind == "beside" else (0, 12, 48))
    found = found_in(tmp_path, shared / "data" / "people", scenes, offline_models(shared, kind))
    assert_nobody_is_mixed(found)
