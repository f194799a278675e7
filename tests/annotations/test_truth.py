"""Both kinds of truth are read right, and refused by line where a row cannot be used."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from facerec import evaluate
from facerec.annotations.identities import MIXED, NO_FACE
from facerec.annotations.matching import Matched
from facerec.annotations.truth import read_truth, thumbnail_frames
from facerec.errors import ContractError, InputError
from facerec.folder.documents import clusters_bytes, predictions_bytes
from facerec.folder.layout import MovieFolder
from facerec.folder.readers import read_trajectories
from facerec.support.cli import run_main
from tests.merged_folder import Seen, merged_folder

NAMES = {"nm1": "ada_lovelace", "nm2": "bob"}
ACTORS = "movie_id,movie_name,movie_year,id,name,role,birthday,birthplace\n"
BOXES = "frame,track,x,y,w,h,score,identity\n"
EXPORT = "id,movie_id,cluster_id,cluster_status,label,tag,image_status,trajectory\n"


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    """Four trajectories: Ada, Ada, Bob in Ada's cluster, a short one; faces saved every 5 frames."""
    seen = [Seen(0, 0), Seen(0, 30), Seen(1, 60), Seen(2, 90, length=6, x=300)]
    made = merged_folder(tmp_path, seen)
    made.clusters.write_bytes(clusters_bytes(7, [0, 0, 0, 1]))
    made.predictions.write_bytes(predictions_bytes(7, {0: {"nm1": 0.9}, 1: {}}))
    return made


def truth_of(folder: MovieFolder, text: str) -> Matched:
    path = folder.path.parent / "truth.csv"
    path.write_text(text)
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    return read_truth(path, folder, trajectories, thumbnail_frames(folder, trajectories), NAMES)


def picture(frame: int, trajectory: int, status: str, label: str = "nm1", cluster: str = "labeled") -> str:
    x = 300 if trajectory == 3 else 0
    return f"1,7,0,{cluster},{label},7:{frame}:{x}_10_{x + 100}_110,{status},{trajectory}\n"


def figures(folder: MovieFolder, text: str, *more: str) -> dict[str, object]:
    (folder.path.parent / "truth.csv").write_text(text)
    out = folder.path.parent / "figures.json"
    argv = ["--path", str(folder.path), "--truth", str(folder.path.parent / "truth.csv"), "--out", str(out)]
    assert run_main(evaluate.main, [*argv, "--actor-db", str(folder.path.parent / "db"), *more]) == 0
    made: dict[str, object] = json.loads(out.read_bytes())
    return made


def test_boxes_are_x_y_w_h_in_any_order_of_columns(folder: MovieFolder) -> None:
    rows = "ada_lovelace,1,110,100,10,0,t\nAda Lovelace,31,110,100,10,0,t\n"
    matched = truth_of(folder, "\ufeffidentity,frame,h,w,y,x,track\n" + rows)
    assert [dict(counts) for counts in matched.boxes[:2]] == [{"ada_lovelace": 1}] * 2
    assert (matched.truth_boxes, matched.found_boxes) == (2, 2)


def test_identity_that_changes_inside_its_track_is_uncertain(folder: MovieFolder) -> None:
    rows = [f"{f},2,0,10,100,100,1,woman(SWITCH late)\n" for f in (0, 1)] + ["2,3,0,10,100,100,1,\n"]
    matched = truth_of(folder, BOXES + "".join(rows))
    assert (matched.truth_boxes, matched.found_boxes) == (3, 3)
    assert matched.identity(0) is None and matched.truth_tracks == {}


def test_false_detections_in_the_truth_need_not_be_found(folder: MovieFolder) -> None:
    matched = truth_of(folder, BOXES + "0,2,0,10,100,100,1,NOT_A_FACE\n1,1,0,10,100,100,1,bob\n")
    assert matched.boxes[0] == {NO_FACE: 1, "bob": 1}
    assert (matched.truth_boxes, matched.found_boxes) == (1, 1)


