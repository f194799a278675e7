"""Faults that would end a chain after hours are found before anything is submitted or written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.collection import make_finished_movie
from facerec.actors.database import ActorDatabase
from facerec.demo.film import write_gallery, write_tables
from facerec.errors import InputError
from facerec.stages import PIPELINE
from slurm.collection import movies_to_run
from slurm.options import RunOptions
from slurm.preflight import movies_that_can_run
from slurm.records import RunFolder
from slurm.scheduler import Scheduler
from slurm.site_file import load_site
from tests.conftest import ROOT
from tests.films import make_film

DLIB = {"DETECTOR": "mtcnn", "EMBEDDER": "dlib", "LOCAL": "1"}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's actor database, for movie 1, embedded with dlib by `make prepare`."""
    database = ActorDatabase(tmp_path_factory.mktemp("cast") / "actor db")
    write_tables(database)
    write_gallery(database.pictures)
    done = make("prepare", database.folder.parent, ACTOR_DB=str(database.folder), **DLIB)
    assert done.returncode == 0 and "2 embedded with dlib" in done.stdout, done.stderr
    return database.folder


@pytest.fixture
def films(tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    make_film(tmp_path / "films" / "1-Film.mp4", frames=12)
    return tmp_path


def make(target: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    words = [f"{name}={value}" for name, value in variables.items()]
    env = {name: text for name, text in os.environ.items() if not name.startswith(("FACEREC_", "MAKE"))}
    command = ["make", "-s", "-C", str(ROOT), target, f"PYTHON={sys.executable}", *words]
    places = [f"FILMS={folder / 'films'}", f"OUT={folder / 'out'}"]
    return subprocess.run([*command, *places], env=env, capture_output=True, text=True, check=False)


def refused(folder: Path, **variables: str) -> str:
    """Run `make movie`, which must refuse and write nothing; return the line of its error."""
    done = make("movie", folder, **{"MOVIE": "1", **DLIB, **variables})
    assert done.returncode and not (folder / "out").exists(), done.stdout
    (line,) = (line for line in done.stderr.splitlines() if "error: nothing was started" in line)
    assert "Traceback" not in done.stderr
    return line


def test_a_missing_actor_database_is_found_before_extraction(films: Path) -> None:
    line = refused(films, ACTOR_DB=str(films / "none"))
    assert (
        "classify would fail" in line and "none/actors.csv: no such file" in line and "ACTOR_DB=DIR" in line
    )


def test_pictures_that_were_never_embedded_are_found_before_extraction(films: Path, embedded: Path) -> None:
    shutil.copytree(embedded, films / "db")
    (films / "db" / "actor_embeddings.jsonl").unlink()
    said = refused(films, ACTOR_DB=str(films / "db"))
    assert f"make prepare ACTOR_DB={films}/db " in said and said.endswith("EMBEDDER=dlib")


@pytest.mark.parametrize("by_hand", [False, True])
def test_another_embedder_than_the_actor_databases_is_found_before_extraction(
    films: Path, embedded: Path, shared: Path, by_hand: bool
) -> None:
    (weights,) = (shared / "data" / "weights").glob("MobileFaceNet.onnx")
    spec = f"arcface:{weights}"
    given = {"EXTRACT_ARGS": f"--embedder {spec}"} if by_hand else {"EMBEDDER": spec}
    line = refused(films, ACTOR_DB=str(embedded), **given)
    assert "was made with dlib" in line and "the film would be extracted with arcface" in line
    assert "make prepare 'ACTOR_DB=" in line and "EMBEDDER=arcface" in line


def test_a_movie_without_rows_in_the_actor_database_is_found_before_extraction(
    films: Path, embedded: Path
) -> None:
    (films / "films" / "1-Film.mp4").rename(films / "films" / "2-Film.mp4")
    line = refused(films, MOVIE="2", ACTOR_DB=str(embedded))
    assert "actors.csv has no row for movie 2" in line and "CLASSIFY_ARGS=--allow-unlisted" in line


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("EXTRACT_ARGS", "--save-every 0", "extract would fail: --save-every 0: must be at least 1"),
        ("EXTRACT_ARGS", "--face-threshold 7", "extract would fail: --face-threshold 7.0"),
        ("DETECTOR", "retina", "extract would fail: unknown model 'retina'"),
        ("MODELS", "buffalo", "extract would fail: MODELS=buffalo: no such pack; known packs are buffalo_l"),
        ("DEVICE", "gpu", "extract would fail: device 'gpu' is not one of"),
        ("DEVICE", "cuda", "extract would fail: device cuda was requested, but mtcnn and dlib"),
        ("MERGE_ARGS", "--max-gap -1", "merge would fail: max_gap must be at least 0"),
        ("CLUSTER_ARGS", "--treshold 1", "cluster would fail: unrecognized arguments: --treshold 1"),
        ("CLASSIFY_ARGS", "--k many", "classify would fail: argument --k: invalid int value: 'many'"),
        ("REPORT_ARGS", "--least 2", "report would fail: --least 2.0: must be a probability"),
    ],
)
def test_a_bad_argument_of_any_stage_is_found_before_extraction(
    films: Path, embedded: Path, variable: str, value: str, message: str
) -> None:
    detector = {} if variable != "DEVICE" or value != "cuda" else {"DETECTOR": "yunet"}
    if detector:
        message = message.replace("cuda was requested, but mtcnn", "cuda was requested, but yunet")
    assert message in refused(films, ACTOR_DB=str(embedded), **{**detector, variable: value})


