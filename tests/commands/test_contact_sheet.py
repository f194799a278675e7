"""The overview of a folder is what people judge it by: it must count right, and be drawn for any folder."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from facerec import contact_sheet as stage
from facerec.contact_sheet import _duration, contact_sheet
from facerec.folder.documents import Predictions, clusters_bytes, predictions_bytes, scene_changes_bytes
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, read_plan, write_plan
from facerec.folder.records import Trajectory, to_line
from facerec.reporting.overview import Overview, read_overview
from facerec.support.cli import run_main

MOVIE = 7


def make(
    parent: Path,
    spans: list[tuple[int, int]],
    labels: list[int],
    names: Predictions,
    *,
    colours: list[tuple[int, int, int]] | None = None,
    plan: bool = True,
) -> MovieFolder:
    """A folder of trajectories over frames `spans`, one beside the other, with pictures every 5 frames."""
    folder = MovieFolder(parent / f"{MOVIE}-data")
    folder.create()
    lines = []
    for i, (beg, end) in enumerate(spans):
        boxes = np.tile([60 * i, 10, 60 * i + 50, 70], (end - beg, 1))
        trajectory = Trajectory(i, MOVIE, beg, boxes, np.ones(end - beg, bool), 60 * len(spans), 360)
        lines.append(to_line(trajectory))
        for frame in range(beg, end):
            if frame % 5 == 0:
                tag = f"{MOVIE}:{frame}:{'_'.join(map(str, boxes[0]))}"
                colour = colours[i] if colours else (90, 90, 90)
                PIL.Image.new("RGB", (40, 50), colour).save(folder.thumbnail(tag), quality=95)
    folder.trajectories.write_bytes(b"".join(lines))
    folder.clusters.write_bytes(clusters_bytes(MOVIE, labels))
    folder.predictions.write_bytes(predictions_bytes(MOVIE, names))
    folder.scene_changes.write_bytes(scene_changes_bytes(MOVIE, [20, 50]))
    if plan:
        film = {"name": "7-Film.mp4"}
        write_plan(
            folder, Plan(MOVIE, film, {"frame_rate": "25"}, 100, 1, {}, {}, ()), Path("7-Film.mp4"), []
        )
    return folder


def test_seconds_on_screen_count_a_frame_once(tmp_path: Path) -> None:
    folder = make(tmp_path, [(0, 20), (10, 30), (60, 70)], [0, 0, 1], {0: {"ada": 0.9}, 1: {}})
    overview = read_overview(folder)
    assert (overview.film, overview.frames, overview.frame_rate) == ("7-Film.mp4", 100, Fraction(25))
    assert overview.cuts == [20, 50]
    first, second = overview.clusters
    assert first.spans == [(0, 30)] and first.frames == 30
    assert second.spans == [(60, 70)] and second.frames == 10


def test_shown_pictures_are_the_first_and_last_saved_of_each_trajectory(tmp_path: Path) -> None:
    folder = make(tmp_path, [(3, 21), (30, 31), (41, 44)], [0, 0, 0], {0: {}})
    (cluster,) = read_overview(folder).clusters
    assert [tag.split(":")[1] for tag in cluster.shown] == ["5", "20", "30"]
    assert [len(tags) for tags in cluster.pictures] == [4, 1, 0]


@pytest.mark.parametrize(
    ("frames", "text"),
    [(1480, "59.2 s"), (1499, "1 min 0 s"), (2993, "2 min 0 s"), (2950, "1 min 58 s"), (10, "0.4 s")],
)
def test_a_duration_has_no_sixty_seconds(frames: int, text: str) -> None:
    film = Overview(movie_id=7, film="7.mp4", frames=frames, frame_rate=Fraction(25), cuts=[], clusters=())
    assert _duration(frames, film) == text


def test_shards_that_were_left_out_are_no_empty_scenes(tmp_path: Path) -> None:
    folder = make(tmp_path, [(0, 20)], [0], {0: {}})
    plan = read_plan(folder)
    assert plan is not None and read_overview(folder).without == ""
    folder.plan.unlink()
    write_plan(folder, replace(plan, n=8), Path("7-Film.mp4"), [])
    folder.manifest.write_text('{"movie_id": 7, "stages": {}, "history": [], "shards": {"missing": "1-2,5"}}')
    assert read_overview(folder).without == "1-2,5 of 8"


def test_pictures_that_no_trajectory_names_are_not_counted(tmp_path: Path) -> None:
    folder = make(tmp_path, [(0, 6)], [0], {0: {}})
    PIL.Image.new("RGB", (9, 9)).save(folder.images / "7:0:0_10_51_70.jpeg")
    (cluster,) = read_overview(folder).clusters
    assert [tag for tags in cluster.pictures for tag in tags] == ["7:0:0_10_50_70", "7:5:0_10_50_70"]


def test_name_is_only_what_the_annotator_would_see(tmp_path: Path) -> None:
    names = {0: {"ada": 0.4, "bob": 0.3}, 1: {"bob": 0.40001}}
    assert [c.name for c in read_overview(make(tmp_path, [(0, 9), (0, 9)], [0, 1], names)).clusters] == [
        None,
        "bob",
    ]


def test_every_cluster_is_drawn_with_its_own_faces(tmp_path: Path) -> None:
    colours = [(220, 30, 30), (30, 220, 30), (30, 30, 220)]
    folder = make(
        tmp_path, [(0, 20), (60, 90), (60, 80)], [0, 0, 1], {0: {"ada": 0.9}, 1: {}}, colours=colours
    )
    sheet = np.asarray(contact_sheet(folder, {"ada": "Ada Lovelace"})).astype(int)
    where = [np.argwhere((np.abs(sheet - colour) < 30).all(axis=2)) for colour in colours]
    tops = [points[:, 0].min() for points in where]
    assert all(len(points) > 5000 for points in where)
    assert tops[0] == tops[1] < tops[2]  # two trajectories in one row, the other cluster below
    assert where[0][:, 1].max() < where[1][:, 1].min()


@pytest.mark.parametrize("plan", [True, False])
def test_film_without_faces_has_a_sheet_too(tmp_path: Path, plan: bool) -> None:
    folder = make(tmp_path, [], [], {}, plan=plan)
    assert contact_sheet(folder).height > 100


def test_hundreds_of_clusters_and_trajectories_stay_one_sheet(tmp_path: Path) -> None:
    n = 60
    folder = make(
        tmp_path, [(0, 2)] * 10 + [(0, 1)] * (n - 1), [0] * 10 + list(range(1, n)), {i: {} for i in range(n)}
    )
    few, more = contact_sheet(folder, most=2), contact_sheet(folder, most=5)
    assert few.width == more.width and few.height < more.height < 1200


def test_names_of_any_length_and_script_fit(tmp_path: Path) -> None:
    folder = make(tmp_path, [(0, 9)], [0], {0: {"a": 0.5, "b": 0.3}})
    plain = contact_sheet(folder)
    long = contact_sheet(folder, {"a": "Wolfeschlegelsteinhausenbergerdorff " * 9, "b": "Μαρία Ωραία"})
    assert np.array_equal(
        np.asarray(plain)[:, 340:], np.asarray(long)[:, 340:]
    )  # no name runs into the faces


def test_unfinished_folder_is_one_line_and_no_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(tmp_path, [(0, 9)], [0], {0: {}})
    folder.predictions.unlink()
    assert run_main(stage.main, ["--path", str(folder.path)]) == 1
    said = capsys.readouterr().err.strip()
    assert "predictions.json" in said and "\n" not in said
    assert not folder.contact_sheet.exists()


def test_command_writes_a_picture_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(tmp_path, [(0, 9)], [0], {0: {"ada": 0.9}})
    assert run_main(stage.main, ["--path", str(folder.path), "--actor-db", str(tmp_path)]) == 0
    assert str(folder.contact_sheet) in capsys.readouterr().out
    with PIL.Image.open(folder.contact_sheet) as sheet:
        assert sheet.format == "PNG" and sheet.width > 1000
