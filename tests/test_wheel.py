"""The package as it is installed: built as a wheel, in a separate environment, outside the repository."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from facerec.__main__ import COMMANDS
from facerec.demo.film import FILM
from tests.conftest import ROOT

SOURCES = ("facerec", "slurm", "pyproject.toml", "requirements.in", "README.md", "LICENSE")
NOT_OURS = shutil.ignore_patterns("__pycache__")
HEAVY = {"torch", "cv2", "av", "sklearn", "scipy", "numpy", "submitit"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves folders that a later build would include."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=NOT_OURS)
        else:
            shutil.copy(ROOT / name, copy)
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(copy)]
    subprocess.run([sys.executable, "-m", "pip", "-qq", *build], check=True)
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`facerec`, installed beside a Python that has the packages of this environment."""
    place = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    (purelib,) = place.glob("lib/python*/site-packages")
    (purelib / "others.pth").write_text("\n".join(site.getsitepackages()))
    install = ["--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "-qq", *install], check=True)
    return place / "bin" / "facerec"


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("FACEREC_", "PYTHON", "COLUMNS"))}
    env |= {"PYTHONDONTWRITEBYTECODE": "1", **variables}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    kept = [ROOT / package for package in ("facerec", "slurm")]
    ours = [path for folder in kept for path in folder.rglob("*") if "__pycache__" not in path.parts]
    assert packed == {str(path.relative_to(ROOT)) for path in ours if path.is_file()}


def test_help_lists_all_commands_and_imports_none(program: Path, tmp_path: Path) -> None:
    shown = run(program, "--help", cwd=tmp_path)
    assert shown.returncode == 0 and shown.stdout.startswith("usage: facerec COMMAND")
    listed = re.findall(r"^  (\w+) +(\S.*\S)$", shown.stdout, re.M)
    scripts = {path.stem for path in (ROOT / "facerec").glob("*.py") if "\ndef main(" in path.read_text()}
    assert [name for name, _ in listed] == list(COMMANDS) and {*COMMANDS} == scripts | {"demo", "slurm"}
    for name, line in listed:
        assert len(line) > 20 and line.endswith((".", "?")), name
    loaded = run(program.with_name("python"), "-X", "importtime", program, "--help", cwd=tmp_path).stderr
    assert not HEAVY & {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in loaded.splitlines()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_reached_and_named_in_its_usage(program: Path, tmp_path: Path, command: str) -> None:
    shown = run(program, command, "--help", cwd=tmp_path)
    assert shown.returncode == 0 and shown.stdout.startswith(f"usage: facerec {command} "), shown.stderr
    wrong = run(program, command, "--no-such-option", cwd=tmp_path)
    assert wrong.returncode == 2 and f"\nfacerec {command}: error: " in wrong.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word, meant", [("clusters", "cluster"), ("merge-shards", "merge_shards")])
def test_an_unknown_command_is_answered_with_the_nearest(
    program: Path, tmp_path: Path, word: str, meant: str
) -> None:
    refused = run(program, word, cwd=tmp_path)
    assert refused.returncode == 2 and not refused.stdout
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.startswith(f"facerec: error: unknown command '{word}'; did you mean {meant}?")


def test_errors_and_printed_commands_are_those_of_the_installed_program(
    program: Path, tmp_path: Path
) -> None:
    """In a working directory without the repository, with and without the command on the PATH."""
    refused = run(program, "check", "12-data", cwd=tmp_path)
    assert refused.returncode == 1 and not (tmp_path / "12-data").exists()
    ask = (
        "from facerec.models.weights import weights_folder; from facerec.support.shell import *;"
        "print(stage_command('cluster', '--help')); print(weights_folder());"
        "print(launcher_command('status', 'MOVIE=1', 'ACTOR_DB=a b'))"
    )
    for path in (os.environ["PATH"], f"{program.parent}{os.pathsep}{os.environ['PATH']}"):
        answer = run(program.with_name("python"), "-c", ask, cwd=tmp_path, PATH=path)
        stage, weights, launcher = answer.stdout.splitlines()
        name = "facerec" if str(program.parent) in path else str(program)
        assert (stage, weights) == (f"{name} cluster --help", str(tmp_path / "weights"))
        assert launcher == f"{name} slurm status --movie 1 --actor-db 'a b'"
        shown = run("bash", "-c", stage, cwd=tmp_path, PATH=path)
        assert shown.stdout.startswith("usage: facerec cluster "), shown.stderr
    missing = run(program, "extract", "1-x.mp4", "--device", "cpu", cwd=tmp_path)
    assert missing.stderr.startswith("facerec extract: error: 1-x.mp4"), missing.stderr


def test_weights_are_asked_for_by_a_command_that_is_there(program: Path, tmp_path: Path) -> None:
    ask = "from facerec.models import weights; weights.find_weights('yunet')"
    answer = run(program.with_name("python"), "-c", ask, cwd=tmp_path)
    assert f"run `{program} fetch_models yunet`" in answer.stderr
    named = run(program.with_name("python"), "-c", ask, cwd=tmp_path, FACEREC_WEIGHTS="/elsewhere")
    assert "ModelError: /elsewhere/" in named.stderr


@pytest.mark.slow
def test_film_gives_the_same_files_by_the_program_and_by_the_scripts(program: Path, tmp_path: Path) -> None:
    """`facerec demo` runs all stages of the installed package; the scripts do the film once more."""
    (environment,) = program.parents[1].glob("lib/python*/site-packages")
    before = {path: path.stat().st_mtime_ns for path in environment.rglob("*")}
    made = run(program, "demo", "--out", "demo", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert f"$ facerec cluster --path {tmp_path}/demo/1-data" in made.stdout
    assert {path: path.stat().st_mtime_ns for path in environment.rglob("*")} == before

    models = (
        "--detector",
        "mtcnn",
        "--embedder",
        "dlib",
        "--min-face-size",
        "40",
        "--actor-db",
        "demo/actor_db",
    )
    data = ("--path", "scripts/1-data")
    for stage, *words in (
        ("extract", "--shard", "0-3", "--n", "4", "--out", "scripts", *models, f"demo/films/{FILM}"),
        ("merge_shards", *data),
        ("cluster", *data),
        ("classify_knn", *data, "--actor-db", "demo/actor_db"),
    ):
        done = run(sys.executable, "-u", ROOT / "facerec" / f"{stage}.py", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    one, other = tmp_path / "demo" / "1-data", tmp_path / "scripts" / "1-data"
    for name in ("trajectories.jsonl", "features.jsonl", "clusters.json", "predictions.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert sorted(path.name for path in (one / "images").iterdir()) == sorted(
        path.name for path in (other / "images").iterdir()
    )
