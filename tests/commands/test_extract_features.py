"""extract_features.py on a movie that the other stages made: what it accepts, what it refuses."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facerec import extract_features
from facerec.errors import EXIT_RERUN
from facerec.feature_runs import loading
from facerec.folder.documents import scene_changes_bytes
from facerec.folder.layout import MovieFolder
from facerec.support.cli import run_main
from tests.conftest import ROOT
from tests.feature_runs.movies import contents
from tests.feature_runs.toys import Loudness, Numbers, Stateful, register
from tests.films import make_film
from tests.toy import MOVIE, Story, run_extract, run_merge

TOYS = {"numbers": Numbers, "stateful": Stateful, "loudness": Loudness}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a film and, in data, what extract.py and merge_shards.py made of it."""
    place = tmp_path_factory.mktemp("made")
    film = Story(40, cuts=(15, 30)).make(place / f"{MOVIE}-film.mp4")
    run_merge(run_extract(film, place / "data", 2))
    return place


@pytest.fixture
def place(made, tmp_path, monkeypatch) -> Path:
    """A copy of the data, beside the film, as the working directory."""
    shutil.copytree(made / "data", tmp_path / "data")
    shutil.copy2(made / f"{MOVIE}-film.mp4", tmp_path)
    monkeypatch.chdir(tmp_path)
    register(monkeypatch)
    monkeypatch.setattr(loading, "load_extractor", lambda spec, **_: TOYS[spec.partition(":")[0]]())
    return tmp_path


