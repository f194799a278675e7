"""Pairs of faces are of two tracks, of known people, and in the row that describes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.embedders import HEAD, Face, all_pairs, read_known, table
from bench.pairs import Pairs

VECTORS = [np.array([0.0, 0.0]), np.array([0.1, 0.0]), np.array([0.3, 0.0]), np.array([1.0, 0.0])]
FACES = [
    Face("a", "t1", 100, True, ()),
    Face("a", "t1", 100, True, ()),
    Face("a", "t2", 25, False, ()),
    Face("b", "t3", 70, True, ()),
]


def test_two_frames_of_one_track_are_no_pair() -> None:
    distances, same, _, _ = all_pairs(FACES, VECTORS)
    assert len(distances) == 5
    assert sorted(distances[same].tolist()) == pytest.approx([0.2, 0.3])


def test_a_pair_is_as_small_as_its_smaller_face_and_turned_if_one_is() -> None:
    rows = {
        line.split(" | ")[0].strip("| "): line.split(" | ")[1:3] for line in table(FACES, VECTORS, 0.5)[2:]
    }
    assert rows["all"] == ["2", "3"]
    assert rows["20 to 32 px"] == ["2", "1"]
    assert rows["from 64 px"] == ["0", "2"]
    assert rows["two frontal"] == ["0", "2"]
    assert rows["one turned, or both"] == ["2", "1"]


def test_a_row_without_pairs_of_one_person_has_no_figures() -> None:
    lines = table(FACES, VECTORS, 0.5)
    assert {line.count("|") for line in lines} == {len(HEAD) + 1}
    (row,) = [line for line in lines if line.startswith("| from 64 px")]
    assert row.replace("|", "").split() == ["from", "64", "px", "0", "2"]


def test_auc_counts_ties_half() -> None:
    assert Pairs(np.array([0.1, 0.5]), np.array([0.5, 0.9])).auc() == pytest.approx((2 + 1.5) / 4)
    assert Pairs(np.array([0.1]), np.array([0.5])).auc() == 1
    assert Pairs(np.array([0.9]), np.array([0.5])).auc() == 0


def test_a_distance_of_exactly_the_threshold_is_rejected() -> None:
    pairs = Pairs(np.array([0.5]), np.array([0.5]))
    assert (pairs.false_accepts(0.5), pairs.false_rejects(0.5)) == (0, 1)


def test_uncertain_people_false_boxes_and_drawn_heads_are_not_known(tmp_path: Path) -> None:
    path = tmp_path / "7.tracks.csv"
    rows = ["0,1,10,0,20,30,0.9,ann", "0,2,0,0,9,9,0.9,bob(SWITCH late)", "0,3,0,0,9,9,0.9,NOT_A_FACE",
            "5,4,0,0,9,9,0.9,", "5,5,0,0,9,9,0.9,cgi_cartoon_head"]  # fmt: skip
    path.write_text("frame,track,x,y,w,h,score,identity\n" + "\n".join(rows) + "\n", encoding="utf-8")
    known = read_known(path, 1.5)
    assert known.people == {0: [("ann", "1")]}
    assert known.boxes[0].tolist() == [[15, 0, 45, 30]]
