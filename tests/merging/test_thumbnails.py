"""images/ holds the best two saved faces of each trajectory, and exactly those that were published."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from facerec import merge_shards
from facerec.folder.face_archive import new_face_archive, open_face_archive
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import read_plan
from facerec.folder.readers import read_faces, read_trajectories
from facerec.folder.shards import marker_bytes, read_marker
from facerec.geometry import Image
from facerec.people.quality import saved_face_quality
from facerec.settings import ThumbnailSettings, VectorSettings
from facerec.support.cli import run_main
from tests import kills, toy
from tests.edits import violations_of
from tests.toy import MOVIE, Story, contents, make_cast, run_extract, run_merge, run_naming


class Approach(Story):
    """People who come nearer, so that they are seen best in the middle of a shot."""

    def draw(self, number: int, width: int, height: int) -> Image:
        with mock.patch.object(toy, "SIZE", toy.SIZE + 3 * (number % 22 in range(6, 18))):
            return super().draw(number, width, height)


FILM = Approach(45, cuts=(22,), unseen=frozenset(range(8, 12)))
N, FACES = 4, ("--save-every", "2")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FILM.make(tmp_path_factory.mktemp("film") / f"{MOVIE}-film.mp4")


@pytest.fixture(scope="module")
def made(film: Path, tmp_path_factory: pytest.TempPathFactory) -> MovieFolder:
    """A folder that annotators work on."""
    root = tmp_path_factory.mktemp("made")
    return run_naming(run_merge(run_extract(film, root / "out", N, *FACES)), make_cast(root / "actor_db"))


@pytest.fixture
def folder(made: MovieFolder, tmp_path: Path) -> MovieFolder:
    return MovieFolder(shutil.copytree(made.path, tmp_path / made.path.name))


def _merge(folder: MovieFolder, *more: str) -> int:
    return run_main(merge_shards.main, ["--path", str(folder.path), *more])


def _pictures(folder: MovieFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.images.iterdir()}


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = (text for text in capsys.readouterr().err.splitlines() if "error:" in text)
    return line


def _saved(folder: MovieFolder) -> list[list[tuple[int, int, str]]]:
    """Frame, quality in hundredths and tag of the saved faces of each trajectory."""
    faces = list(read_faces(folder))
    qualities = np.rint(100 * saved_face_quality(faces, VectorSettings()).astype(float)).astype(int).tolist()
    by_place = {(f.frame, *f.box): (f.frame, w, f.tag) for (f, _), w in zip(faces, qualities, strict=True)}
    return [
        [
            by_place[frame, *box]
            for frame, box in enumerate(one.boxes.tolist(), one.start)
            if (frame, *box) in by_place
        ]
        for one in read_trajectories(folder.trajectories, MOVIE)
    ]


def test_the_best_two_that_lie_apart_are_shown_of_each_trajectory(folder: MovieFolder) -> None:
    saved, shown = _saved(folder), []
    assert max(map(len, saved)) > 5
    for faces in saved:
        span = faces[-1][0] - faces[0][0]
        pairs = [(a, b) for a, b in combinations(faces, 2) if 2 * (b[0] - a[0]) >= span]
        best = max(pairs, key=lambda p: (p[0][1] + p[1][1], p[1][0] - p[0][0], -p[0][0]))
        shown += [f"{tag}.jpeg" for _, _, tag in best]
    assert sorted(shown) == sorted(_pictures(folder))
    firsts = {f"{faces[i][2]}.jpeg" for faces in saved for i in (0, -1)}
    assert firsts != set(shown), "the first and the last are the best everywhere: nothing is tested"


def test_every_saved_face_stays_in_the_shards_and_keeps_its_line(folder: MovieFolder) -> None:
    tags = [face.tag for face, _ in read_faces(folder)]
    plan = read_plan(folder)
    assert plan is not None
    shown, found = _pictures(folder), []
    for shard in range(N):
        files = folder.shard(*plan.range_of(shard))
        own = [json.loads(line)["tag"] for line in files.features.read_bytes().splitlines()]
        with open_face_archive(files.faces, len(own)) as archive:
            assert archive.holds(own)
            for tag in own:
                picture = archive.read(tag)
                assert shown.get(f"{tag}.jpeg", picture) == picture
        found += own
    assert found == tags and len(tags) > len(shown)


def test_a_trajectory_with_one_saved_face_shows_one(film: Path, tmp_path: Path) -> None:
    folder = run_merge(run_extract(film, tmp_path, 2, "--save-every", "30"))
    saved = _saved(folder)
    assert {len(faces) for faces in saved} == {1}
    assert sorted(_pictures(folder)) == sorted(f"{faces[0][2]}.jpeg" for faces in saved)
    assert all("manifest" in str(e) or "must exist" in e.rule for e in violations_of(folder.path))


SPOILT: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "changed": lambda path: path.write_bytes(path.read_bytes()[:-3] + b"???"),
    "superfluous": lambda path: path.with_name(f"{MOVIE}:0:1_1_9_9.jpeg").write_bytes(b"?"),
    "of a name that is no text": lambda path: path.with_name(os.fsdecode(b"\xff.jpeg")).write_bytes(b"?"),
    "elsewhere": lambda path: (shutil.move(path, path.with_name("x")), path.symlink_to("x")),
    "all gone": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("how", SPOILT)
def test_changed_thumbnails_are_reported_and_restored(
    how: str, folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = contents(folder)
    SPOILT[how](sorted(folder.images.iterdir())[0])
    assert contents(folder) != whole
    assert any("merge_shards.py" in error.rule for error in violations_of(folder.path))
    assert _merge(folder) == 0
    printed = capsys.readouterr()
    assert "images: thumbnails differ from the published ones; restoring them" in printed.err
    assert contents(folder) == whole and violations_of(folder.path) == []
    assert _merge(folder) == 0
    assert "nothing changed" in capsys.readouterr().out


@pytest.fixture
def otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two are chosen by another rule: the first and the last."""
    monkeypatch.setattr(
        "facerec.merging.merge.ThumbnailSettings", partial(ThumbnailSettings, min_separation=1.0)
    )


