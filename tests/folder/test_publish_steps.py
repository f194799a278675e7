"""What publishing records, replaces and keeps, with two stages of one small file each."""

from __future__ import annotations

import datetime
import logging
import multiprocessing
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from facerec import __version__, stages
from facerec.errors import StaleError
from facerec.folder import publish as publishing
from facerec.folder.face_archive import new_face_archive
from facerec.folder.images import ArchivedFaces, Thumbnails
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import checked_inputs, outputs_of, read_manifest
from facerec.folder.publish import keep_file, publish, staging
from facerec.stages import Stage, StageGraph
from facerec.support.atomic import sha256_of
from facerec.support.locks import locked

TAGS = ("7:5:1_2_30_40", "7:6:1_2_30_40")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MovieFolder:
    """An empty folder of a pipeline of three stages."""
    graph = StageGraph(
        (
            Stage("merge_shards", "merge", (), ("trajectories",)),
            Stage("cluster", "cluster", ("merge_shards",), ("clusters",)),
            Stage("classify_knn", "classify", ("cluster",), ("predictions",)),
        )
    )
    monkeypatch.setattr(stages, "PIPELINE", graph)
    made = MovieFolder(tmp_path / "7-data")
    made.create()
    return made


def run(
    folder: MovieFolder, stage: str, text: str, settings: Mapping[str, Any] | None = None, **other: Any
) -> bool:
    """Publish `text` as the result of a stage."""
    inputs = checked_inputs(folder, stage)
    (target,) = outputs_of(folder, stage)
    with staging(folder) as directory:
        (directory / "made").write_text(text)
        options = {
            "inputs": inputs,
            "settings": settings or {},
            "report": {"n": 1},
            "overwrite": False,
            **other,
        }
        return publish(folder, stage, {target: directory / "made"}, **options)


def finished(folder: MovieFolder) -> MovieFolder:
    for stage in stages.PIPELINE:
        assert run(folder, stage.name, f"{stage.name}, first")
    return folder


def thumbnails(folder: MovieFolder, **pictures: bytes) -> Thumbnails:
    """Thumbnails of the faces of `TAGS`, by `first` and `second`."""
    path = folder.path.parent / "faces.zip"
    tags = [TAGS[("first", "second").index(name)] for name in pictures]
    with new_face_archive(path) as add:
        for tag, picture in zip(tags, pictures.values(), strict=True):
            add(tag, picture)
    return Thumbnails([ArchivedFaces(path, len(tags), tags)])


def shown(folder: MovieFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.images.iterdir()}


