"""A folder for the labeling backend is whole or not there, readable, and never silently replaced."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from facerec import check, handover
from facerec.folder.layout import MovieFolder
from facerec.support.cli import run_main
from tests.conftest import ROOT
from tests.folders import make_cast, make_folder

FILES = {"trajectories.jsonl", "clusters.json", "predictions.json", "images"}


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    folder = make_folder(tmp_path / "data")
    make_cast(tmp_path / "actor_db")
    return folder


def run(folder: MovieFolder, *more: str) -> int:
    at = folder.path.parent.parent
    words = ["--path", str(folder.path), "--to", str(at / "to"), "--actor-db", str(at / "actor_db")]
    return run_main(handover.main, [*words, *more])


def copy_of(folder: MovieFolder) -> MovieFolder:
    return MovieFolder(folder.path.parent.parent / "to" / folder.path.name)


def test_just_what_the_backend_reads_is_handed_over_and_check_knows_it(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder) == 0
    out = capsys.readouterr().out
    assert out.startswith("movie 7: ") and "the labeling backend will accept it: 1 movie" in out
    made = copy_of(folder)
    assert {path.name for path in made.path.iterdir()} == FILES
    assert {path.name for path in made.path.parent.iterdir()} == {"7-data"}
    assert {path.name: path.read_bytes() for path in made.images.iterdir()} == {
        path.name: path.read_bytes() for path in folder.images.iterdir()
    }
    assert check.main([str(made.path), "--actor-db", str(folder.path.parent.parent / "actor_db")]) == 0
    assert "will accept it: 3 trajectories, 2 clusters" in capsys.readouterr().out
    assert run(folder) == 0 and "nothing changed" in capsys.readouterr().out


@pytest.mark.parametrize("link", [(), ("--link",)])
def test_everybody_may_read_a_copy_whatever_the_umask(folder: MovieFolder, link: tuple[str, ...]) -> None:
    for path in folder.path.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    before = os.umask(0o077)
    try:
        assert run(folder, *link) == 0
    finally:
        os.umask(before)
    to = copy_of(folder).path.parent
    for path in (to, *to.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
    assert folder.clusters.stat().st_mode & 0o777 == 0o600  # a link would have changed the source


def test_links_are_used_where_everybody_may_read_the_file(folder: MovieFolder) -> None:
    folder.clusters.chmod(0o644)
    folder.trajectories.chmod(0o600)
    assert run(folder, "--link") == 0
    made = copy_of(folder)
    assert made.clusters.samefile(folder.clusters) and not made.trajectories.samefile(folder.trajectories)


def test_new_names_replace_old_ones_but_other_clusters_need_overwrite(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    made = copy_of(folder)
    shutil.copytree(folder.path, folder.path.parent / "kept")
    assert run(folder) == 0
    made.predictions.write_text(made.predictions.read_text().replace("0.9", "0.8"))  # as if names were learnt
    assert run(folder) == 0
    assert "restart the labeling backend" in capsys.readouterr().err
    assert made.predictions.read_bytes() == folder.predictions.read_bytes()
    (old,) = (made.path.parent / "previous").iterdir()
    assert b"0.8" in (old / "predictions.json").read_bytes()
    next(made.images.iterdir()).unlink()
    state = {path.name for path in made.images.iterdir()}
    assert run(folder) == 1 and "--overwrite replaces it" in capsys.readouterr().err
    assert {path.name for path in made.images.iterdir()} == state
    assert run(folder, "--overwrite") == 0 and {path.name for path in made.images.iterdir()} > state


@pytest.mark.parametrize("lost", ["predictions.json", "manifest.json", "quality.jsonl"])
def test_a_broken_folder_is_not_handed_over(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    (folder.path / lost).unlink()
    assert run(folder) == 1
    assert lost in capsys.readouterr().err and not copy_of(folder).path.exists()


def test_a_film_without_a_face_is_not_handed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path / "data", faces=())
    make_cast(tmp_path / "actor_db")
    assert run(folder) == 1 and "the film has no face" in capsys.readouterr().err
    assert not copy_of(folder).path.exists()


def test_a_failure_while_copying_leaves_nothing(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, copied = shutil.copyfile, []

    def fail(source: Path, target: Path) -> None:
        copied.append(source)
        if len(copied) == 4:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr("facerec.annotations.handover.shutil.copyfile", fail)
    assert run(folder) == 1 and "No space left on device" in capsys.readouterr().err
    assert [path.name for path in copy_of(folder).path.parent.iterdir()] == []


def test_a_process_that_is_killed_while_copying_leaves_no_movie(folder: MovieFolder) -> None:
    at = folder.path.parent.parent
    code = (
        "import os, shutil, sys; from facerec import handover; real = shutil.copyfile\n"
        "def kill(source, target):\n"
        "    os.kill(os.getpid(), 9) if 'predictions' in str(source) else real(source, target)\n"
        "shutil.copyfile = kill; handover.main(sys.argv[1:])"
    )
    words = ["--path", str(folder.path), "--to", str(at / "to"), "--actor-db", str(at / "actor_db")]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == -9 and list((at / "to").glob("*-data")) == []
    assert run(folder) == 0  # what was left is removed
    assert {path.name for path in (at / "to").iterdir()} == {"7-data"}


def test_a_folder_in_which_stages_ran_is_never_replaced(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    at = folder.path.parent.parent
    into_itself = ["--path", str(folder.path), "--to", str(folder.path.parent)]
    assert run_main(handover.main, [*into_itself, "--actor-db", str(at / "actor_db")]) == 1
    assert "holds the movie folder itself" in capsys.readouterr().err
    shutil.copytree(folder.path, at / "to" / "7-data")
    assert run(folder, "--overwrite") == 1
    assert "stages ran" in capsys.readouterr().err and (at / "to" / "7-data" / "manifest.json").exists()


def test_make_asks_where_to_and_names_the_variable(folder: MovieFolder) -> None:
    at = folder.path.parent.parent
    (at / "films").mkdir()
    (at / "films" / "7-Film.mp4").write_bytes(b"film")
    command = ["make", "-s", "-C", str(ROOT), "handover", f"PYTHON={sys.executable}", "MOVIE=7"]
    command += [f"OUT={at / 'data'}", f"FILMS={at / 'films'}", f"ACTOR_DB={at / 'actor_db'}"]
    env = {name: text for name, text in os.environ.items() if not name.startswith(("FACEREC_", "MAKE"))}

    def make(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *words], env=env, capture_output=True, text=True, check=False)

    assert "where to? Give TO=DIR" in make().stderr
    done = make(f"TO={at / 'to'}")
    assert done.returncode == 0 and "will accept it: 1 movie" in done.stdout, done.stderr
    next(copy_of(folder).images.iterdir()).unlink()
    assert "OVERWRITE=1 replaces it" in make(f"TO={at / 'to'}").stderr
    assert make(f"TO={at / 'to'}", "OVERWRITE=1").returncode == 0
