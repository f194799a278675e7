"""A merge requires all shards of the plan, or names what is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facerec import extract, merge_shards
from facerec.folder.layout import MovieFolder
from facerec.merging import shard_results
from facerec.support.cli import run_main
from tests.conftest import ROOT
from tests.toy import MOVIE, Story, contents, results, run_extract, run_merge

N = 6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MovieFolder]:
    root = tmp_path_factory.mktemp("made")
    film = Story(24, cuts=(12,)).make(root / f"{MOVIE}-film.mp4")
    return film, run_extract(film, root / "out", N)


@pytest.fixture
def film(made: tuple[Path, MovieFolder]) -> Path:
    return made[0]


@pytest.fixture
def folder(made: tuple[Path, MovieFolder], tmp_path: Path) -> MovieFolder:
    """A copy of the folder whose six shards of four frames are done."""
    return MovieFolder(shutil.copytree(made[1].path, tmp_path / made[1].path.name))


def _refused(folder: MovieFolder, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[str, str]:
    """The error line of a merge that must change nothing, and what was logged before it."""
    before = contents(folder)
    capsys.readouterr()
    assert run_main(merge_shards.main, ["--path", str(folder.path), *more]) == 1
    assert contents(folder) == before
    *logged, line = capsys.readouterr().err.splitlines()
    return line, "\n".join(logged)


def _shard(folder: MovieFolder, shard: int) -> Any:
    return folder.shard(4 * shard, 4 * shard + 4)


def test_missing_shards_are_refused_as_a_range_list(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    for shard in (1, 2, 3, 5):
        _shard(folder, shard).marker.unlink()
    line, _ = _refused(folder, capsys)
    assert "shards 1-3,5 of 6 are not done" in line
    assert f"--shard 1-3,5 --n 6 --out {folder.path.parent}" in line


def test_damaged_shards_are_named_after_many_that_are_not_done(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_results, "_MAX_REASONS", 1)
    for shard in (0, 1, 2):
        _shard(folder, shard).marker.unlink()
    for shard in (4, 5):
        _flip(_shard(folder, shard).scene_changes)
    _, logged = _refused(folder, capsys)
    assert "shard 4: " in logged and "1 more damaged shards" in logged
    assert not any(f"shard {shard}: " in logged for shard in (0, 1, 2, 5))


def test_a_missing_shard_leaves_what_was_merged_before(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = results(run_merge(folder))
    _shard(folder, 4).marker.unlink()
    _refused(folder, capsys)
    assert results(folder) == before


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _line_gone(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def _edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE: dict[str, tuple[Callable[[MovieFolder], object], str]] = {
    "a flipped bit": (lambda f: _flip(_shard(f, 2).frame_records), "was changed"),
    "a line too few": (lambda f: _line_gone(_shard(f, 2).features), "was changed"),
    "a file gone": (lambda f: _shard(f, 2).trajectories.unlink(), "is missing"),
    "the pictures gone": (lambda f: _shard(f, 2).faces.unlink(), "faces/faces_77_8-12.zip is missing"),
    "the pictures cut short": (lambda f: _cut_short(_shard(f, 2).faces), "was changed"),
    "a picture changed and no larger": (lambda f: _flip(_shard(f, 2).faces), "was changed"),
    "another shard's marker": (
        lambda f: shutil.copyfile(_shard(f, 3).marker, _shard(f, 2).marker),
        "belongs to another shard",
    ),
    "a marker that is no JSON": (lambda f: _shard(f, 2).marker.write_text("done"), "damaged"),
    "a marker that is a list": (lambda f: _shard(f, 2).marker.write_text("[]"), "damaged"),
    "a marker of files elsewhere": (
        lambda f: _edit(_shard(f, 2).marker, '"features/', '"../features/'),
        "damaged",
    ),
    "a marker without its embedder": (
        lambda f: _edit(_shard(f, 2).marker, '"same_person":', '"same_persons":'),
        "must give the embedder's dimension and same_person",
    ),
    "a marker whose report is none": (
        lambda f: _edit(_shard(f, 2).marker, '"report":{', '"report":[],"x":{'),
        "damaged",
    ),
    "a marker of another plan": (
        lambda f: _edit(_shard(f, 2).marker, '"fingerprint":"', '"fingerprint":"0'),
        "done for another plan",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_shard_is_missing_until_its_rerun(
    name: str, folder: MovieFolder, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = contents(folder)
    damage, reason = DAMAGE[name]
    damage(folder)
    assert contents(folder) != whole
    line, logged = _refused(folder, capsys)
    assert "shards 2 of 6 are not done" in line
    assert "shard 2:" in logged and reason in logged
    run_extract(film, folder.path.parent, N, shards="2")
    assert contents(folder) == whole


def test_files_of_other_shards_are_not_merged(folder: MovieFolder) -> None:
    wanted = results(run_merge(folder))
    for directory in folder.shard_dirs:
        one = next(path for path in sorted(directory.iterdir()) if path.stat().st_size)
        shutil.copyfile(one, directory / one.name.replace("_0-4.", "_0-5."))
    (folder.shard_dirs[0] / "notes.txt").write_text("?")
    run_merge(folder)
    assert results(folder) == wanted


def test_a_folder_without_a_plan_is_refused(folder: MovieFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.plan.unlink()
    line, _ = _refused(folder, capsys)
    assert "no plan.json" in line and "extract.py" in line


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "null", '{"run":{},"command":{}}', '{"run":[],"command":{"film":"x","options":[]}}'],
)
def test_an_invalid_plan_is_reported_in_one_line(
    text: str, folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.plan.write_text(text)
    line, _ = _refused(folder, capsys)
    assert "plan.json" in line and "--fresh" in line


def test_an_edited_plan_is_refused(folder: MovieFolder, capsys: pytest.CaptureFixture[str]) -> None:
    whole = json.loads(folder.plan.read_bytes())
    for part, key, value in (("video", "display_size", [640, 1]), ("settings", "images", False)):
        run = {**whole["run"], part: {**whole["run"][part], key: value}}
        folder.plan.write_text(json.dumps({**whole, "run": run}))
        line, _ = _refused(folder, capsys)
        assert "plan.json: it was edited after it was written" in line and "--fresh" in line
    del whole["run"]["video"]["times"]
    folder.plan.write_text(json.dumps(whole))
    assert "it was edited after it was written" in _refused(folder, capsys)[0]
    folder.plan.write_text(json.dumps({**whole, "command": {"film": "x", "options": [1]}}))
    assert "film and options must be strings" in _refused(folder, capsys)[0]


def test_missing_frames_are_recorded_and_no_trajectory_crosses_them(
    folder: MovieFolder, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for shard in (1, 4):
        _shard(folder, shard).marker.unlink()
    run_merge(folder, "--allow-missing", "--min-trajectory", "1")
    assert "shards 1,4 of 6 are not done" in capsys.readouterr().err
    shards = json.loads(folder.manifest.read_bytes())["shards"]
    assert shards["missing"] == "1,4" and shards["missing_frames"] == [[4, 8], [16, 20]]
    seen: set[int] = set()
    for record in map(json.loads, folder.trajectories.open()):
        frames = set(range(record["start"], record["start"] + record["len"]))
        assert not frames & {*range(4, 8), *range(16, 20)}
        seen |= frames
    assert seen
    run_extract(film, folder.path.parent, N, shards="1,4")
    run_merge(folder, "--min-trajectory", "1")
    assert json.loads(folder.manifest.read_bytes())["shards"]["missing"] == ""


def test_missing_frames_that_are_filled_are_no_longer_recorded(tmp_path: Path) -> None:
    film = Story(16, unseen=frozenset(range(16))).make(tmp_path / f"{MOVIE}-nobody.mp4")
    folder = run_merge(run_extract(film, tmp_path, 2, shards="0"), "--allow-missing")
    assert json.loads(folder.manifest.read_bytes())["shards"]["missing"] == "1"
    before = results(folder)
    run_merge(run_extract(film, tmp_path, 2, shards="1"))
    assert results(folder) == before
    assert json.loads(folder.manifest.read_bytes())["shards"]["missing"] == ""


def test_all_shards_may_be_missing_with_allow_missing(folder: MovieFolder) -> None:
    for shard in range(N):
        _shard(folder, shard).marker.unlink()
    run_merge(folder, "--allow-missing")
    assert folder.trajectories.read_bytes() == b""


def _run(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_the_printed_commands_complete_the_film_wherever_they_are_pasted(tmp_path: Path) -> None:
    """With real models, as a user types them, the film's and the folder's paths full of traps."""
    odd = tmp_path / "it's  a $HOME; of:\tnew\nlines\\"
    odd.mkdir()
    film = Story(12, cuts=(6,)).make(tmp_path / f"{MOVIE}-a.mp4")
    film = film.rename(odd / f"{MOVIE}-Ünï cödé  & `sons`.mp4")
    out = odd / "out put"
    models = ["--detector", "mtcnn", "--embedder", "dlib", "--device", "cpu"]
    assert extract.main(["--shard", "1", "--n", "3", "--out", str(out), *models, str(film)]) == 0
    folder = MovieFolder.of_film(out, film)
    commands = []
    for place in (ROOT, tmp_path):
        refused = _run(sys.executable, "-m", "facerec.merge_shards", "--path", str(folder.path), cwd=place)
        assert refused.returncode == 1 and "shards 0,2 of 3 are not done" in refused.stderr
        assert refused.stderr.count("\n") == 1 and not folder.trajectories.exists()
        commands.append(refused.stderr.strip().partition("; run: ")[2])
    assert " ./facerec/extract.py " in commands[0] and f" {ROOT}/facerec/extract.py " in commands[1]
    rerun = _run("bash", "-c", commands[1], cwd=tmp_path)
    assert rerun.returncode == 0, rerun.stderr
    again = _run("bash", "-c", commands[0])
    assert again.returncode == 0 and "shards 0,2 of 3 are done already" in again.stdout, again.stderr
    stale = _run(sys.executable, "-m", "facerec.cluster", "--path", str(folder.path), cwd=tmp_path)
    merge = stale.stderr.strip().partition("has not run here; run: ")[2]
    assert _run("bash", "-c", merge, cwd=tmp_path).returncode == 0, stale.stderr
    assert folder.trajectories.exists()


def test_a_rerun_of_done_shards_imports_no_model_library(tmp_path: Path) -> None:
    film = Story(12, cuts=(6,)).make(tmp_path / f"{MOVIE}-a.mp4")
    models = ["--detector", "mtcnn", "--embedder", "dlib", "--device", "cpu"]
    words = ["--out", str(tmp_path), *models, str(film)]
    assert extract.main(words) == 0
    asked = (
        f"import sys; from facerec.extract import main; status = main({words!r}); "
        "sys.exit(status or 10 * ('torch' in sys.modules or 'cv2' in sys.modules))"
    )
    again = _run(sys.executable, "-c", asked)
    assert again.returncode == 0, again.stderr
    assert "shards 0 of 1 are done already" in again.stdout
