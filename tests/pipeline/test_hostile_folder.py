"""Full disks, read-only folders, files in the way and odd paths: one error line, and nothing lost."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facerec import extract, merge_shards
from facerec.folder.layout import MovieFolder
from facerec.support.cli import run_main
from tests.toy import (
    MOVIE,
    TOY_MODELS,
    Story,
    contents,
    make_cast,
    run_extract,
    run_merge,
    run_naming,
    toy_models,
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Story(14, cuts=(7,)).make(tmp_path_factory.mktemp("film") / f"{MOVIE}-film.mp4")


@pytest.fixture(scope="module")
def undisturbed(film: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return contents(run_merge(run_extract(film, tmp_path_factory.mktemp("undisturbed"), 2)))


class Disk:
    """A separate file system with a given size, which can be made read-only."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def change(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.at)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    at = tmp_path / "disk"
    at.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(at)]
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs the right to mount a small file system: {error}")
    try:
        yield Disk(at)
    finally:
        subprocess.run(["umount", str(at)], check=True)


def _extract(film: Path, out: Path, *more: str) -> int:
    with toy_models():
        return run_main(
            extract.main, ["--shard", "0-1", "--n", "2", "--out", str(out), *TOY_MODELS, *more, str(film)]
        )


def _merge(folder: MovieFolder) -> int:
    return run_main(merge_shards.main, ["--path", str(folder.path)])


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    """The only error line, which must be the last line."""
    lines = capsys.readouterr().err.splitlines()
    assert sum("error:" in line for line in lines) == 1 and "error:" in lines[-1]
    return lines[-1]


def _litter(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


def test_a_full_disk_while_extracting_loses_nothing(
    film: Path, disk: Disk, undisturbed: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = MovieFolder.of_film(disk.at, film)
    full = 0
    for kilobytes in range(4, 400, 8):
        disk.change(f"size={kilobytes}k")
        capsys.readouterr()
        if _extract(film, disk.at) == 0:
            break
        full += 1
        line = _error(capsys)
        assert "No space left on device; free disk space and run the same command again" in line
        assert str(disk.at) in line
        assert not _litter(disk.at)
    assert full > 3
    disk.change("size=64m")
    assert contents(run_merge(folder)) == undisturbed


def test_a_full_disk_while_merging_loses_nothing(
    film: Path, disk: Disk, undisturbed: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_extract(film, disk.at, 2)
    before = contents(folder)
    used = shutil.disk_usage(disk.at).used // 1024
    for more in (0, 4, 8, 12):
        disk.change(f"size={used + more}k")
        capsys.readouterr()
        assert _merge(folder) == 1
        assert "No space left on device; free disk space" in _error(capsys)
        assert contents(folder) == before
    disk.change("size=64m")
    assert contents(run_merge(folder)) == undisturbed


def test_a_read_only_folder_is_reported_and_unchanged(
    film: Path, disk: Disk, undisturbed: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_extract(film, disk.at, 2)
    before = contents(folder)
    disk.change("ro")
    capsys.readouterr()
    assert _extract(film, disk.at) == 0, "all is done: nothing needs to be written"
    capsys.readouterr()
    for action in (
        lambda: _merge(folder),
        lambda: _extract(film, disk.at, "--fresh", "--save-every", "2"),
        lambda: _extract(film, disk.at / "new"),
    ):
        assert action() == 1
        line = _error(capsys)
        assert "Read-only file system" in line and str(disk.at) in line
    assert contents(folder) == before
    disk.change("rw")
    assert contents(run_merge(folder)) == undisturbed


SUBDIRECTORIES = [
    "",
    "images",
    "features",
    "trajectories",
    "scene_changes",
    "evidence",
    "faces",
    "miniatures",
    "done",
]


@pytest.mark.parametrize("subdirectory", SUBDIRECTORIES)
def test_a_file_where_a_folder_should_be(
    subdirectory: str,
    film: Path,
    tmp_path: Path,
    undisturbed: dict[str, bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = MovieFolder.of_film(tmp_path / "out", film)
    in_the_way = folder.path / subdirectory
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("mine")
    assert _extract(film, tmp_path / "out") == 1
    line = _error(capsys)
    assert f"{in_the_way}: this must be a folder, but it is a file; move it away" in line
    assert in_the_way.read_text() == "mine"
    in_the_way.unlink()
    assert contents(run_merge(run_extract(film, tmp_path / "out", 2))) == undisturbed


def test_a_file_where_the_output_folder_should_be(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("mine")
    assert _extract(film, tmp_path / "out") == 1
    assert "this must be a folder, but it is a file" in _error(capsys)
    assert (tmp_path / "out").read_text() == "mine"


FILES: dict[str, Callable[[MovieFolder], Path]] = {
    "the plan": lambda f: f.plan,
    "a marker": lambda f: f.shard(0, 7).marker,
    "a shard's file": lambda f: f.shard(0, 7).features,
    "the lock": lambda f: f.lock,
    "a merged file": lambda f: f.features,
    "the manifest": lambda f: f.manifest,
}


@pytest.mark.parametrize("name", FILES)
def test_a_folder_where_a_file_should_be(
    name: str, film: Path, tmp_path: Path, undisturbed: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = MovieFolder.of_film(tmp_path, film)
    in_the_way = FILES[name](folder)
    (in_the_way / "inside").mkdir(parents=True)
    status = _extract(film, tmp_path) or _merge(folder)
    assert status == 1
    assert in_the_way.name in _error(capsys)
    assert (in_the_way / "inside").is_dir() and not _litter(tmp_path)
    shutil.rmtree(in_the_way)
    assert contents(run_merge(run_extract(film, tmp_path, 2))) == undisturbed


@pytest.mark.parametrize(
    "odd",
    [
        "with space",
        "a:b",
        "C:\\film",
        "Ünï-çødé-电影",
        "-n",
        "100%d",
        'it\'s; $HOME `ls` & "x"',
        "#[1]?*",
        "a\nb",
    ],
)
def test_odd_paths_work(
    odd: str, film: Path, tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / odd
    home.mkdir()
    there = shutil.copyfile(film, home / f"{MOVIE}-{odd}.mp4")
    folder = run_naming(run_merge(run_extract(there, home, 2)), make_cast(home / "actor_db"))
    after = contents(folder)
    for name, data in undisturbed.items():  # all but what names the film
        assert name.startswith("done/") or name in ("plan.json", "manifest.json") or after[name] == data, name
    monkeypatch.chdir(home)  # and again, as a relative path: the same film, nothing to do
    with toy_models(loaded=lambda: pytest.fail("a model was loaded")):
        words = ["--shard", "0-1", "--n", "2", "--out", ".", *TOY_MODELS, "--", there.name]
        assert extract.main(words) == 0


def test_a_film_that_is_a_folder_or_a_dead_link_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"{MOVIE}-folder.mp4").mkdir()
    (tmp_path / f"{MOVIE}-link.mp4").symlink_to(tmp_path / "nowhere")
    for name, expected in (("folder", "is a folder, not a film"), ("link", "no such film")):
        assert _extract(tmp_path / f"{MOVIE}-{name}.mp4", tmp_path / "out") == 1
        assert expected in _error(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["data", "77", "077-data", "x-data", "test-data", "2147483648-data"])
def test_a_folder_with_an_invalid_name_is_reported(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).mkdir()
    assert run_main(merge_shards.main, ["--path", str(tmp_path / name)]) == 1
    assert name in _error(capsys)