@pytest.mark.parametrize(
    "row",
    [
        "x,1,0,0,9,9,1,bob",
        "1.5,1,0,0,9,9,1,bob",
        "-1,1,0,0,9,9,1,bob",
        "99999999999,1,0,0,9,9,1,bob",
        "1,1,0,0,nine,9,1,bob",
        "1,1,nan,0,9,9,1,bob",
        "1,1,0,inf,9,9,1,bob",
        "1,1,0,0,0,9,1,bob",
        "1,1,0,0,9,-9,1,bob",
        "1,1,0,0,9,9,1",
    ],
)
def test_invalid_row_of_a_table_is_refused_by_line(folder: MovieFolder, row: str) -> None:
    with pytest.raises(ContractError) as error:
        truth_of(folder, f"{BOXES}0,1,0,0,9,9,1,bob\n{row}\n")
    assert error.value.line == 3


def test_labels_are_actor_ids_or_typed_names(folder: MovieFolder) -> None:
    rows = picture(0, 0, "same") + picture(30, 1, "same", "Ada Lovelace") + picture(60, 2, "same", "nm2")
    matched = truth_of(folder, EXPORT + rows)
    assert [matched.identity(i) for i in range(4)] == ["ada_lovelace", "ada_lovelace", "bob", None]
    assert (matched.truth_boxes, matched.truth_tracks) == (None, None)


def test_statuses_become_identities(folder: MovieFolder) -> None:
    rows = [
        picture(0, 0, "same"),
        picture(15, 0, "different"),
        picture(30, 1, "invalid"),
        picture(45, 1, ""),  # not judged
        picture(60, 2, "same", cluster="mixed"),  # several people: the label is not used
        picture(65, 2, "different", cluster="postponed"),
        picture(70, 2, "invalid", cluster="discarded"),
        picture(75, 2, "same", label=""),
    ]
    matched = truth_of(folder, EXPORT + "".join(rows))
    assert matched.boxes[0] == {MIXED: 2}
    assert matched.boxes[1] == matched.boxes[2] == {NO_FACE: 1}
    assert matched.pictures[:3] == [("ada_lovelace", "not ada_lovelace"), (NO_FACE, None), (None, None)]


def test_only_thumbnails_that_annotators_see_are_counted(folder: MovieFolder) -> None:
    """The saved faces in frames 65 and 70 have no thumbnail."""
    rows = "".join(picture(frame, 2, "different") for frame in (60, 65, 70, 75))
    assert truth_of(folder, EXPORT + rows).pictures[2] == ("not ada_lovelace", "not ada_lovelace")
    folder.thumbnail("7:75:0_10_100_110").rename(folder.thumbnail("7:70:0_10_100_110"))
    (folder.images / "7:60:0_10_100_110.jpeg").unlink()
    assert truth_of(folder, EXPORT + rows).pictures[2] == ("not ada_lovelace",)


def test_thumbnails_that_differ_from_the_label_lower_purity_and_cost_clicks(folder: MovieFolder) -> None:
    rows = [picture(f, 0, "same") for f in (0, 15)] + [picture(f, 1, "same") for f in (30, 45)]
    rows += [picture(f, 2, "different") for f in (60, 75)]
    (db := folder.path.parent / "db").mkdir()
    (db / "actors.csv").write_text(ACTORS + "7,Film,1999,nm1,Ada Lovelace,self,1815,London\n")
    made = figures(folder, EXPORT + "".join(rows))
    assert (made["judged"], made["purity"], made["clicks"]) == (3, pytest.approx(2 / 3), 1 + 2)
    assert (made["right"], made["wrong"], made["recall"], made["fragments"]) == (2, 1, None, None)


