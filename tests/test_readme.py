"""The commands, code and options in the README work as shown, and the example of docs/models.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from facerec.demo.film import FILM, demo_shots, write_film, write_gallery, write_tables
from facerec.folder.documents import scene_changes_bytes
from facerec.models.weights import CATALOGUE
from tests.conftest import ROOT
from tests.features.random_weights import random_state
from tests.films import make_film
from tests.movie_folder import Shown, movie_folder

README = (ROOT / "README.md").read_text()
MODELS = (ROOT / "docs" / "models.md").read_text()


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)


def python_example(word: str, page: str = README) -> str:
    """The example with a word, which has ten lines."""
    (example,) = (block for block in blocks("python", page) if word in block)
    assert sum(bool(line.strip()) for line in example.splitlines()) == 10
    return example


def test_the_example_with_tables_runs_as_it_stands(tmp_path: Path) -> None:
    film = make_film(tmp_path / "12345-Film.mp4", frames=100)
    pts = [512 * i for i in range(100)]
    shown = [Shown(0, 0, 60), Shown(1, 30, 60, x=100)]
    movie_folder(tmp_path / "data", shown, movie_id=12345, film=film, pts=pts, time_base="1/12800")
    done = subprocess.run(
        [sys.executable, "-c", python_example("open_movie")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"unknown 0 +none +2\.4 +0\.6 +1 ", done.stdout)
    assert re.search(r"unknown 0 +unknown 1 +1 +1\.2", done.stdout)
    assert PIL.Image.open(tmp_path / "star.jpg").size == (40, 50)
    assert PIL.Image.open(tmp_path / "frame.png").size == (640, 360)


def test_the_example_with_models_runs_as_it_stands(tmp_path: Path) -> None:
    from facerec.actors.database import ActorDatabase

    database = ActorDatabase(tmp_path / "actor_db")
    write_gallery(database.pictures)
    one, two = sorted(database.pictures.iterdir())
    shutil.copyfile(one, tmp_path / "one.jpg")
    shutil.copyfile(two, tmp_path / "two.jpg")
    done = subprocess.run(
        [sys.executable, "-c", python_example("load_detector", MODELS)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("two people")


@pytest.mark.slow
def test_each_stage_by_hand_runs_as_it_stands(tmp_path: Path) -> None:
    from facerec.actors.database import ActorDatabase

    (tmp_path / "facerec").symlink_to(ROOT / "facerec")
    database = ActorDatabase(tmp_path / "demo" / "actor_db")
    database.folder.parent.mkdir()
    write_tables(database)
    write_gallery(database.pictures)
    (tmp_path / "demo" / "films").mkdir()
    write_film(tmp_path / "demo" / "films" / FILM, demo_shots()[:2])
    (by_hand,) = (block for block in blocks("sh") if "./facerec/extract.py" in block)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", by_hand],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "will accept it" in done.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_commands_of_features_run_as_they_stand(tmp_path: Path) -> None:
    import torchvision

    for name in ("facerec", "slurm", "Makefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "films").mkdir()
    film = make_film(tmp_path / "films" / "12345-Title.mp4", frames=30, audio=True)
    folder = tmp_path / "data" / "12345-data"
    folder.mkdir(parents=True)
    (folder / "scene_changes.json").write_bytes(scene_changes_bytes(12345, [20]))
    (tmp_path / "videos.csv").write_text("video_path,feature_path\nfilms/12345-Title.mp4,title.npy\n")
    (tmp_path / "clips").mkdir()
    with tarfile.open(tmp_path / "clips" / "shard-000000.tar", "w") as archive:
        archive.add(film, "a.mp4")
    clips = [{"filename": "a.mp4", "id": "a", "segment": [0, 1]}]
    (tmp_path / "clips" / "shard-000000.json").write_text(json.dumps(clips))
    weights = tmp_path / "weights"
    weights.mkdir()
    networks = {"resnet152": torchvision.models.resnet152, "place": torchvision.models.resnet50}
    for kind, network in networks.items():
        made = network(num_classes=365 if kind == "place" else 1000)
        torch.save(random_state(made), weights / CATALOGUE[kind].files[0])
    (commands,) = (block for block in blocks("sh") if "make features" in block)
    first, rest = commands.split("\n", 1)
    assert first.startswith("make models")  # needs a network
    variables = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    variables |= {"FACEREC_WEIGHTS": str(weights), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-euc", rest], cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert np.load(folder / "shot_features" / "place" / "film.npy").shape == (3, 2048)
    assert np.load(tmp_path / "features" / "title.npy").shape == (1, 2048)
    assert len(np.load(tmp_path / "features" / "shard-000000.npz").files) == 2
    assert (
        "movie 12345, place, audio_stft: 64 shards\n  shards    number  which\n  done          64  0-63"
        in done.stdout
    )


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make ([a-z-]+)", README, re.M))))
def test_every_target_that_is_named_is_listed_by_make(target: str) -> None:
    listed = subprocess.run(
        ["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True
    ).stdout
    assert f"make {target} " in listed


def test_no_option_is_named_that_no_stage_has() -> None:
    stages = ("extract", "merge_shards", "cluster", "classify_knn", "prepare_actors", "check")
    stages += ("extract_features", "evaluate", "learn_from_labels", "export", "report", "add_movie")
    known = {"--help", "--no-deps"}
    for stage in stages:
        shown = subprocess.run(
            [sys.executable, f"facerec/{stage}.py", "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        known |= set(re.findall(r"--[a-z-]+", shown))
    assert set(re.findall(r"--[a-z-]+[a-z]", README)) <= known
