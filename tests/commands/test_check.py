"""The checker finds every deviation from the contract, and names its file, line and rule."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from facerec.actors.database import ActorDatabase
from facerec.check import main
from facerec.checks.inspect import deviations, inspect
from facerec.errors import ContractError
from facerec.folder.face_archive import reading_pack, writing_pack
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, read_plan
from facerec.folder.shards import marker_bytes, read_marker
from tests.conftest import ROOT
from tests.folders import make_cast, make_folder

Change = Callable[[MovieFolder], object]


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, and an actor database beside it, from which every test copies its own."""
    out = tmp_path_factory.mktemp("valid")
    make_folder(out)
    make_cast(out / "actor_db")
    return out


@pytest.fixture
def folder(valid: Path, tmp_path: Path) -> MovieFolder:
    shutil.copytree(valid, tmp_path, dirs_exist_ok=True)
    return MovieFolder(tmp_path / "7-data")


@pytest.fixture
def database(folder: MovieFolder) -> ActorDatabase:
    return ActorDatabase(folder.path.parent / "actor_db")


def line(file: str, number: int, change: Callable[[dict[str, Any]], object]) -> Change:
    """Change the record on the 1-based line of a file."""

    def apply(folder: MovieFolder) -> None:
        lines = (folder.path / file).read_text().splitlines()
        record = json.loads(lines[number - 1])
        change(record)
        lines[number - 1] = json.dumps(record)
        (folder.path / file).write_text("\n".join(lines) + "\n")

    return apply


def raw(file: str, number: int, change: Callable[[str], str]) -> Change:
    """Change the text of the 1-based line of a file."""

    def apply(folder: MovieFolder) -> None:
        lines = (folder.path / file).read_text().splitlines(keepends=True)
        lines[number - 1] = change(lines[number - 1])
        (folder.path / file).write_text("".join(lines))

    return apply


def whole(file: str, change: Callable[[dict[str, Any]], object]) -> Change:
    return line(file, 1, change)


