"""The demo's film is as described, its mistakes are reported, and it overwrites no other files."""

from __future__ import annotations

import copy
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from facerec.actors.aspect_ratios import read_aspect_rows
from facerec.actors.database import ActorDatabase
from facerec.demo.film import (
    COLLINS,
    FILM,
    FPS,
    HEIGHT,
    HOPPER,
    WIDTH,
    Shot,
    cut_frames,
    demo_shots,
    photographs,
    write_film,
    write_gallery,
    write_tables,
)
from facerec.demo.result import find_mistakes
from facerec.demo.stages import MIN_FACE_SIZE, make_demo_folder, run_command
from facerec.errors import FacerecError, InputError
from facerec.folder.records import Trajectory
from facerec.reporting.overview import ClusterView, Overview
from tests.conftest import ROOT
from tests.schemas import json_files, schema_errors


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    return demo_shots()


def frame(shot: Shot, t: float) -> np.ndarray:
    return (np.clip(shot.view(t), 0, 1) * 255).astype(np.uint8)


def test_film_has_several_shots_with_and_without_people(shots: list[Shot]) -> None:
    seconds = sum(shot.frames for shot in shots) / FPS
    assert 12 <= seconds <= 20
    assert len(cut_frames(shots)) >= 3 and cut_frames(shots)[0] == shots[0].frames
    casts = [shot.cast for shot in shots]
    assert frozenset({COLLINS, HOPPER}) in casts and frozenset() in casts


def test_every_shot_moves_and_ends_with_a_hard_cut(shots: list[Shot]) -> None:
    ends = []
    for shot in shots:
        first, second, last = (frame(shot, t).astype(int) for t in (0, 1 / (shot.frames - 1), 1))
        assert 0 < np.abs(first - second).mean() < 20 and np.abs(first - last).mean() > 1
        ends.append((first, last))
    for (_, last), (first, _) in pairwise(ends):
        assert np.abs(last - first).mean() > 30


def test_film_shows_the_cast_of_each_shot(shots: list[Shot]) -> None:
    from facerec.actors.pictures import read_picture
    from facerec.models import load_detector, load_embedder

    detector = load_detector("mtcnn", device="cpu", min_face_size=MIN_FACE_SIZE)
    embedder = load_embedder("dlib", device="cpu")

    def people(picture: np.ndarray) -> np.ndarray:
        (found,) = detector.detect([picture])
        return embedder.embed(
            [embedder.crop(picture, b, k) for b, k in zip(found.boxes, found.keypoints, strict=True)]
        )

    known = {actor: people(read_picture(photographs()[actor]))[0] for actor in (COLLINS, HOPPER)}
    for shot in shots:
        vectors = people(frame(shot, 0.8))
        near = [
            {a for a, v in known.items() if np.linalg.norm(v - w) < embedder.same_person} for w in vectors
        ]
        assert len(vectors) == len(shot.cast) and set().union(*near) == shot.cast
        # relit, scaled, tilted or blurred, so never identical to the portrait
        assert all(np.linalg.norm(w - v) > 0.05 for w in vectors for v in known.values())


def test_encoded_film_has_every_frame_at_its_rate(tmp_path: Path, shots: list[Shot]) -> None:
    short = [replace(shot, frames=4) for shot in shots[:2]]
    write_film(tmp_path / FILM, short)
    with av.open(str(tmp_path / FILM)) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (WIDTH, HEIGHT, FPS)
        decoded = [f.to_ndarray(format="rgb24") for f in film.decode(video=0)]
    wanted = [frame(shot, i / 3) for shot in short for i in range(4)]
    assert len(decoded) == 8
    assert max(np.abs(a.astype(int) - b).mean() for a, b in zip(decoded, wanted, strict=True)) < 6


def test_tables_are_those_of_the_film(tmp_path: Path) -> None:
    made = ActorDatabase(tmp_path / "actor_db")
    write_tables(made)
    assert list(made.cast(1)) == [COLLINS, HOPPER]
    assert [(row.name, row.size) for row in read_aspect_rows(made.aspect_ratios)] == [(FILM, (WIDTH, HEIGHT))]
    pictures = made.folder / "pictures"
    write_gallery(pictures)
    assert {row["filename"] for _, row in made.read_images()} == {path.name for path in pictures.iterdir()}


def faultless(shots: list[Shot]) -> Overview:
    """The overview that a run without mistakes gives."""
    begins = [0, *cut_frames(shots)]
    clusters = []
    for cluster, actor in enumerate((COLLINS, HOPPER)):
        of_actor = [(b, s.frames) for b, s in zip(begins, shots, strict=True) if actor in s.cast]
        trajectories = tuple(
            Trajectory(0, 1, b + 3, np.zeros((n - 3, 4), np.int64), np.ones(n - 3, bool), WIDTH, HEIGHT)
            for b, n in of_actor
        )
        clusters.append(ClusterView(cluster, ((actor, 0.9),), trajectories, ((),) * len(trajectories)))
    return Overview(1, FILM, sum(s.frames for s in shots), Fraction(FPS), begins[1:], tuple(clusters))


def test_faultless_result_has_no_mistakes(shots: list[Shot]) -> None:
    assert find_mistakes(faultless(shots), shots) == []


@pytest.mark.parametrize("fault", ["unlikely", "missing", "swapped", "merged", "nobody_named", "cut_lost"])
def test_mistakes_in_the_result_are_reported(shots: list[Shot], fault: str) -> None:
    good = faultless(shots)
    one, other = good.clusters
    if fault == "unlikely":
        bad = replace(good, clusters=(replace(one, names=((COLLINS, 0.4),)), other))
    elif fault == "missing":
        bad = replace(good, clusters=(replace(one, trajectories=one.trajectories[1:]), other))
    elif fault == "swapped":
        bad = replace(good, clusters=(replace(one, names=other.names), replace(other, names=one.names)))
    elif fault == "merged":
        bad = replace(good, clusters=(replace(one, trajectories=one.trajectories + other.trajectories),))
    elif fault == "nobody_named":
        ghost = copy.copy(one.trajectories[0])
        ghost = replace(ghost, start=5)
        bad = replace(good, clusters=(replace(one, trajectories=(ghost, *one.trajectories)), other))
    else:
        bad = replace(good, cuts=good.cuts[1:])
    assert find_mistakes(bad, shots)


def test_only_an_earlier_demo_is_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="is not empty"):
        make_demo_folder(mine)
    assert (mine / "thesis.tex").read_text() == "precious"
    out = make_demo_folder(tmp_path / "demo")
    (out / "old").write_text("old")
    assert make_demo_folder(out) == out and not (out / "old").exists()
    with pytest.raises(InputError, match="is a file"):
        make_demo_folder(mine / "thesis.tex")


def test_failing_stage_is_an_error_with_its_log(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FacerecError, match=r"exit status 1 from: python -u \./facerec/merge_shards\.py"):
        run_command("merge_shards", "--path", "/nowhere/1-data")
    assert "/nowhere/1-data" in capfd.readouterr().err


def test_result_of_make_demo_fits_the_schemas() -> None:
    out = ROOT / "demo"
    if not (out / "1-data" / "predictions.json").is_file():
        pytest.skip("make demo has not run")
    assert len(list(json_files(out))) > 10
    assert schema_errors(out) == []