def test_a_film_that_cannot_be_opened_is_found_before_extraction(films: Path, embedded: Path) -> None:
    (films / "films" / "1-Film.mp4").write_bytes(b"no film")
    assert "extract would fail" in refused(films, ACTOR_DB=str(embedded))


def test_a_film_without_a_display_size_is_named_before_extraction(films: Path, embedded: Path) -> None:
    shutil.copytree(embedded, films / "db")
    (films / "db" / "aspect_ratios.csv").unlink()
    done = make("movie", films, MOVIE="1", ACTOR_DB=str(films / "db"), CLUSTER_ARGS="--max-size 0", **DLIB)
    assert "aspect_ratios.csv: no row for a film of movie 1" in done.stderr
    assert not (films / "out").exists()


def test_one_unlisted_movie_stops_no_other(films: Path, embedded: Path) -> None:
    shutil.copyfile(films / "films" / "1-Film.mp4", films / "films" / "2-Film.mp4")
    done = make("movie", films, MOVIES="1 2", ACTOR_DB=str(embedded), SHARDS="1", WORKERS="1", **DLIB)
    assert done.returncode and "actors.csv has no row for movie 2" in done.stderr
    assert (films / "out" / "1-data" / "predictions.json").exists()
    assert not (films / "out" / "2-data").exists()
    assert "aspect_ratios.csv: no row for a film of movie 1" not in done.stderr


@pytest.mark.slow
def test_extract_tries_other_options_than_the_plans_before_it_submits(films: Path, embedded: Path) -> None:
    given = {**DLIB, "MOVIE": "1", "ACTOR_DB": str(embedded), "SHARDS": "1", "WORKERS": "1"}
    assert make("extract", films, **given).returncode == 0
    marker = next((films / "out" / "1-data" / "done").iterdir())
    marker.unlink()  # a plan, but no shard that is done
    done = make("extract", films, **given, EXTRACT_ARGS="--save-every 10")
    assert done.returncode and "or use FRESH=1 to discard" in done.stderr
    assert not marker.exists()


def test_a_wrong_movie_id_is_reported_as_a_missing_film_before_any_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def popen(*_: Any, **__: Any) -> None:
        pytest.fail("a stage was tried")

    monkeypatch.setattr(subprocess, "Popen", popen)
    (tmp_path / "films").mkdir()
    site = load_site(ROOT / "slurm" / "cluster.toml", [])
    options = RunOptions(tmp_path / "films", tmp_path / "out", tmp_path / "actor_db", site)
    with pytest.raises(InputError, match="no film of movie 77777: no file matches"):
        movies_that_can_run(options, {77777: PIPELINE.short_names})
    assert movies_that_can_run(options, {7: PIPELINE.short_names, 8: PIPELINE.short_names}) == []
    assert "no film of movie 8" in caplog.text


def test_only_stages_that_are_not_finished_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for movie in (1, 2, 3):
        make_finished_movie(tmp_path / "films", tmp_path / "out", movie, 4)
    RunFolder(tmp_path / "out", 2).movie_folder.predictions.unlink()
    shutil.rmtree(tmp_path / "out" / "3-data")
    site = load_site(ROOT / "slurm" / "cluster.toml", [])
    options = RunOptions(tmp_path / "films", tmp_path / "out", tmp_path / "actor_db", site)
    tried: list[list[str]] = []

    class Trial(subprocess.Popen[str]):
        def __init__(self, command: list[str], **options: Any) -> None:
            tried.append(command)
            super().__init__(["true"], **options)

    monkeypatch.setattr(subprocess, "Popen", Trial)
    for movies in ([1, 2], [1, 2, 3]):
        tried.clear()
        scheduler = Scheduler(site, None)
        todo = movies_to_run(options, movies, PIPELINE.short_names, scheduler, lambda _: None)
        assert movies_that_can_run(options, todo) == movies[1:]
        assert not any("1-data" in word for command in tried for word in command)
        scripts = [Path(word).stem for command in tried for word in command if word.endswith(".py")]
        naming = ["--embedder" in command for command in tried if "classify_knn" in " ".join(command)]
        if movies == [1, 2]:
            assert scripts == ["classify_knn", "report"] and naming == [False]  # the plan says which embedder
        else:
            assert sorted(scripts) == sorted([*(stage.name for stage in PIPELINE), "classify_knn"])
            assert naming == [False, True]