def put(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda record: record.update(values)


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda record: record.pop(key)


def boxes(change: Callable[[list[Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda record: change(record["bbs"])


def shift(dx: int) -> Callable[[dict[str, Any]], object]:
    """Move all boxes of a trajectory to the right."""
    return lambda record: record.update(bbs=[[a + dx, b, c + dx, d] for a, b, c, d in record["bbs"]])


def later(record: dict[str, Any]) -> None:
    """Let a trajectory go on for a frame."""
    record.update(
        len=record["len"] + 1, bbs=[*record["bbs"], [9, 9, 19, 19]], detected=[*record["detected"], True]
    )


def first_as_second(folder: MovieFolder) -> None:
    """Give the trajectory of line 2 the boxes of line 1."""
    first = json.loads(folder.trajectories.read_text().splitlines()[0])
    line(T, 2, put(**{key: first[key] for key in ("start", "len", "bbs", "detected")}))(folder)


def retag(frame: int, box: list[int]) -> Callable[[dict[str, Any]], object]:
    return put(frame=frame, box=box, tag=f"7:{frame}:{'_'.join(map(str, box))}")


def new_picture(name: str, size: tuple[int, int] = (50, 60), form: str = "JPEG") -> Change:
    return lambda folder: PIL.Image.fromarray(np.zeros((*size, 3), np.uint8)).save(folder.images / name, form)


def remove(file: str) -> Change:
    def apply(folder: MovieFolder) -> None:
        path = folder.path / file
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return apply


def truncate(file: str, by: int) -> Change:
    return lambda folder: (folder.path / file).write_bytes((folder.path / file).read_bytes()[:-by])


def flip(file: str) -> Change:
    """Change a byte in the middle of a file."""

    def apply(folder: MovieFolder) -> None:
        data = bytearray((folder.path / file).read_bytes())
        data[len(data) // 2] ^= 1
        (folder.path / file).write_bytes(data)

    return apply


def third_picture(folder: MovieFolder) -> None:
    """Show a further saved face of the trajectory of line 1."""
    with reading_pack(folder.path / PACK, 9) as pack:
        folder.picture(THIRD).write_bytes(pack.picture(THIRD))


def other_picture(folder: MovieFolder) -> None:
    """Show another saved face of the trajectory of line 1 than the merge chose."""
    third_picture(folder)
    (folder.images / PICTURE).unlink()


def pack_of(*tags: str) -> Change:
    def apply(folder: MovieFolder) -> None:
        with writing_pack(folder.path / PACK) as add_picture:
            for tag in tags:
                add_picture(tag, b"no picture")

    return apply


def remarked(shard: int, change: Change) -> Change:
    """Change a shard's files and have its marker say that they are as they should be."""

    def apply(folder: MovieFolder) -> None:
        plan = read_plan(folder)
        assert plan is not None
        beg, end = plan.range_of(shard)
        marker = read_marker(folder, plan, beg, end)
        change(folder)
        data = marker_bytes(folder, plan, beg, end, folder.path, marker["report"])
        folder.shard(beg, end).done.write_bytes(data)

    return apply


Row = tuple[Change, str, int | None, str]  # what is changed; which file, line and rule are told


def misnamed(to: str, rule: str) -> Row:
    return lambda folder: (folder.images / PICTURE).rename(folder.images / to), f"images/{to}", None, rule


def strange(name: str, rule: str) -> Row:
    return new_picture(name), f"images/{name}", None, rule


def named(names: dict[str, object], rule: str) -> Row:
    return whole(P, put(predictions={"0": names, "1": {}})), P, None, rule


T, F, Q = "trajectories.jsonl", "features.jsonl", "quality.jsonl"
CUTS, C, P = "scene_changes.json", "clusters.json", "predictions.json"
PICTURE = "7:15:21_30_71_90.jpeg"  # of line 1 of the trajectories
THIRD = "7:5:25_30_75_90"  # another of its saved faces
SHARD = "7_0-13"
PACK = f"faces/faces_{SHARD}.zip"
DONE, PLAN, MANIFEST = f"done/done_{SHARD}.json", "plan.json", "manifest.json"
SHARD_T, SHARD_E = f"trajectories/trajectories_{SHARD}.jsonl", f"evidence/evidence_{SHARD}.jsonl"


def _of_movie_8(record: Any) -> None:
    record["run"]["movie_id"] = 8
    run = {**record["run"], "notes": tuple(record["run"]["notes"])}
    record["fingerprint"] = Plan(**run).fingerprint


DEVIATIONS: dict[str, Row] = {
    # trajectories.jsonl
    "a key is missing": (line(T, 2, without("len")), T, 2, "missing key len"),
    "a key too many": (line(T, 2, put(note="x")), T, 2, "unknown key note"),
    "start is a float": (line(T, 1, put(start=0.0)), T, 1, "start must be an int"),
    "an index is skipped": (line(T, 2, put(index=2)), T, 2, "index 2 on the 0-based line 1"),
    "trajectories of another movie": (line(T, 3, put(movie_id=8)), T, 3, "movie_id 8 in the folder"),
    "a blank line": (raw(T, 1, lambda text: text + "\n"), T, 2, "blank lines"),
    "half a line": (raw(T, 3, lambda text: text[:40]), T, 3, "no valid JSON"),
    "a float in a box": (line(T, 1, boxes(lambda b: b[3].__setitem__(0, 20.5))), T, 1, "a box is four ints"),
    "a box is null": (line(T, 1, boxes(lambda b: b.__setitem__(3, None))), T, 1, "a box is four ints"),
    "a box of three numbers": (line(T, 1, boxes(lambda b: b[3].pop())), T, 1, "a box is four ints"),
    "a negative coordinate": (line(T, 1, boxes(lambda b: b[3].__setitem__(0, -1))), T, 1, "outside 0..320"),
    "a box beyond the frame": (line(T, 1, boxes(lambda b: b[3].__setitem__(3, 181))), T, 1, "outside"),
    "an empty box": (line(T, 1, boxes(lambda b: b[3].__setitem__(2, b[3][0]))), T, 1, "empty"),
    "fewer boxes than len": (line(T, 1, boxes(lambda b: b.pop())), T, 1, "bbs must hold len boxes"),
    "no box at all": (line(T, 1, put(len=0, bbs=[], detected=[])), T, 1, "at least one"),
    "detected is shorter": (line(T, 1, lambda r: r["detected"].pop()), T, 1, "len booleans"),
    "detected is 0 and 1": (line(T, 1, lambda r: r.update(detected=[1] * r["len"])), T, 1, "len booleans"),
    "interpolated at the end": (line(T, 1, lambda r: r["detected"].__setitem__(-1, False)), T, 1, "last box"),
    "an object that is no face": (line(T, 1, put(object_type="car")), T, 1, "object_type"),
    "another frame size": (line(T, 2, put(w=640, h=360)), T, 2, "w, h is 640, 360 where line 1 has 320, 180"),
    "not the display size": (line(T, 1, put(w=640, h=360)), T, 1, "where the film is shown at 320, 180"),
    "boxes after the film's end": (line(T, 3, put(start=35)), T, 3, "of a film of 40 frames"),
    "a crossing of a cut": (line(T, 1, later), T, 1, "crosses the scene change at frame 20"),
    "one box in two trajectories": (first_as_second, T, 2, "same box [20, 30, 70, 90] as line 1"),
    "a trajectory without a picture": (line(T, 3, shift(120)), T, 3, "no picture is saved"),
    "boxes a pixel beside the faces": (line(T, 1, shift(1)), T, 1, "not the saved face's, [25, 30, 75"),
    "no trajectories": (remove(T), T, None, "this file must exist"),
    # images/
    "no images": (remove("images"), "images", None, "this folder must exist"),
    "leading zeros": misnamed("7:015:21_30_71_90.jpeg", "leading zeros"),
    "a box with a float": misnamed("7:15:21.0_30_71_90.jpeg", "no picture's"),
    "the extension jpg": misnamed("7:15:21_30_71_90.jpg", "extension is .jpeg"),
    "another movie's picture": misnamed("8:15:21_30_71_90.jpeg", "movie_id 8"),
    "a picture a pixel aside": misnamed("7:15:22_30_72_90.jpeg", "wrongly named"),
    "a picture of nobody": strange("7:5:1_1_9_9.jpeg", "no line of trajectories"),
    "a picture of nothing": strange("7:5:9_1_9_9.jpeg", "box is empty"),
    "half a picture's file": (truncate(f"images/{PICTURE}", 400), f"images/{PICTURE}", None, "no JPEG"),
    "a large picture": (new_picture(PICTURE, (161, 90)), f"images/{PICTURE}", None, "90x161 pixels"),
    "a PNG": (new_picture(PICTURE, form="PNG"), f"images/{PICTURE}", None, "no JPEG"),
    "a picture is lost": (remove(f"images/{PICTURE}"), T, 1, "1 of its 4 saved faces are shown and not 2"),
    "a third picture": (third_picture, T, 1, "3 of its 4 saved faces are shown and not 2"),
    "a picture that is not the best": (other_picture, "images", None, "not the pictures that merge"),
    "a picture of the same size changed": (
        flip(f"images/{PICTURE}"), f"images/{PICTURE}", None, "not the picture that its shard saved",
    ),
    "a third face's picture": (third_picture, "images", None, "not the pictures that merge"),
    # features.jsonl, quality.jsonl
    "a missing keypoint": (line(F, 1, lambda r: r["keypoints"].pop("nose")), F, 1, "missing key nose"),
    "an embedding too long": (line(F, 1, put(embedding=[1.0, 1.0] + [0.0] * 6)), F, 1, "L2-normalised"),
    "another dimension": (line(F, 2, put(embedding=[1.0])), F, 2, "1 numbers where line 1 has 8"),
    "NaN": (raw(F, 1, lambda text: text.replace("1.0", "NaN", 1)), F, 1, "no valid JSON"),
    "a tag of another box": (line(F, 1, put(box=[1, 2, 3, 4])), F, 1, "tag does not say this frame and box"),
    "a face twice": (raw(F, 2, lambda text: text * 2), F, 3, "sorted by frame and box, each once"),
    "a face between": (line(F, 1, retag(1, [21, 30, 71, 90])), F, 1, "frame 1, where every 5th is saved"),
    "no features": (remove(F), F, None, "this file must exist"),
    "qualities out of step": (line(Q, 2, put(tag="7:5:1_2_3_4")), Q, 2, "is of 7:5:1_2_3_4 where"),
    "a quality is lost": (raw(Q, 1, lambda text: ""), Q, None, "11 lines for 12"),
    # scene_changes.json
    "cuts in disorder": (whole(CUTS, put(frame_indices=[20, 10])), CUTS, None, "must ascend"),
    "a cut at frame 0": (whole(CUTS, put(frame_indices=[0, 20])), CUTS, None, "frame numbers above 0"),
    "a cut after the end": (whole(CUTS, put(frame_indices=[20, 40])), CUTS, None, "cut 40 in a film of 40"),
    "cuts of movie true": (whole(CUTS, put(movie_id=True)), CUTS, None, "movie_id True"),
    # clusters.json
    "a gap in the ids": (whole(C, put(clusters=[0, 2, 0])), C, None, "dense, 0..n-1"),
    "ids from 1": (whole(C, put(clusters=[1, 2, 1])), C, None, "dense, 0..n-1"),
    "noise is -1": (whole(C, put(clusters=[0, -1, 0])), C, None, "dense, 0..n-1"),
    "ids are strings": (whole(C, put(clusters=["0", "1", "0"])), C, None, "a list of ints"),
    "a trajectory without a cluster": (whole(C, put(clusters=[0, 0])), C, None, "2 clusters for 3"),
    "the smaller cluster first": (whole(C, put(clusters=[1, 0, 1])), C, None, "biggest cluster comes first"),
    "no clusters": (remove(C), C, None, "this file must exist"),
    # predictions.json
    "a cluster without an entry": (whole(P, lambda r: r["predictions"].pop("1")), P, None, "each of the 2"),
    "the ancestor's empty answer": (
        lambda folder: folder.predictions.write_text('{"0":{}}'), P, None, "missing key movie_id",
    ),
    "a probability as text": named({"nm1": "0.9"}, "no probability"),
    "a small probability": named({"nm1": 0.01}, "not in 0.05..1"),
    "six decimals": named({"nm1": 0.123456}, "5 decimals"),
    "three names shown": named({"a": 0.41, "b": 0.41, "c": 0.41}, "add up to more"),
    "a long actor id": named({"n" * 65: 0.9}, "1 to 64 characters"),
    "an actor of no table": named({"nm01": 0.9}, "id 'nm01'"),
    "predictions of another movie": (whole(P, put(movie_id=8)), P, None, "movie_id 8"),
    "no predictions": (remove(P), P, None, "this file must exist"),
    # plan.json, the shards, manifest.json
    "no plan": (remove(PLAN), PLAN, None, "this file must exist"),
    "half a plan": (truncate(PLAN, 9), PLAN, None, "no valid JSON"),
    "another movie's plan": (whole(PLAN, _of_movie_8), PLAN, None, "movie_id 8"),
    "a shard is lost": (remove(DONE), DONE, None, "shard 0 of 3: not done"),
    "a shard was changed": (
        truncate(SHARD_T, 9), DONE, None, "was changed",
    ),
    "a shard of no plan": (
        lambda folder: (folder.path / "features/features_7_0-20.jsonl").write_text(""),
        "features/features_7_0-20.jsonl", None, "no shard of the plan",
    ),
    "a frame is lost": (
        remarked(0, raw(SHARD_E, 4, lambda text: "")),
        SHARD_E, None, "12 frames and 0 skipped ones of the shard's 13",
    ),
    "a frame of another shard": (
        remarked(0, line(SHARD_E, 13, put(frame=13))),
        SHARD_E, 13, "outside the shard's 0..12",
    ),
    "a trajectory of another shard": (
        remarked(0, line(SHARD_T, 1, put(start=1))),
        SHARD_T, 1, "outside the shard's 0..12",
    ),
    "a cut of another shard": (
        remarked(0, whole(f"scene_changes/scene_changes_{SHARD}.json", put(frame_indices=[20]))),
        f"scene_changes/scene_changes_{SHARD}.json", None, "cut 20 outside",
    ),
    "a pack of other faces": (
        remarked(0, pack_of("7:0:1_1_9_9")), PACK, None, "its faces are not those of features_7_0-13.jsonl",
    ),
    "a pack that is none": (
        remarked(0, lambda folder: (folder.path / PACK).write_bytes(b"no archive")),
        PACK, None, "no pack of pictures that can be read",
    ),
    "a pack changed": (flip(PACK), DONE, None, "was changed"),
    "merged from other shards": (
        remarked(0, line(SHARD_E, 2, put(change=2.5))),
        MANIFEST, None, "made from other shards",
    ),
    "no manifest": (remove(MANIFEST), MANIFEST, None, "this file must exist"),
    "half a manifest": (truncate(MANIFEST, 9), MANIFEST, None, "no valid JSON"),
    "clusters by hand": (whole(C, put(clusters=[0, 0, 0])), MANIFEST, None, "not the file that cluster.py"),
}  # fmt: skip


def test_a_valid_folder_passes(folder: MovieFolder, database: ActorDatabase) -> None:
    seen = inspect(folder.path, database.folder)
    assert seen.deviations.kept == []
    assert seen.summary == "3 trajectories, 2 clusters, 1 of them named, 6 pictures"


def test_an_empty_movie_passes(tmp_path: Path) -> None:
    assert deviations(make_folder(tmp_path, faces=()).path) == []


def test_a_movie_without_pictures_by_choice_passes(tmp_path: Path) -> None:
    assert deviations(make_folder(tmp_path, pictures=False).path) == []


def test_holes_that_the_manifest_records_are_told_but_no_deviation(tmp_path: Path) -> None:
    seen = inspect(make_folder(tmp_path, skip=[1]).path)
    assert seen.deviations.kept == []
    assert seen.summary.endswith("without shards 1 of 3, as the manifest says")


@pytest.mark.parametrize("hazard", DEVIATIONS)
def test_each_deviation_is_named_by_file_line_and_rule(
    hazard: str, folder: MovieFolder, database: ActorDatabase
) -> None:
    change, file, number, rule = DEVIATIONS[hazard]
    change(folder)
    found = deviations(folder.path, database.folder)
    assert any(
        error.path == folder.path / file and error.line == number and rule in error.rule for error in found
    ), [str(error) for error in found]


def replace(old: str, new: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(path.read_text().replace(old, new))


CAST: dict[str, tuple[Callable[[Path], object], str, int | None, str]] = {
    "a movie without a row": (replace("7,A film", "8,A film"), "actors.csv", None, "no row for movie 7"),
    "a movie without a name": (replace("7,A film", "7,"), "actors.csv", 2, "movie_name is empty"),
    "a movie without a year": (replace("1999,nm2", ",nm2"), "actors.csv", 3, "movie_year is empty"),
    "an actor without a name": (replace("Name 1", ""), "actors.csv", 3, "name is empty"),
    "an actor without a role": (replace("Role,01", ",01"), "actors.csv", 2, "role is empty"),
    "a birthday in ISO": (
        replace("01.02.1970", "1970-02-01"),
        "actors.csv",
        2,
        "neither dd.mm.yyyy nor yyyy",
    ),
    "a missing column": (replace("birthplace", "place"), "actors.csv", 1, "lacks the column birthplace"),
    "no actors": (Path.unlink, "actors.csv", None, "no such file"),
    "a picture of no actor": (replace("nm2,7", "nm3,7"), "actor_images.csv", 3, "the id 'nm3'"),
    "a picture that is missing": (
        replace("nm2.jpg", "nm4.jpg"),
        "actor_images.csv",
        3,
        "'nm4.jpg' is missing",
    ),
    "pictures never counted": (replace("nm2.jpg,1", "nm2.jpg,"), "actor_images.csv", 3, "n_detections"),
    "a path out of the folder": (
        replace("nm2.jpg", "../nm2.jpg"),
        "actor_images.csv",
        3,
        "no file name inside",
    ),
    "a vector of zeros": (replace("[1,0", "[0,0"), "actor_embeddings.jsonl", 1, "all zero"),
    "no size of the film": (
        replace("7-Film", "7-Other"),
        "aspect_ratios.csv",
        None,
        "'7-Film.mp4' is not listed",
    ),
    "a size of zero": (replace(",180", ",0"), "aspect_ratios.csv", 2, "integers above 0"),
}


@pytest.mark.parametrize("hazard", CAST)
def test_each_deviation_of_the_actor_database_is_named(
    hazard: str, folder: MovieFolder, database: ActorDatabase
) -> None:
    change, file, number, rule = CAST[hazard]
    change(database.folder / file)
    seen = inspect(folder.path, database.folder)
    assert not seen.fit_for_backend
    assert any(
        error.path == database.folder / file and error.line == number and rule in error.rule
        for error in seen.deviations.kept
    ), [str(error) for error in seen.deviations.kept]


@pytest.mark.parametrize("name", ["test-data", "07-data", "7-data.old", "2147483648-data"])
def test_a_folder_that_keeps_the_backend_from_starting_by_its_name(name: str, folder: MovieFolder) -> None:
    path = folder.path.rename(folder.path.with_name(name))
    (error,) = deviations(path)
    assert error.path == path


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "7-data").write_text("")
    (error,) = deviations(tmp_path / "7-data")
    assert "this folder must exist" in error.rule


def test_all_deviations_are_found_not_the_first_alone(folder: MovieFolder) -> None:
    line(T, 1, put(object_type="car"))(folder)
    line(T, 3, without("w"))(folder)
    whole(C, put(clusters=[1, 1, 1]))(folder)
    remove("images/7:5:155_30_205_90.jpeg")(folder)
    found = {(error.path.name, error.line) for error in deviations(folder.path)}
    assert {(T, 1), (T, 2), (T, 3), (C, None)} <= found
    assert "7:0:20_30_70_90.jpeg" not in {name for name, _ in found}, "of a line that cannot be read"


def test_pictures_of_a_version_before_belong_to_it_and_not_among_the_new(folder: MovieFolder) -> None:
    folder.previous.mkdir()
    assert deviations(folder.path) == []
    new_picture("7:5:1_1_9_9.jpeg")(folder)
    assert {error.path for error in deviations(folder.path)} == {
        folder.images,
        folder.images / "7:5:1_1_9_9.jpeg",
    }


def test_one_line_says_that_the_backend_will_take_it(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder.path)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("movie 7: the labeling backend will take it: 3 trajectories, 2 clusters")
    assert told.out.count("\n") == 1 and told.err == ""


def test_one_line_says_that_it_will_not_and_why_first_of_all(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    line(F, 1, put(frame=3))(folder)
    raw(T, 1, lambda text: text + "\n")(folder)
    assert main([str(folder.path)]) == 1
    told = capsys.readouterr()
    assert "movie 7: the backend will NOT take it: " in told.out
    assert f"the first: {folder.trajectories}:2: blank lines are not allowed" in told.out
    assert f"{folder.features}:1: tag does not say this frame and box" in told.err


def test_what_the_backend_does_not_read_does_not_turn_it_away(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    remove(MANIFEST)(folder)
    assert main([str(folder.path)]) == 1
    told = capsys.readouterr().out
    assert told.startswith(
        "movie 7: the labeling backend would take it, but there is 1 deviation, the first: "
    )
    assert f"{folder.manifest}: this file must exist" in told


def test_a_flood_of_deviations_is_counted_but_not_told(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.trajectories.write_text("{}\n" * 5000)
    assert main([str(folder.path)]) == 1
    told = capsys.readouterr()
    assert told.err.count("\n") <= 51 and "more deviations" in told.err
    assert len(deviations(folder.path)) <= 1000


@pytest.mark.parametrize("name", ["clusters.json", "trajectories.jsonl", "quality.jsonl"])
def test_a_folder_where_a_file_should_be_gets_its_verdict(
    name: str, folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.path / name).unlink()
    (folder.path / name).mkdir()
    assert main([str(folder.path), str(folder.path)]) == 1
    told = capsys.readouterr()
    assert told.out.count("movie 7: the ") == 2 and f"{name}: this file must exist" in told.err


def test_a_folder_where_a_table_should_be_gets_its_verdict(
    folder: MovieFolder, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    database.actors.unlink()
    database.actors.mkdir()
    assert main([str(folder.path), "--actor-db", str(database.folder)]) == 1
    told = capsys.readouterr()
    assert "movie 7: the backend will NOT take it" in told.out and "actors.csv: is no file" in told.err


def test_several_folders_get_a_line_each(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder.path), str(tmp_path / "9-data")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [text.split(":")[0] for text in lines] == ["movie 7", "movie 9"]


@pytest.mark.parametrize("command", [["-m", "facerec.check"], ["./facerec/check.py"]])
def test_it_runs_as_a_module_and_as_a_script(command: list[str], folder: MovieFolder) -> None:
    done = subprocess.run(
        [sys.executable, *command, str(folder.path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout[:8], done.stderr) == (0, "movie 7:", "")


def test_a_deviation_reads_file_line_rule() -> None:
    assert str(ContractError("a/b.jsonl", "rule", 3)) == "a/b.jsonl:3: rule"