@pytest.mark.usefixtures("otherwise")
def test_other_pictures_of_published_trajectories_need_overwrite(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder)
    assert _merge(folder) == 1
    assert "--overwrite replaces them and keeps the old ones in previous/" in _error(capsys)
    assert contents(folder) == before


@pytest.mark.usefixtures("otherwise")
@pytest.mark.parametrize("links", [True, False])
def test_a_replaced_version_is_kept_with_its_thumbnails(
    links: bool, folder: MovieFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, inodes = _pictures(folder), {p.name: p.stat().st_ino for p in folder.images.iterdir()}
    trajectories = folder.trajectories.read_bytes()

    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    assert _merge(folder, "--overwrite") == 0
    (kept,) = folder.previous.iterdir()
    assert {path.name: path.read_bytes() for path in (kept / "images").iterdir()} == before
    same = {p.name: p.stat().st_ino for p in (kept / "images").iterdir()} == inodes
    assert same == links
    after = _pictures(folder)
    assert after.keys() != before.keys() and len(after) == len(before)
    assert folder.trajectories.read_bytes() == trajectories
    whole = MovieFolder(shutil.move(kept, folder.path.parent / "old" / folder.path.name))
    names = {error.path.parent.name for error in violations_of(whole.path)}
    assert "images" not in names and folder.path.name in names, "all but plan and shards is there"


def test_other_trajectories_get_other_pictures(folder: MovieFolder) -> None:
    before = _pictures(folder)
    assert _merge(folder, "--min-trajectory", "23", "--overwrite") == 0
    fewer = _pictures(folder)
    assert fewer.keys() < before.keys() and len(fewer) == 2 * folder.trajectories.read_bytes().count(b"\n")
    assert _merge(folder) == 0
    assert _pictures(folder) == before


def test_a_film_without_faces_and_one_without_pictures_have_empty_images(film: Path, tmp_path: Path) -> None:
    nobody = Story(12, unseen=frozenset(range(12))).make(tmp_path / "78-nobody.mp4")
    for made in (run_extract(nobody, tmp_path, 2), run_extract(film, tmp_path, 2, "--no-images")):
        made.images.rmdir()
        assert list(run_merge(made).images.iterdir()) == []


def test_a_thumbnail_of_an_earlier_run_is_removed_even_if_shards_are_missing(
    film: Path, tmp_path: Path
) -> None:
    folder = run_extract(film, tmp_path, 3, shards="0,2")
    old = folder.images / f"{MOVIE}:3:0_0_30_30.jpeg"
    old.write_bytes(b"old")
    run_merge(folder, "--allow-missing")
    assert not old.exists() and _pictures(folder)


@pytest.mark.slow
def test_a_forged_archive_is_reported_and_changes_nothing(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = read_plan(folder)
    assert plan is not None
    beg, end = plan.range_of(0)
    report = read_marker(folder, plan, beg, end)["report"]
    files = folder.shard(beg, end)
    for forge in (
        lambda: files.faces.write_bytes(b"no archive"),
        lambda: new_face_archive(files.faces).__enter__(),
        lambda: os.truncate(files.faces, 1 << 33),
    ):
        forge()
        files.marker.write_bytes(marker_bytes(folder, plan, beg, end, folder.path, report))
        before = {name: data for name, data in contents(folder).items() if "faces/" not in name}
        assert _merge(folder) == 1
        assert str(files.faces) in _error(capsys)
        assert {name: data for name, data in contents(folder).items() if "faces/" not in name} == before


@pytest.mark.slow
def test_killed_while_thumbnails_are_restored(folder: MovieFolder, tmp_path: Path) -> None:
    whole, start = contents(folder), tmp_path / "start"
    first, second, *_ = sorted(folder.images.iterdir())
    first.unlink()
    second.write_bytes(b"?")
    (folder.images / "notes").write_text("?")
    shutil.copytree(folder.path, start)
    command, log, steps_file = (
        [("merge_shards", ["--path", str(folder.path)])],
        tmp_path / "log",
        tmp_path / "steps_file",
    )
    assert kills.run(command, log, steps_file=steps_file) == 0 and contents(folder) == whole
    for step in range(1, int(steps_file.read_text()) + 1):
        shutil.rmtree(folder.path)
        shutil.copytree(start, folder.path)
        assert kills.run(command, log, kill_at=step) == -9
        left = contents(folder)
        good = {name for name, data in whole.items() if left.get(name) == data}
        assert good >= whole.keys() - {f"images/{path.name}" for path in (first, second)}, f"step {step}"
        assert kills.run(command, log) == 0, log.read_text()
        assert contents(folder) == whole, f"step {step}"


# --- every saved face, for training


def _training(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_all_saved_faces_are_exported_by_trajectory(folder: MovieFolder, tmp_path: Path) -> None:
    before, out = contents(folder), tmp_path / "deep" / "faces"
    assert _merge(folder, "--faces", str(out)) == 0
    assert contents(folder) == before
    found = _training(out)
    names = {f"{MOVIE}/{i}/{tag}.jpeg" for i, faces in enumerate(_saved(folder)) for _, _, tag in faces}
    assert found.keys() == names
    shown = _pictures(folder)
    by_name = {Path(name).name: data for name, data in found.items()}
    assert all(by_name[name] == data for name, data in shown.items())
    state = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert _merge(folder, "--faces", str(out)) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == state


def test_an_export_replaces_no_other_files(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / str(MOVIE) / "0" / "mine.jpeg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    assert _merge(folder, "--faces", str(tmp_path)) == 1
    assert f"{tmp_path / str(MOVIE)}: contains other faces; move them away" in _error(capsys)
    assert [path for path in tmp_path.rglob("*.jpeg") if folder.path not in path.parents] == [mine]


def test_without_thumbnails_an_export_is_refused(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_extract(film, tmp_path, 1, "--no-images")
    capsys.readouterr()
    assert _merge(folder, "--faces", str(tmp_path / "faces")) == 1
    assert "was extracted with --no-images" in _error(capsys)
    assert not (tmp_path / "faces").exists() and not folder.trajectories.exists()


def test_a_killed_export_leaves_all_faces_or_none(folder: MovieFolder, tmp_path: Path) -> None:
    out, log, steps_file = tmp_path / "faces", tmp_path / "log", tmp_path / "steps_file"
    command = [("merge_shards", ["--path", str(folder.path), "--faces", str(out)])]
    assert kills.run(command, log, steps_file=steps_file) == 0
    faces = out / str(MOVIE)
    whole = _training(faces)
    for step in range(9, int(steps_file.read_text()) + 1, 7):
        shutil.rmtree(out, ignore_errors=True)
        assert kills.run(command, log, kill_at=step) == -9
        assert not faces.exists() or _training(faces) == whole, f"step {step}"
        assert kills.run(command, log) == 0, log.read_text()
        assert _training(faces) == whole and list(out.iterdir()) == [faces], f"step {step}"