def run(*words: object, status: int = 0) -> None:
    assert run_main(extract_features.main, [*map(str, words)]) == status


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line that the command refuses with."""
    capsys.readouterr()
    run(*words, status=1)
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if "error:" in line]
    assert len(lines) == 1 and printed.out == "" and "Traceback" not in printed.err
    return lines[0]


FILM, FOLDER = f"{MOVIE}-film.mp4", f"data/{MOVIE}-data"


def test_features_of_a_merged_movie_by_its_film_or_its_folder(place, made, capsys):
    run("--features", "numbers,stateful", "--out", "data", FILM)
    assert f"movie {MOVIE}: numbers, stateful: 8 outputs (shots and film) finished" in capsys.readouterr().out
    assert np.load(f"{FOLDER}/shot_features/numbers/shot_00002.npy").shape == (5, 1)
    first = contents(place / FOLDER)
    shutil.rmtree(f"{FOLDER}/shot_features")
    run("--features", "numbers,stateful", "--path", FOLDER)  # the plan knows where the film is
    assert contents(place / FOLDER) == first
    Path(FILM).rename(f"{MOVIE}-Renamed.mp4")
    run("--features", "numbers", "--path", FOLDER, f"{MOVIE}-Renamed.mp4")
    assert contents(place / FOLDER) == first


def test_shards_share_the_work_and_the_last_one_joins(place, capsys):
    run("--features", "numbers,loudness", "--shard", "1", "--n", 2, FILM)
    assert "left to other shards or processes" in capsys.readouterr().out
    run("--features", "numbers,loudness", "--shard", "0", "--n", 2, FILM)
    assert "numbers, loudness: 8 outputs (shots and film) finished\n" in capsys.readouterr().out
    assert Path(f"{FOLDER}/shot_features/numbers/film.npy").is_file()


def test_another_film_than_the_plan_s_is_refused(place, capsys):
    make_film(Path(FILM), 40)
    line = refusal(capsys, "--features", "numbers", FILM)
    assert f"{FILM}: is not the film that" in line and "give that film" in line
    assert not Path(f"{FOLDER}/shot_features").exists()


def test_cuts_that_the_merge_did_not_write_are_refused(place, capsys):
    Path(f"{FOLDER}/scene_changes.json").write_bytes(scene_changes_bytes(MOVIE, [20]))
    line = refusal(capsys, "--features", "numbers", FILM)
    assert "scene_changes.json: not the file that merge_shards.py wrote" in line and "merge_shards" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--features", "numbers", "77-none.mp4"], "77-none.mp4: no such film"),
        (["--features", "numbers", "--out", "elsewhere", FILM], "elsewhere/77-data does not exist"),
        (["--features", "numbers"], "give a film, a list or tar files, or a movie folder with --path"),
        (["--features", "faces", FILM], "unknown feature 'faces'; valid names are resnet152, place"),
        (["--features", "numbers,numbers", FILM], "names numbers twice"),
        (["--features", ",", FILM], "names no feature"),
        (["--features", "numbers", "--layers", "0,2", FILM], "--layers: none of numbers has this option"),
        (["--features", "numbers", "--layers", "a", FILM], "--layers a: give numbers of layers"),
        (["--features", "numbers", "--step", "0", FILM], "--step 0: must be between 1 and 1000000"),
        (["--features", "numbers", "--step", "9" * 30, FILM], "must be between 1 and 1000000"),
        (["--features", "numbers", "--window", "0", FILM], "--window 0.0: must be between 1 and 1000000"),
        (["--features", "numbers", "--window", "1e300", FILM], "--window 1e+300: must be between 1"),
        (["--features", "numbers", "--threads", "-1", FILM], "--threads -1: must be between 0 and 256"),
        (["--features", "numbers", "--shard", "3", "--n", "2", FILM], "with --n 2 the shards are 0 to 1"),
    ],
)
def test_bad_arguments_give_one_line_and_write_nothing(place, capsys, words, message):
    assert message in refusal(capsys, *words)
    assert not Path(f"{FOLDER}/shot_features").exists()


def test_folder_that_was_not_merged_is_refused_with_the_way_out(place, capsys):
    Path(f"{FOLDER}/scene_changes.json").unlink()
    line = refusal(capsys, "--features", "numbers", FILM)
    assert "scene_changes.json: this file must exist" in line and "merge_shards.py" in line


def test_failed_shot_gives_status_1_and_a_reason_in_the_index(place, capsys, monkeypatch):
    run("--features", "numbers", FILM)
    number = int(np.load(f"{FOLDER}/shot_features/numbers/shot_00000.npy")[0, 0])
    shutil.rmtree(f"{FOLDER}/shot_features")
    monkeypatch.setattr(loading, "load_extractor", lambda spec, **_: Numbers(poison=number))
    run("--features", "numbers", FILM, status=1)
    assert "failed (reasons in " in capsys.readouterr().out
    assert '"reason":"NaN"' in Path(f"{FOLDER}/shot_features/index.jsonl").read_text()


def test_other_settings_are_refused_and_fresh_replaces_them(place, capsys):
    run("--features", "numbers", FILM)
    line = refusal(capsys, "--features", "numbers", "--float16", FILM)
    assert "format.float16 was false and is now true" in line and "--fresh" in line
    run("--features", "numbers", "--float16", "--l2", "--fresh", FILM)
    rows = np.load(f"{FOLDER}/shot_features/numbers/film.npy")
    assert rows.dtype == np.float16 and set(np.abs(rows).ravel()) <= {0, 1}


@pytest.mark.timeout(300)
def test_killed_or_preempted_process_is_continued_with_the_same_bytes(tmp_path):
    film = make_film(tmp_path / "7-Film.mp4", 1000, audio=True)
    results = {}
    for name, number, status in (
        ("killed", signal.SIGKILL, -signal.SIGKILL),
        ("preempted", signal.SIGTERM, EXIT_RERUN),
        ("undisturbed", None, 0),
    ):
        folder = MovieFolder(tmp_path / name / "7-data")
        folder.create()
        folder.scene_changes.write_bytes(scene_changes_bytes(7, range(5, 1000, 5)))
        command = [sys.executable, str(ROOT / "facerec" / "extract_features.py"), "--features", "audio_stft"]
        command += ["--out", str(tmp_path / name), str(film)]
        if number is not None:
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
                while process.poll() is None and not list(folder.path.rglob("shot_*.npy")):
                    time.sleep(0.01)
                process.send_signal(number)
                _, printed = process.communicate()
            assert process.returncode == status and "Traceback" not in printed
        subprocess.run(command, check=True)
        results[name] = contents(folder.path)
        assert not list(folder.path.rglob("*.part"))
    assert results["killed"] == results["preempted"] == results["undisturbed"]
    assert len(results["killed"]) == 200 + 3  # film, index and provenance
