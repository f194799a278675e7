"""The tracking benchmark: what it counts, what it reads, and the figures the project promises."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.tracking import main, purity, read_cuts, read_truth
from facerec.errors import InputError

EPISODES = ("bbt_s01e01", "bbt_s01e02", "bbt_s01e03", "buffy_s05e01", "buffy_s05e02", "buffy_s05e03")


def figures(capsys: pytest.CaptureFixture[str], *argv: Path | str) -> dict[str, float]:
    assert main([str(word) for word in argv]) == 0
    found: dict[str, float] = json.loads(capsys.readouterr().out)
    return found


def write_rows(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_purity_counts_boxes_of_the_majority():
    identities = ["a", "a", "b", "b", "b", "false at row 9"]
    assert purity([[0, 1], [2, 3, 4], [5]], identities) == (0, 1)
    assert purity([[0, 1, 2], [3, 4, 5]], identities) == (2, 4 / 6)


def test_a_false_box_is_a_track_and_an_identity_of_its_own(tmp_path, capsys):
    boxes = write_rows(
        tmp_path / "boxes.csv", "frame,x1,y1,x2,y2,identity,track",
        "1,10.4,10,50,50,ann,7", "2,10.6,10,50,50,ann,7", "2,200,10,240,50,false,false",
        "3,200,10,240,50,false,false", "900,10,10,50,50,ann,8",
    )  # fmt: skip
    (shots := tmp_path / "shots.txt").write_text("400\tCUT\n")
    found = figures(capsys, boxes, "--shots", shots)
    assert found.pop("frames_per_s") > 0
    assert found == {"trajectories": 3, "truth": 4, "mixed": 1, "purity": 0.8}


def test_corner_and_size_mean_the_same_as_two_corners(tmp_path):
    corners = write_rows(tmp_path / "a.csv", "frame,x1,y1,x2,y2,identity,track", "1,10,20,40,60,ann,7")
    with gzip.open(tmp_path / "b.csv.gz", "wt") as file:
        file.write("frame,track_id,x,y,w,h,identity,other\n1,7,10,20,30,40,ann,ann\n")
    assert read_truth(corners) == read_truth(tmp_path / "b.csv.gz")


@pytest.mark.parametrize(
    ("text", "named"),
    [("frame,x1,y1,x2\n1,2,3,4\n", "'y2'"), ("", "has no boxes"),
     ("frame,x1,y1,x2,y2,identity,track\n", "has no boxes"),
     ("frame,x1,y1,x2,y2,identity,track\n1,1,1,9,9,a,1\n1,1,1,nan,9,a,1\n", ":3:"),
     ("frame,x1,y1,x2,y2,identity,track\n1,1,1\n", ":2:"),
     ("frame,x1,y1,x2,y2,identity,track\none,1,1,9,9,a,1\n", ":2:")],
)  # fmt: skip
def test_a_table_of_something_else_is_refused_by_line(tmp_path, text, named):
    (path := tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(InputError, match=named):
        read_truth(path)


def test_a_file_that_is_no_gzip_is_refused(tmp_path):
    (path := tmp_path / "boxes.csv.gz").write_text("frame")
    with pytest.raises(InputError, match="not a readable CSV"):
        read_truth(path)


def test_cuts_that_are_no_numbers_are_refused_by_line(tmp_path):
    (path := tmp_path / "shots.txt").write_text("12\tCUT\n\nthen CUT\n")
    with pytest.raises(InputError, match=r":3: 'then'"):
        read_cuts(path)


@pytest.mark.parametrize("episode", EPISODES)
def test_people_of_real_episodes_are_neither_mixed_nor_in_pieces(shared, capsys, episode):
    tracks = shared / "data/tv_tracks"
    found = figures(capsys, tracks / f"{episode}.csv.gz", "--shots", tracks / f"{episode}.shots.txt")
    assert found["purity"] >= 0.9995 and found["trajectories"] <= 1.02 * found["truth"]


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("episode", EPISODES)
def test_misses_jitter_and_false_boxes_of_a_detector_barely_mix_tracks(
    shared, tmp_path, capsys, episode, seed
):
    tracks = shared / "data/tv_tracks"
    with (tmp_path / "boxes.csv").open("w") as file:
        tool = [sys.executable, shared / "tools/degrade_tracks.py", tracks / f"{episode}.csv.gz"]
        subprocess.run([*tool, "--seed", str(seed)], check=True, stdout=file)
    found = figures(capsys, tmp_path / "boxes.csv", "--shots", tracks / f"{episode}.shots.txt")
    assert found["purity"] >= 0.9997 and found["trajectories"] <= 1.03 * found["truth"]


def test_without_its_cuts_an_episode_is_mixed(shared, tmp_path, capsys):
    """The benchmark can fail: cuts decide."""
    (tmp_path / "none.txt").write_text("")
    found = figures(capsys, shared / "data/tv_tracks/bbt_s01e01.csv.gz", "--shots", tmp_path / "none.txt")
    assert found["mixed"] > 20 and found["purity"] < 0.97


def test_the_two_forms_of_an_episode_have_the_same_boxes(shared, tmp_path):
    """Nothing is lost or moved on the way in."""
    path = shared / "data/tv_tracks/bbt_s01e01.csv.gz"
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    truth = read_truth(path)
    assert len(truth.frames) == len(rows) == 42057
    assert truth.boxes[0] == (502, 112, 529, 139) and len(set(truth.tracks)) == 657
