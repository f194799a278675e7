"""A first-time user sees what is missing and the command that adds it, before hours are lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from facerec import doctor
from facerec.diagnosis import inputs, software
from facerec.support.cli import run_main
from facerec.support.shell import BY_LAUNCHER
from tests.conftest import ROOT
from tests.films import cut_off, make_film
from tests.folders import make_cast

MODELS = ("--detector", "mtcnn", "--embedder", "dlib")


def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    """Exit status and report, for the folders in `tmp_path`."""
    paths = [f"--{name}={tmp_path / folder}" for name, folder in FOLDERS.items()]
    status = run_main(doctor.main, [*paths, *MODELS, *more])
    return status, capsys.readouterr().out


FOLDERS = {"films": "films", "actor-db": "actor_db", "out": "data"}


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    make_film(folder / "77-film.mp4", frames=4)
    return folder


def test_missing_films_and_actors_are_reported_with_the_commands_that_add_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "films").mkdir()
    status, report = run(tmp_path, capsys)
    assert status == 1
    assert f"films      MISSING  {tmp_path}/films has no film" in report
    assert f"actors     MISSING  {tmp_path}/actor_db/actors.csv: no such file" in report
    add = report.partition("→ make add-movie MOVIE=12345 ACTOR_DB=")[2]
    assert "ADD_ARGS=--name TITLE --year YEAR --cast cast.csv --pictures pictures'" in add, (
        "a table has no title"
    )
    assert report.splitlines()[-1].startswith("2 missing, ")
    assert not (tmp_path / "actor_db").exists() and not (tmp_path / "data").exists(), "nothing is changed"


def test_a_film_that_cannot_be_read_is_named_beside_those_that_can(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut_off(films / "77-film.mp4", films / "78-torn.mp4", 0.3)
    (films / "77-film.srt").write_text("subtitles are no film")
    status, report = run(tmp_path, capsys)
    assert status == 1
    assert f"films      MISSING  {films}/78-torn.mp4: " in report
    assert f"ok       1 in {films} can be read: 77-film.mp4" in report


def test_two_films_of_one_movie_are_not_an_empty_shelf(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (films / "77-other.mkv").write_bytes(b"another film")
    status, report = run(tmp_path, capsys)
    assert status == 1
    assert "MISSING  several films of movie 77: none of them can be run" in report
    assert "has no film" not in report


def test_a_shelf_of_thousands_of_films_is_opened_in_part_and_listed_in_few_lines(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for movie in range(100, 120):
        (films / f"{movie}-no film.mp4").write_bytes(b"no film")
    monkeypatch.setattr(inputs, "MOST_FILMS", 11)
    status, report = run(tmp_path, capsys)
    assert status == 1 and report.count("no film.mp4: ") == 5
    assert "MISSING  5 more films cannot be read" in report
    assert "note     10 more films were not opened" in report
    assert "1 in " in report


def test_a_folder_that_may_not_be_listed_does_not_end_the_diagnosis(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("facerec.folder.films.os.scandir", refused)
        status, report = run(tmp_path, capsys)
    assert status == 1
    assert f"films      MISSING  {tmp_path}/films: Permission denied" in report
    assert "actors     MISSING" in report


def test_programs_that_print_nothing_or_other_bytes_and_a_torch_that_fails_are_no_crash(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> bool:
        raise RuntimeError("CUDA driver version is insufficient")

    program(tmp_path / "bin", "nvidia-smi", "exit 9")
    program(tmp_path / "bin", "sbatch", "true")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr("torch.cuda.is_available", fails)
    _, report = run(tmp_path, capsys)
    assert "note     nvidia-smi is here, but shows no GPU" in report
    assert "slurm      note     no sbatch" in report
    program(tmp_path / "bin", "nvidia-smi", r"printf 'NVIDIA \377\n'")
    _, report = run(tmp_path, capsys)
    assert "but torch finds none (torch fails: CUDA driver version is insufficient)" in report


def test_a_film_without_a_number_is_no_fault_but_gets_the_command_that_numbers_it(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_film(films / "Cool Movie Film (1998).mp4", frames=4)
    _, report = run(tmp_path, capsys)
    assert "note     without a movie id in the name: Cool Movie Film (1998).mp4" in report
    command = f"make add-movie MOVIE=12345 ACTOR_DB={tmp_path}/actor_db 'ADD_ARGS=--film "
    assert command in report


def test_pictures_that_were_not_embedded_are_missing(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cast(tmp_path / "actor_db")
    (tmp_path / "actor_db" / "actor_embeddings.jsonl").unlink()
    status, report = run(tmp_path, capsys)
    assert status == 1
    assert "the pictures are not embedded" in report
    assert "--embedder dlib" in report.partition("not embedded")[2]


def test_an_empty_database_lacks_a_cast(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(
        ROOT / "actor_db", tmp_path / "actor_db", ignore=shutil.ignore_patterns("actor_embeddings*")
    )
    status, report = run(tmp_path, capsys)
    assert status == 1 and "actor_db/actors.csv: has no row yet" in report
    add = report.partition("has no row yet")[2].partition("→ make add-movie MOVIE=77 ")[2]
    assert "--name TITLE --year YEAR" in add


def test_pictures_that_are_not_there_are_missing_although_they_were_embedded(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_cast(tmp_path / "actor_db")
    names = [row["filename"] for _, row in database.read_images()]
    database.picture(names[0]).unlink(missing_ok=True)
    for name in names[1:]:
        database.pictures.mkdir(exist_ok=True)
        (database.pictures / name).write_bytes(b"a picture")
    monkeypatch.setenv(BY_LAUNCHER, "1")
    status, report = run(tmp_path, capsys)
    assert status == 1
    assert f"MISSING  1 of {len(names)} pictures not in {database.pictures}: {names[0]}" in report
    assert f"then: make prepare ACTOR_DB={database.folder} DETECTOR=mtcnn EMBEDDER=dlib" in report


def test_pictures_that_were_added_since_are_missing(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    database = make_cast(tmp_path / "actor_db")
    lines = database.embeddings.read_bytes().splitlines(keepends=True)
    database.embeddings.write_bytes(b"".join(lines[1:]))
    database.pictures.mkdir(exist_ok=True)
    for _, row in database.read_images():
        (database.pictures / row["filename"]).write_bytes(b"a picture")
    status, report = run(tmp_path, capsys)
    name = json.loads(lines[0])["image"]
    assert status == 1 and f"MISSING  1 of {len(lines)} pictures not embedded: {name}" in report
    assert "--embedder dlib" in report.partition("not embedded")[2] and not caplog.messages


def test_a_missing_folder_of_films_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, report = run(tmp_path, capsys)
    said = [line for line in report.splitlines() if "FILMS=" in line or "--films" in line]
    assert f"films      MISSING  {tmp_path}/films: no such folder\n" in report
    assert len(said) == 1 and "put films there, named 12345-Title.mp4, or give their folder" in said[0]


def test_pictures_embedded_by_another_embedder_are_missing_with_the_command_that_embeds_them(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = make_cast(tmp_path / "actor_db")
    embedder = {"kind": "dlib", "sha256": "55533b28a958", "dimension": 8}
    database.embeddings_meta.write_text(json.dumps({"embedder": embedder}))
    status, report = run(tmp_path, capsys, "--embedder", "facenet")
    assert status == 1
    assert (
        "was made with dlib (8-d, weights 55533b28a958), but a movie would be extracted with facenet"
        in report
    )
    assert "--embedder facenet" in report.partition("would be extracted")[2]


def test_a_movie_without_a_cast_is_noted(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cast(tmp_path / "actor_db")
    _, report = run(tmp_path, capsys)
    assert "note     no cast for movie 77" in report
    assert "--name TITLE --year YEAR" in report.partition("make add-movie MOVIE=77 ")[2]


def test_a_cast_without_pictures_gets_the_command_that_adds_pictures_to_it(tmp_path: Path) -> None:
    database = make_cast(tmp_path / "actor_db")
    database.images.write_text("actor_id,movie_id,filename\n")
    movie = min(movie for _, movie, _ in database.read_actors())
    findings = inputs.check_actor_database(database.folder, tmp_path, "mtcnn", "dlib")
    (fix,) = (one.fix for one in findings if "nobody can be named" in one.text)
    assert fix == f"make add-movie MOVIE={movie} ACTOR_DB={database.folder} 'ADD_ARGS=--pictures pictures'"


def test_weights_that_are_missing_come_with_both_ways_out(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path / "none"))
    status, report = run(tmp_path, capsys, "--detector", "retinaface", "--embedder", "facesnet")
    assert status == 1
    assert f"MISSING  detector {tmp_path}/none/retinaface_resnet50_2020-07-20.pth: " in report
    assert "→ make models MODELS=retinaface; without a download: --detector mtcnn" in report
    assert "MISSING  embedder 'facesnet' is unknown" in report


def test_a_package_of_another_version_is_noted_and_a_missing_one_is_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = {**software.declared_packages(), "numpy": "1.0"}
    del versions["torch"]

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(software, "version", version)
    absent, other = software.check_packages()
    assert absent.state is software.missing("", "", "").state and "torch" in absent.text
    assert "numpy 1.0 instead of" in other.text and absent.fix == other.fix == "make env"


def test_a_driver_that_torch_does_not_fit_is_noted(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "nvidia-smi", "echo 'NVIDIA H100, 470.10, 81559 MiB'")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    _, report = run(tmp_path, capsys)
    assert "note     the driver shows NVIDIA H100, 470.10, 81559 MiB, but torch finds none" in report


def test_slurm_is_shown_with_its_partitions(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "sbatch", "echo slurm 23.11.4")
    program(tmp_path / "bin", "sinfo", "echo 'gpu* 4 nodes gpu:h100:8'")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    _, report = run(tmp_path, capsys)
    assert "slurm      ok       slurm 23.11.4; partitions: gpu* 4 nodes gpu:h100:8" in report
    program(
        tmp_path / "bin",
        "sinfo",
        "echo 'Unable to contact slurm controller' >&2; exit 1",
    )
    status, report = run(tmp_path, capsys)
    assert status == 1 and "sinfo shows no partition" in report


def test_make_doctor_runs_before_anything_is_installed_and_leaves_names_alone(tmp_path: Path) -> None:
    films = tmp_path / "a $HOME 'film'"
    films.mkdir()
    program(tmp_path / "bin", "bare-python", f'exec {sys.executable} -S "$@"')  # without packages
    bare = make_doctor(films, "PYTHON=/nowhere/python", f"BASE_PYTHON={tmp_path}/bin/bare-python")
    assert "packages   MISSING" in bare and "→ make env" in bare
    with_all = make_doctor(films, f"PYTHON={sys.executable}", "DETECTOR=mtcnn", "EMBEDDER=dlib")
    assert f"{films} has no film" in with_all


def make_doctor(films: Path, *variables: str) -> str:
    words = ["make", "doctor", f"FILMS={films}", *variables]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert "Traceback" not in result.stderr
    return result.stdout
