"""cluster.py publishes whole results, lists what it could not compare, and protects published ones."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from facerec.cluster import main
from facerec.folder.documents import read_clusters
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest, recorded_tracking
from facerec.settings import TrackSettings
from facerec.tracking.trajectories import track_sampled_frames
from tests.merged_folder import Seen, merged_folder

FILM = [Seen(0, 0), Seen(1, 0, x=200), Seen(0, 30, x=200), Seen(1, 30), Seen(2, 60), Seen(0, 62, x=300)]


def labels_of(folder: MovieFolder) -> list[int]:
    return read_clusters(folder.clusters, folder.movie_id)


def run(*folders: MovieFolder, options: Sequence[str] = ()) -> int:
    return main(["--path", *(str(folder.path) for folder in folders), *options])


def test_a_person_of_several_shots_is_one_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = merged_folder(tmp_path, FILM, cuts=[30, 60])
    assert run(folder) == 0
    assert labels_of(folder) == [0, 1, 0, 1, 2, 0]
    assert capsys.readouterr().out.count("\n") == 1
    stage = read_manifest(folder)["stages"]["cluster"]
    assert set(stage["inputs"]) == {
        "trajectories.jsonl", "features.jsonl", "quality.jsonl", "scene_changes.json",
    }  # fmt: skip


def test_equal_faces_of_one_frame_are_two_clusters_unless_allowed(tmp_path: Path) -> None:
    folder = merged_folder(tmp_path, [Seen(0, 0), Seen(0, 0, x=200)])
    assert run(folder) == 0
    assert labels_of(folder) == [0, 1]
    assert run(folder, options=["--allow-same-frame"]) == 0
    assert labels_of(folder) == [0, 0]


def test_hdbscan_respects_cannot_links_and_is_recorded(tmp_path: Path) -> None:
    film = [Seen(0, 0), Seen(1, 0, x=200), *(Seen(0, 30 * i) for i in (1, 2, 3))]
    folder = merged_folder(tmp_path, [*film, Seen(0, 90, x=300)], cuts=[30, 60, 90])
    assert run(folder, options=["--method", "hdbscan"]) == 0
    labels = labels_of(folder)
    assert labels[0] != labels[1]
    assert labels[4] != labels[5]  # one frame
    stage = read_manifest(folder)["stages"]["cluster"]
    assert stage["settings"]["method"] == "hdbscan"
    assert stage["report"]["min_log_likelihood_ratio"] is None
    assert run(folder) == 0
    assert read_manifest(folder)["stages"]["cluster"]["settings"]["method"] == "plda"


def test_a_blurred_trajectory_stays_alone_and_is_listed_in_the_manifest(tmp_path: Path) -> None:
    folder = merged_folder(tmp_path, [Seen(0, 0), Seen(0, 100, sharpness=1.0), Seen(0, 200)])
    assert run(folder) == 0
    assert labels_of(folder) == [0, 1, 0]
    report = read_manifest(folder)["stages"]["cluster"]["report"]
    assert (report["too_poor_to_compare"], report["poor_pages"]) == ([1], [1])


@pytest.mark.parametrize("method", ["plda", "hdbscan"])
def test_faces_of_one_frame_share_a_cluster_only_where_the_manifest_lists_a_poor_page(
    tmp_path: Path, method: str
) -> None:
    blurred = [Seen(0, 100 * k, x=x, sharpness=1.0) for k in range(4) for x in (0, 200, 400)]
    clear = [Seen(1, 400), Seen(1, 400, x=200), Seen(1, 500)]
    folder = merged_folder(tmp_path, [*blurred, *clear])
    assert run(folder, options=["--method", method, "--max-size", "8"]) == 0
    report = read_manifest(folder)["stages"]["cluster"]["report"]
    assert report["too_poor_to_compare"] == [*range(12)]
    labels = labels_of(folder)
    assert report["poor_pages"] == sorted(set(labels[:12])) and len(report["poor_pages"]) == 2
    assert max(labels[12:]) < min(labels[:12]) and labels[12] != labels[13]
    assert run(folder, options=["--method", method, "--poor", "alone"]) == 0
    labels = labels_of(folder)
    assert len(set(labels[:12])) == 12 and max(labels[12:]) < min(labels[:12])
    assert read_manifest(folder)["stages"]["cluster"]["report"]["poor_pages"] == []


@pytest.mark.parametrize("method", ["plda", "hdbscan"])
def test_the_person_longest_on_screen_comes_before_the_one_seen_most_often(
    tmp_path: Path, method: str
) -> None:
    often = [Seen(0, 30 * k, 20) for k in range(5)]
    long = [Seen(1, 200 + 100 * k, 90) for k in range(3)]
    folder = merged_folder(tmp_path, [Seen(3, 0, x=300), *often, *long, Seen(4, 200, 400, x=300)])
    assert run(folder, options=["--method", method]) == 0
    assert labels_of(folder) == [3, *[1] * 5, *[0] * 3, 2]


@pytest.mark.parametrize(("settings", "continued"), [({}, 0), ({"max_gap": 10}, 0), ({"max_gap": 3}, 1)])
def test_a_gap_that_the_merge_was_not_to_link_may_be_a_continuation(
    tmp_path: Path, settings: dict[str, object], continued: int
) -> None:
    folder = merged_folder(tmp_path, [Seen(0, 0), Seen(0, 25)], settings=settings)
    assert run(folder) == 0
    assert read_manifest(folder)["stages"]["cluster"]["report"]["continued"] == continued


@pytest.mark.parametrize(
    ("max_gap", "detect_every", "longest"), [(10, 1, 10), (0, 1, 0), (10, 5, 14), (3, 5, 4), (9, 5, 9)]
)
def test_the_longest_gap_of_a_track_counts_the_frames_without_detection(
    max_gap: int, detect_every: int, longest: int
) -> None:
    def tracks(gap: int) -> int:
        before = np.arange(0, 5 * detect_every, detect_every)
        frames = np.concatenate([before, before + before[-1] + gap + 1])
        boxes = np.tile(np.array([0, 0, 50, 50]), (len(frames), 1))
        return len(track_sampled_frames(detect_every, frames, boxes, [], TrackSettings(max_gap=max_gap)))

    assert (tracks(longest), tracks(longest + detect_every)) == (1, 2)
    stages = {"merge_shards": {"settings": {"max_gap": max_gap}}}
    manifest = {"stages": stages, "settings": {"detect_every": detect_every}}
    assert recorded_tracking(manifest).max_gap == longest


def test_films_of_no_and_of_one_trajectory_are_clustered(tmp_path: Path) -> None:
    empty = merged_folder(
        tmp_path, [], embedder={"kind": "toy", "sha256": "", "dimension": None, "same_person": None}
    )
    single = merged_folder(tmp_path, [Seen(0, 0)], movie_id=8)
    assert run(empty, single) == 0
    assert (labels_of(empty), labels_of(single)) == ([], [0])
    assert empty.clusters.read_bytes() == b'{"clusters":[],"movie_id":7}'


def test_a_rerun_that_changes_nothing_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = merged_folder(tmp_path, FILM)
    assert run(folder) == 0
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    assert run(folder) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert set(folder.path.rglob("*")) == set(before)
    assert "nothing changed" in capsys.readouterr().out


def test_overwrite_replaces_published_clusters_and_keeps_the_old_ones(tmp_path: Path) -> None:
    folder = merged_folder(tmp_path, FILM)
    assert run(folder) == 0
    folder.predictions.write_text("{}", encoding="utf-8")
    old = folder.clusters.read_bytes()
    assert run(folder, options=["--max-size", "1"]) == 1
    assert folder.clusters.read_bytes() == old
    assert run(folder, options=["--max-size", "1", "--overwrite"]) == 0
    assert max(labels_of(folder)) == len(FILM) - 1
    assert [path.read_bytes() for path in folder.previous.glob("*/clusters.json")] == [old]


def test_a_bad_folder_gives_one_line_and_the_others_are_clustered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = merged_folder(tmp_path, FILM)
    bad = merged_folder(tmp_path, FILM, movie_id=8)
    bad.features.write_text("{}\n", encoding="utf-8")
    empty = MovieFolder(tmp_path / "9-data")
    empty.create()
    assert run(bad, empty, MovieFolder(tmp_path / "10-data"), good) == 1
    assert labels_of(good)
    errors = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(errors) == 3
    assert "merge_shards.py" in errors[0]
    assert not bad.clusters.exists()
    assert not list(empty.path.glob("*.json"))


@pytest.mark.parametrize("damage", ["drop", "add"])
def test_quality_records_of_other_faces_are_refused(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = merged_folder(tmp_path / "a", FILM)
    other = merged_folder(tmp_path / "b", FILM[:-1] if damage == "drop" else [*FILM, Seen(4, 200)])
    manifest = folder.manifest.read_text(encoding="utf-8")
    ours, theirs = (
        read_manifest(f)["stages"]["merge_shards"]["outputs"]["quality.jsonl"] for f in (folder, other)
    )
    shutil.copy(other.quality, folder.quality)
    folder.manifest.write_text(manifest.replace(ours, theirs), encoding="utf-8")
    assert run(folder) == 1
    assert "quality.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--max-size", "0"], ["--threshold", "0"]])
def test_invalid_settings_are_refused(tmp_path: Path, options: list[str]) -> None:
    from facerec.errors import InputError

    with pytest.raises(InputError):
        run(merged_folder(tmp_path, FILM), options=options)
