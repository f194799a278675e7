"""The simulation reproduces the measured spread; figures count what their columns say."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from bench.clusters import Episode, methods, read_episode, scored, shown_pictures, simulate, unshared
from bench.learning import learned, named
from bench.real_faces import Faces, cosines_to_person, pairwise, unit
from facerec.errors import ContractError
from facerec.folder.records import Trajectory


def observations(rng: np.random.Generator, cosines: list[float], dimension: int = 512) -> np.ndarray:
    """Observations of one person at the given cosines, their deviations at right angles to each other."""
    basis = np.linalg.qr(rng.normal(size=(dimension, len(cosines) + 1)))[0].T
    c = np.array(cosines)[:, None]
    return np.asarray(c * basis[0] + np.sqrt(1 - c**2) * basis[1:])


@pytest.fixture
def faces() -> Faces:
    rng = np.random.default_rng(0)
    people = unit(rng.normal(size=(30, 512)))
    return Faces(people, [np.array([[0.9, 0.5], [0.8, 0.4]])], unit(rng.normal(size=(40, 512))),
                 np.array([0.7]), 1.1)  # fmt: skip


def episode(tmp_path: Path, rows: str) -> Episode:
    path = tmp_path / "show_s01e01.csv.gz"
    path.write_bytes(gzip.compress(b"frame,track_id,x,y,w,h,identity,identity_bcl2019\n" + rows.encode()))
    (tmp_path / "show_s01e01.shots.txt").write_text("50\tCUT\n")
    return read_episode(path)


def test_a_poor_observation_does_not_lower_the_good_ones() -> None:
    rng, half = np.random.default_rng(0), np.full(3, 0.5)
    assert np.allclose(
        cosines_to_person(observations(rng, [0.9, 0.8, 0.1]), half), [0.9, 0.8, 0.1], atol=0.01
    )
    assert np.allclose(cosines_to_person(observations(rng, [0.8, 0.8]), half[:2]), 0.8)
    assert not cosines_to_person(observations(rng, [0.9]), half[:1]).any()


def test_of_two_observations_the_one_of_lower_quality_gets_the_lower_cosine() -> None:
    good, poor = cosines_to_person(observations(np.random.default_rng(0), [0.8, 0.3]), np.array([0.6, 0.1]))
    assert good * poor == pytest.approx(0.8 * 0.3)
    assert good > 0.7 > 0.4 > poor


def test_deviations_are_similar_within_a_scene_only(faces: Faces) -> None:
    faces = Faces(faces.people, [np.array([[0.8, 0.4]])], faces.deviations, faces.within, 1.1)
    scenes = np.repeat([0, 1], 100)
    vectors, _ = simulate(["ada"] * 200, faces, 1.0, np.random.default_rng(0), scenes, 0.5)
    within, across = pairwise(vectors[:100]), np.linalg.norm(vectors[:100] - vectors[100:], axis=1)
    assert np.median(across) == pytest.approx(np.sqrt(2 - 2 * 0.64), rel=0.05)
    assert np.median(within) == pytest.approx(np.sqrt(2 - 2 * (0.64 + 0.36 * 0.5)), rel=0.05)


@pytest.mark.parametrize("spread", [0.8, 1.0, 1.2])
def test_distances_of_simulated_observations_scale_with_the_spread(faces: Faces, spread: float) -> None:
    faces = Faces(faces.people, [np.array([[0.8, 0.4]])], faces.deviations, faces.within, 1.1)
    vectors, quality = simulate(["ada"] * 300, faces, spread, np.random.default_rng(1))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5) and set(quality.tolist()) == {
        np.float32(0.4)
    }
    assert np.median(pairwise(vectors.astype(float))) == pytest.approx(
        spread * np.sqrt(2 - 2 * 0.8**2), rel=0.02
    )


def test_unknown_people_are_each_somebody_else(faces: Faces) -> None:
    vectors, _ = simulate([None] * 20 + ["ada", "ada"], faces, 0.5, np.random.default_rng(1))
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    assert distances[20, 21] < 0.6 < 0.9 < distances[np.triu_indices(20, 1)].min()


def test_more_people_than_were_measured_are_all_different(faces: Faces) -> None:
    names = [f"p{i}" for i in range(40)]
    vectors, _ = simulate(names, faces, 0.01, np.random.default_rng(1))
    assert pairwise(vectors.astype(float)).min() > 0.8


def test_an_episode_is_read_with_what_the_page_would_show(tmp_path: Path) -> None:
    rows = "".join(f"{f},b,10.4,0,20,30.6,Unknown,x\n" for f in (51, 52, 53, 54, 55))
    rows += "".join(f"{f},a,0,0,20,30,Ada,x\n" for f in range(12)) + "61,c,0,0,9,9,ada,x\n"
    made = episode(tmp_path, rows)
    assert (made.identities, made.cuts) == (["ada", None], [50])  # of c no picture is saved
    assert [shown_pictures(one) for one in made.tracks] == [2, 1]
    assert made.tracks[1].boxes[0].tolist() == [10, 0, 30, 31]


@pytest.mark.parametrize("row", ["x,a,0,0,1,1,ada,x", "1,a,0,0,1,nine,ada,x", "1,a,0,0"])
def test_a_bad_row_of_an_episode_is_refused_by_its_line(tmp_path: Path, row: str) -> None:
    with pytest.raises(ContractError) as error:
        episode(tmp_path, f"0,a,0,0,1,1,ada,x\n{row}\n")
    assert error.value.line == 3


def test_figures_leave_unknown_people_out_and_count_pictures(tmp_path: Path) -> None:
    def track(index: int, length: int) -> Trajectory:
        return Trajectory(index, 0, 0, np.zeros((length, 4), np.int64), np.ones(length, bool), 9, 9)

    tracks = [track(i, 20) for i in range(4)] + [track(4, 3)]
    made = Episode("e", tracks, ["ada", "ada", "bob", None, "bob"], [])
    figures = scored(unshared(np.array([0, 0, 0, 0, 1])), made)
    assert figures["wcp"] == 0.75 and figures["clusters_a_person"] == 1
    assert figures["clicks"] == 2 + 2  # both pictures of Bob among Ada's
    assert (
        scored(unshared(np.array([0, 0, 1, 0, 0])), made)["clicks"] == 2 + 1
    )  # the short one shows one picture


def test_every_method_labels_every_trajectory_and_tells_plain_cases_apart(
    faces: Faces, tmp_path: Path
) -> None:
    rows = "".join(
        f"{10 * t + f},{t},{100 * (t % 2)},0,90,90,{'ada' if t % 2 else 'bob'},x\n"
        for t in range(40)
        for f in range(8)
    )
    made = episode(tmp_path, rows)
    vectors, quality = simulate(made.identities, faces, 0.5, np.random.default_rng(0))
    for name, method in methods(vectors, quality, np.ones(40, bool), made, 1.1).items():
        pages = method()
        assert pages.labels.shape == (40,)
        assert scored(pages, made)["wcp"] == 1, name
    usable = np.arange(40) % 4 > 0
    chosen = {name: scored(method(), made) for name, method in
              methods(vectors * usable[:, None], quality, usable, made, 1.1).items()}  # fmt: skip
    assert chosen.keys() == {"facerec, --poor pages", "facerec, --poor alone"}
    shared, alone = chosen["facerec, --poor pages"]["pages"], chosen["facerec, --poor alone"]["pages"]
    assert shared == 2 + 1 and alone > shared


def test_labels_of_one_episode_name_the_next_better_than_distant_portraits(
    faces: Faces, tmp_path: Path
) -> None:
    """Ada's portrait is of another age; Bob's is good; one trajectory is a stranger's."""
    who = ["ada", "bob"] * 6 + ["unknown"]
    rows = "".join(f"{100 * t + f},{t},0,0,90,90,{name},x\n" for t, name in enumerate(who) for f in range(8))
    made = episode(tmp_path, rows)
    vectors, quality = simulate(made.identities * 2, faces, 0.8, np.random.default_rng(1))
    first, second = slice(0, 13), slice(13, 26)
    portraits = [("ada", -vectors[0]), ("bob", vectors[1])]
    before, strangers = named(made, vectors[second], quality[second], portraits, 1.1)
    assert (before.right, before.wrong, before.silent, strangers) == (6, 0, 6, 0)
    pictures = learned(0, made, vectors[first], quality[first], 2)
    assert sorted(name for name, _ in pictures) == ["ada", "ada", "bob", "bob"]
    after, strangers = named(made, vectors[second], quality[second], portraits + pictures, 1.1)
    assert (after.right, after.wrong, after.silent, strangers) == (12, 0, 0, 0)
