"""The contact sheet can be drawn for any finished folder and shows each cluster's own faces."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from facerec.reporting.contact_sheet import _sureness, draw_contact_sheet, format_duration
from facerec.reporting.overview import Overview
from tests.finished_folder import finished_folder


@pytest.mark.parametrize(
    ("frames", "text"),
    [(1480, "59.2 s"), (1499, "1 min 0 s"), (2993, "2 min 0 s"), (2950, "1 min 58 s"), (10, "0.4 s")],
)
def test_duration_never_shows_sixty_seconds(frames: int, text: str) -> None:
    film = Overview(movie_id=7, film="7.mp4", frames=frames, frame_rate=Fraction(25), cuts=[], clusters=())
    assert format_duration(frames, film) == text


def test_every_cluster_is_drawn_with_its_own_faces(tmp_path: Path) -> None:
    colours = [(220, 30, 30), (30, 220, 30), (30, 30, 220)]
    folder = finished_folder(
        tmp_path, [(0, 20), (60, 90), (60, 80)], [0, 0, 1], {0: {"ada": 0.9}, 1: {}}, colours=colours
    )
    sheet = np.asarray(draw_contact_sheet(folder, {"ada": "Ada Lovelace"})).astype(int)
    where = [np.argwhere((np.abs(sheet - colour) < 30).all(axis=2)) for colour in colours]
    tops = [points[:, 0].min() for points in where]
    assert all(len(points) > 5000 for points in where)
    assert tops[0] == tops[1] < tops[2]  # two trajectories in one row, the other cluster below
    assert where[0][:, 1].max() < where[1][:, 1].min()


@pytest.mark.parametrize("plan", [True, False])
def test_film_without_faces_has_a_sheet(tmp_path: Path, plan: bool) -> None:
    folder = finished_folder(tmp_path, [], [], {}, plan=plan)
    assert draw_contact_sheet(folder).height > 100


def test_only_max_clusters_are_drawn(tmp_path: Path) -> None:
    n = 60
    folder = finished_folder(
        tmp_path, [(0, 2)] * 10 + [(0, 1)] * (n - 1), [0] * 10 + list(range(1, n)), {i: {} for i in range(n)}
    )
    few, more = draw_contact_sheet(folder, max_clusters=2), draw_contact_sheet(folder, max_clusters=5)
    assert few.width == more.width and few.height < more.height < 1200


def test_long_names_do_not_reach_the_faces(tmp_path: Path) -> None:
    folder = finished_folder(tmp_path, [(0, 9)], [0], {0: {"a": 0.5, "b": 0.3}})
    plain = draw_contact_sheet(folder)
    long = draw_contact_sheet(folder, {"a": "Wolfeschlegelsteinhausenbergerdorff " * 9, "b": "Μαρία Ωραία"})
    assert np.array_equal(
        np.asarray(plain)[:, 340:], np.asarray(long)[:, 340:]
    )  # no name runs into the faces


def test_a_probability_is_never_rounded_up_as_in_the_report() -> None:
    assert [_sureness(p) for p in (0.978, 0.0685, 0.995, 0.4)] == ["97 %", "6 %", "over 99 %", "40 %"]