def test_the_manifest_says_how_a_result_was_made(folder: MovieFolder) -> None:
    folder.opened -= 100
    assert run(folder, "merge_shards", "tracks", manifest_entries={"film": {"name": "a"}})
    assert run(folder, "cluster", "people", {"k": 3})
    manifest = read_manifest(folder)
    assert manifest.keys() == {"movie_id", "stages", "history", "film"}
    assert (manifest["movie_id"], manifest["history"], manifest["film"]) == (7, [], {"name": "a"})
    entry = manifest["stages"]["cluster"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", entry.pop("made_at"))
    seconds = entry.pop("seconds")
    assert 100 <= seconds < 700 and round(seconds, 3) == seconds and isinstance(seconds, float)
    assert entry == {
        "program": f"facerec {__version__}",
        "inputs": {"trajectories.jsonl": sha256_of(folder.trajectories)},
        "outputs": {"clusters.json": sha256_of(folder.clusters)},
        "settings": {"k": 3},
        "report": {"n": 1},
    }


def test_equal_results_are_not_written_and_other_settings_are_recorded_with_the_entry_before(
    folder: MovieFolder,
) -> None:
    finished(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.path.iterdir() if path.is_file()}
    first = read_manifest(folder)["stages"]["cluster"]
    assert not run(folder, "cluster", "cluster, first")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert run(folder, "cluster", "cluster, first", {"k": 3})
    manifest = read_manifest(folder)
    assert manifest["stages"].keys() == {"merge_shards", "cluster", "classify_knn"}
    assert manifest["stages"]["cluster"]["settings"] == {"k": 3}
    kept = {"stage": "cluster", "made_at": first["made_at"], "outputs": first["outputs"]}
    assert manifest["history"] == [kept]
    changed = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {folder.manifest} and not folder.previous.exists()


def test_a_result_that_was_edited_is_written_again(folder: MovieFolder) -> None:
    run(folder, "merge_shards", "tracks")
    folder.trajectories.write_text("edited")
    assert run(folder, "merge_shards", "tracks") and folder.trajectories.read_text() == "tracks"
    folder.trajectories.unlink()
    assert run(folder, "merge_shards", "tracks") and folder.trajectories.read_text() == "tracks"


def test_published_results_stay_without_overwrite_and_names_alone_do_not_need_it(
    folder: MovieFolder, caplog: pytest.LogCaptureFixture
) -> None:
    finished(folder)
    for stage in ("merge_shards", "cluster", "classify_knn"):
        with pytest.raises(StaleError, match="results differ from the published ones"):
            run(folder, stage, "second")
    assert folder.clusters.read_text() == "cluster, first" and not folder.previous.exists()
    caplog.clear()
    assert run(folder, "classify_knn", "second", names_only=True)
    (version,) = folder.previous.iterdir()
    assert (version / "predictions.json").read_text() == "classify_knn, first"
    assert [record.levelno for record in caplog.records if "names were replaced" in record.message] == [
        logging.WARNING
    ]
    caplog.clear()
    assert run(folder, "classify_knn", "second", {"k": 4}, names_only=True)
    assert "names were replaced" not in caplog.text, "they are the same"


def test_the_first_names_of_a_folder_replace_none(
    folder: MovieFolder, caplog: pytest.LogCaptureFixture
) -> None:
    run(folder, "merge_shards", "tracks")
    run(folder, "cluster", "people")
    assert run(folder, "classify_knn", "names", names_only=True)
    assert "names were replaced" not in caplog.text and not folder.previous.exists()


def test_until_all_files_are_in_place_a_folder_does_not_appear_finished(
    folder: MovieFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(folder)
    install, during = publishing._install, []

    def installing(*arguments: Any) -> None:
        there = {name for name in ("clusters", "predictions") if getattr(folder, name).exists()}
        during.append((set(read_manifest(folder)["stages"]), there))
        install(*arguments)

    monkeypatch.setattr(publishing, "_install", installing)
    run(folder, "cluster", "second", overwrite=True)
    assert during == [({"merge_shards"}, {"clusters"})]
    assert set(read_manifest(folder)["stages"]) == {"merge_shards", "cluster"}


def test_a_version_is_kept_as_it_was_published_also_without_hard_links(
    folder: MovieFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, "merge_shards", "tracks", thumbnails=thumbnails(folder, first=b"a"))
    run(folder, "cluster", "people")
    run(folder, "classify_knn", "names")
    (folder.images / "sub").mkdir()
    manifest = folder.manifest.read_bytes()
    stamp = folder.clusters.stat().st_mtime_ns

    def no_links(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", no_links)
    run(folder, "cluster", "other people", overwrite=True)
    (version,) = folder.previous.iterdir()
    assert {path.name for path in version.iterdir()} == {
        "trajectories.jsonl", "clusters.json", "predictions.json", "manifest.json", "images"
    }  # fmt: skip
    assert (version / "manifest.json").read_bytes() == manifest
    assert (version / "clusters.json").read_text() == "people"
    assert (version / "clusters.json").stat().st_mtime_ns == stamp
    assert {path.name: path.read_bytes() for path in (version / "images").iterdir()} == {
        f"{TAGS[0]}.jpeg": b"a"
    }
    assert not list(folder.path.glob("*staging*"))


def test_thumbnails_are_replaced_with_the_results_and_other_files_removed(folder: MovieFolder) -> None:
    one = thumbnails(folder, first=b"a", second=b"b")
    assert run(folder, "merge_shards", "tracks", thumbnails=one)
    (folder.images / "stray.jpeg").write_bytes(b"x")
    (folder.images / "sub").mkdir()
    (folder.images / "link").symlink_to("sub")
    assert read_manifest(folder)["stages"]["merge_shards"]["outputs"]["images"] == one.digest
    other = thumbnails(folder, first=b"c")
    assert run(folder, "merge_shards", "other tracks", thumbnails=other)
    (folder.images / "sub").rmdir()
    assert shown(folder) == {f"{TAGS[0]}.jpeg": b"c"}
    assert not run(folder, "merge_shards", "other tracks", thumbnails=other)


def test_thumbnails_alone_are_restored_where_their_stage_published_them(
    folder: MovieFolder, caplog: pytest.LogCaptureFixture
) -> None:
    made = thumbnails(folder, first=b"a", second=b"b")
    run(folder, "merge_shards", "tracks", thumbnails=made)
    run(folder, "cluster", "people")
    run(folder, "classify_knn", "names")
    stamp = folder.trajectories.stat().st_mtime_ns
    untouched = (folder.images / f"{TAGS[1]}.jpeg").stat().st_ino
    for settings, history in (
        ({}, 0),
        ({"k": 3}, 1),
    ):  # as published, and with a setting that changes nothing
        (folder.images / f"{TAGS[0]}.jpeg").write_bytes(b"edited")
        (folder.images / "stray.jpeg").write_bytes(b"x")
        caplog.clear()
        assert run(folder, "merge_shards", "tracks", settings, thumbnails=made)
        assert "thumbnails differ from the published ones" in caplog.text
        assert shown(folder) == {f"{TAGS[0]}.jpeg": b"a", f"{TAGS[1]}.jpeg": b"b"}
        assert len(read_manifest(folder)["history"]) == history
    assert folder.trajectories.stat().st_mtime_ns == stamp and not folder.previous.exists()
    assert (folder.images / f"{TAGS[1]}.jpeg").stat().st_ino == untouched, "it was as it should be"
    assert set(read_manifest(folder)["stages"]) == {"merge_shards", "cluster", "classify_knn"}


def test_other_thumbnails_of_the_same_tracks_need_overwrite(folder: MovieFolder) -> None:
    run(folder, "merge_shards", "tracks", thumbnails=thumbnails(folder, first=b"a"))
    run(folder, "cluster", "people")
    run(folder, "classify_knn", "names")
    other = thumbnails(folder, first=b"c")
    with pytest.raises(StaleError):
        run(folder, "merge_shards", "tracks", thumbnails=other)
    assert shown(folder) == {f"{TAGS[0]}.jpeg": b"a"}
    assert run(folder, "merge_shards", "tracks", thumbnails=other, overwrite=True)
    assert shown(folder) == {f"{TAGS[0]}.jpeg": b"c"} and not folder.clusters.exists()
    (version,) = folder.previous.iterdir()
    assert (version / "images" / f"{TAGS[0]}.jpeg").read_bytes() == b"a"


@pytest.mark.parametrize(("byte", "waits"), [(0, True), (1, False)])
def test_a_stage_waits_for_another_one_that_publishes_and_not_for_a_shard_task(
    byte: int, waits: bool, folder: MovieFolder
) -> None:
    """Stages lock the first byte of the folder's lock file; shard tasks, which may go on, lock others."""
    fork = multiprocessing.get_context("fork")
    done = fork.Event()
    process = fork.Process(target=lambda: (run(folder, "merge_shards", "tracks"), done.set()))
    try:
        with locked(folder.lock, byte):
            process.start()
            assert done.wait(0.2 if waits else 20) is not waits
        assert done.wait(20) and folder.trajectories.read_text() == "tracks"
    finally:
        process.kill()
        process.join()


def test_versions_are_named_by_universal_time(folder: MovieFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines of a cluster may have several time zones."""
    folder.people.write_text("first")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Elsewhere+7")
        time.tzset()
        kept = keep_file(folder, folder.people)
    time.tzset()
    named = datetime.datetime.strptime(f"{kept.parent.name}+0000", "%Y%m%dT%H%M%SZ%z")
    assert abs((datetime.datetime.now(datetime.UTC) - named).total_seconds()) < 600


def test_a_file_of_no_stage_is_kept_as_it_was(folder: MovieFolder) -> None:
    folder.people.write_text("first")
    kept = keep_file(folder, folder.people)
    again = keep_file(folder, folder.people)
    assert kept.read_text() == again.read_text() == folder.people.read_text() == "first"
    assert (
        kept.name == "people.json" and kept.parent.parent == folder.previous and kept.parent != again.parent
    )
    assert sorted(path.name for path in folder.path.iterdir()) == sorted(
        ["images", "people.json", "previous", *(path.name for path in folder.shard_dirs)]
    )