@pytest.mark.parametrize("actor", ["Ada Lovelace", "Zoe"])  # before and after NOT_A_FACE and "not" by name
@pytest.mark.parametrize(
    ("first", "last", "right", "wrong", "mixed"),
    [
        ("same", "same", 1, 0, 0),
        ("same", "invalid", 1, 0, 0),
        ("invalid", "same", 1, 0, 0),
        ("same", "different", 0, 0, 1),
        ("different", "same", 0, 0, 1),
        ("different", "different", 0, 1, 0),
        ("different", "invalid", 0, 1, 0),
        ("invalid", "invalid", 0, 1, 0),
    ],
)
def test_one_rejected_picture_of_two_never_makes_a_right_name_wrong(
    folder: MovieFolder, actor: str, first: str, last: str, right: int, wrong: int, mixed: int
) -> None:
    (db := folder.path.parent / "db").mkdir()
    (db / "actors.csv").write_text(ACTORS + f"7,Film,1999,nm1,{actor},self,1815,London\n")
    made = figures(folder, EXPORT + picture(0, 0, first) + picture(15, 0, last))
    assert [made[key] for key in ("judged", "right", "wrong", "silent", "mixed")] == [
        1,
        right,
        wrong,
        0,
        mixed,
    ]
    assert made["purity"] == 1 - mixed
    assert made["forecasts"] == 1 - mixed


@pytest.mark.parametrize("status", ["discarded", "mixed"])
def test_discarded_page_of_poor_trajectories_says_nothing_about_them(
    folder: MovieFolder, status: str
) -> None:
    """Its pictures are `same` by default, and a label that was typed before does not count."""
    manifest = json.loads(folder.manifest.read_bytes())
    record = {"report": {"poor_pages": [1]}, "inputs": {}, "outputs": {}, "settings": {}, "made_at": ""}
    manifest["stages"]["cluster"] = record
    folder.manifest.write_text(json.dumps(manifest))
    folder.clusters.write_bytes(clusters_bytes(7, [0, 1, 1, 1]))
    rows = picture(0, 0, "same") + "".join(picture(f, 1, "same", cluster=status) for f in (30, 45))
    made = figures(folder, EXPORT + rows)
    assert [made[key] for key in ("judged", "poor_pages", "clicks", "purity")] == [1, 0, 1, 1]
    made = figures(folder, EXPORT + rows + picture(60, 2, "invalid", cluster=status))
    assert [made[key] for key in ("judged", "on_poor_pages", "clicks", "purity")] == [2, 1, 2, 1]


def test_trajectory_is_mixed_however_many_pictures_show_its_person(folder: MovieFolder) -> None:
    rows = [picture(frame, 0, "same") for frame in (0, 5, 10)] + [picture(15, 0, "different")]
    assert truth_of(folder, EXPORT + "".join(rows)).identity(0) == MIXED


def test_contradictory_answers_are_ignored(folder: MovieFolder, caplog: pytest.LogCaptureFixture) -> None:
    rows = picture(0, 0, "same") + picture(0, 0, "invalid") + picture(5, 0, "same") + picture(5, 0, "same")
    with caplog.at_level(logging.WARNING):
        matched = truth_of(folder, EXPORT + rows)
    assert matched.boxes[0] == {"ada_lovelace": 1}
    assert "1 thumbnail has contradictory answers" in caplog.text


