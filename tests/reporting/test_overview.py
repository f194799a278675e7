"""The overview counts frames and thumbnails right and names only what annotators would see."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import PIL.Image

from facerec.folder.plan import read_plan, write_plan
from facerec.reporting.overview import read_overview
from tests.finished_folder import finished_folder


def test_frame_with_two_trajectories_counts_once_on_screen(tmp_path: Path) -> None:
    folder = finished_folder(tmp_path, [(0, 20), (10, 30), (60, 70)], [0, 0, 1], {0: {"ada": 0.9}, 1: {}})
    overview = read_overview(folder)
    assert (overview.film, overview.frames, overview.frame_rate) == ("7-Film.mp4", 100, Fraction(25))
    assert overview.cuts == [20, 50]
    first, second = overview.clusters
    assert first.spans == [(0, 30)] and first.frames == 30
    assert second.spans == [(60, 70)] and second.frames == 10


def test_shown_thumbnails_are_the_first_and_last_saved_of_each_trajectory(tmp_path: Path) -> None:
    folder = finished_folder(tmp_path, [(3, 21), (30, 31), (41, 44)], [0, 0, 0], {0: {}})
    (cluster,) = read_overview(folder).clusters
    assert [tag.split(":")[1] for tag in cluster.shown] == ["5", "20", "30"]
    assert [len(tags) for tags in cluster.thumbnails] == [4, 1, 0]


def test_missing_shards_are_read_from_the_manifest(tmp_path: Path) -> None:
    folder = finished_folder(tmp_path, [(0, 20)], [0], {0: {}})
    plan = read_plan(folder)
    assert plan is not None and read_overview(folder).missing_shards == ""
    folder.plan.unlink()
    write_plan(folder, replace(plan, n=8), Path("7-Film.mp4"), [])
    folder.manifest.write_text('{"movie_id": 7, "stages": {}, "history": [], "shards": {"missing": "1-2,5"}}')
    assert read_overview(folder).missing_shards == "1-2,5 of 8"


def test_shared_pages_of_poor_trajectories_are_read_from_the_manifest(tmp_path: Path) -> None:
    folder = finished_folder(tmp_path, [(0, 9), (0, 9)], [0, 1], {0: {}, 1: {}})
    assert [one.poor for one in read_overview(folder).clusters] == [False, False]
    entry = '{"report": {"poor_pages": [1]}, "inputs": {}, "outputs": {}, "settings": {}, "made_at": ""}'
    folder.manifest.write_text(f'{{"movie_id": 7, "stages": {{"cluster": {entry}}}, "history": []}}')
    assert [one.poor for one in read_overview(folder).clusters] == [False, True]


def test_thumbnails_of_no_trajectory_are_not_counted(tmp_path: Path) -> None:
    folder = finished_folder(tmp_path, [(0, 6)], [0], {0: {}})
    PIL.Image.new("RGB", (9, 9)).save(folder.images / "7:0:0_10_51_70.jpeg")
    (cluster,) = read_overview(folder).clusters
    assert [tag for tags in cluster.thumbnails for tag in tags] == ["7:0:0_10_50_70", "7:5:0_10_50_70"]


def test_cluster_has_a_name_only_above_the_shown_probability(tmp_path: Path) -> None:
    names = {0: {"ada": 0.4, "bob": 0.3}, 1: {"bob": 0.40001}}
    assert [
        c.name for c in read_overview(finished_folder(tmp_path, [(0, 9), (0, 9)], [0, 1], names)).clusters
    ] == [
        None,
        "bob",
    ]


def test_of_two_equally_likely_names_the_first_by_letter_is_not_the_clusters(tmp_path: Path) -> None:
    folder = finished_folder(tmp_path, [(0, 9)], [0], {0: {"ada": 0.45, "bob": 0.45}})
    assert [one.name for one in read_overview(folder).clusters] == [None]