def test_rows_of_other_movies_are_ignored_but_one_of_this_movie_is_required(folder: MovieFolder) -> None:
    other = "1,8,0,nonsense,nm1,no tag,nonsense,x\n"
    assert truth_of(folder, EXPORT + other + picture(0, 0, "same")).identity(0) == "ada_lovelace"
    with pytest.raises(InputError, match="no row has the movie_id 7"):
        truth_of(folder, EXPORT + other)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (picture(0, 0, "sane"), "image_status 'sane' is not one of same"),
        (picture(0, 0, "same", cluster="done"), "cluster_status 'done' is not one of labeled"),
        (picture(0, 9, "same"), "trajectory 9 has no box"),
        (picture(0, -4, "same"), "trajectory -4 has no box"),
        (picture(30, 0, "same"), "another version"),
        (picture(0, 0, "same").replace("7:0:0_10_100", "7:0:0_10_101"), "another version"),
        (picture(0, 0, "same").replace("7:0:", "8:0:"), "the tag 8:0:0_10_100_110 is not of movie 7"),
        (picture(0, 0, "same").replace("7:0:", "../7:0:"), "tag or trajectory is not valid"),
        (picture(0, 0, "same").replace(",0\n", ",first\n"), "tag or trajectory is not valid"),
    ],
)
def test_invalid_row_of_an_export_is_refused_by_line(folder: MovieFolder, row: str, rule: str) -> None:
    with pytest.raises(ContractError, match=rule) as error:
        truth_of(folder, EXPORT + picture(0, 0, "same") + row)
    assert error.value.line == 3


@pytest.mark.parametrize("above", ["", "\ufeffsep=;\r\n"])
def test_truth_that_a_german_spreadsheet_saved_again_is_read(folder: MovieFolder, above: str) -> None:
    boxes = BOXES + "0,2,0,10,100,100,1,ada\n"
    labels = EXPORT + picture(0, 0, "same")
    for text in boxes, labels:
        assert truth_of(folder, above + text.replace(",", ";")) == truth_of(folder, text)


@pytest.mark.parametrize("text", ["", "frame,track,x,y\n0,1,2,3\n", "\x00\xff\n", '"unclosed\n'])
def test_file_of_neither_kind_is_a_one_line_error(
    folder: MovieFolder, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder.path.parent / "truth.csv"
    path.write_bytes(text.encode("latin-1"))
    assert run_main(evaluate.main, ["--path", str(folder.path), "--truth", str(path)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert (
        len(said) == 1
        and "neither those of a table of boxes" in said[0]
        and "nor those of an export" in said[0]
    )


def test_missing_file_is_named(folder: MovieFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(evaluate.main, ["--path", str(folder.path), "--truth", "nowhere.csv"]) == 1
    assert "nowhere.csv: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(("x", "w"), [(300, 100), (200, 67)])
def test_boxes_of_an_anamorphic_film_may_be_in_stored_pixels(folder: MovieFolder, x: int, w: int) -> None:
    manifest = json.loads(folder.manifest.read_bytes())
    manifest["video"] = {"stored_size": [427, 360], "display_size": [640, 360], "rotation": 0}
    folder.manifest.write_text(json.dumps(manifest))
    matched = truth_of(folder, BOXES + "".join(f"{f},1,{x},10,{w},100,1,cy\n" for f in range(90, 96)))
    assert (matched.found_boxes, matched.identity(3)) == (6, "cy")


def test_short_trajectories_are_not_judged_but_their_boxes_count_for_recall(folder: MovieFolder) -> None:
    text = BOXES + "0,1,0,10,100,100,1,ada\n90,2,300,10,100,100,1,cy\n"
    assert [figures(folder, text)[key] for key in ("judged", "people", "recall")] == [2, 2, 1.0]
    only_long = figures(folder, text, "--min-trajectory", "10")
    assert [only_long[key] for key in ("judged", "people", "recall")] == [1, 1, 1.0]


def test_movie_without_trajectories_can_be_scored(tmp_path: Path) -> None:
    folder = merged_folder(tmp_path, [])
    folder.clusters.write_bytes(clusters_bytes(7, []))
    folder.predictions.write_bytes(predictions_bytes(7, {}))
    made = figures(folder, BOXES + "0,1,0,10,100,100,1,ada\n")
    assert (made["recall"], made["judged"], made["purity"], made["clicks"]) == (0.0, 0, None, 0)


def test_every_shared_table_of_boxes_can_be_read(folder: MovieFolder, shared: Path) -> None:
    tables = sorted((shared / "data" / "truth").glob("*.tracks.csv"))
    assert tables
    for path in tables:
        assert read_truth(path, folder, [], {}, {}).truth_boxes
