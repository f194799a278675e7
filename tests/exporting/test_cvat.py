"""Files for CVAT: datumaro reads them, CVAT's importer keeps every box, and corrections come back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import datumaro
import pytest

import facerec
from facerec.actors.database import ActorDatabase
from facerec.annotations.apply import apply_labels
from facerec.annotations.cvat_labels import read_cvat_labels
from facerec.annotations.learning import learn_folder
from facerec.annotations.truth import evaluate_folder
from facerec.errors import ContractError, InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.readers import read_trajectories
from facerec.interchange.cvat import CvatBox, CvatTrack, read_cvat
from facerec.support.atomic import sha256_of
from tests.exporting.movies import HOSTILE, SHOWN, URI, WRITTEN, exported, open_with_name
from tests.merged_folder import EMBEDDER
from tests.movie_folder import Shown, movie_folder


def written(movie: facerec.Movie, folder: Path) -> Path:
    path = folder / "7.cvat.xml"
    path.write_bytes(exported([movie], "cvat", "xml"))
    return path


def test_datumaro_finds_and_reads_the_boxes(movie: facerec.Movie, tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    path = written(movie, tmp_path / "task")
    assert datumaro.Dataset.detect(str(path.parent)) == "cvat"
    dataset = datumaro.Dataset.import_from(str(path.parent), "cvat")
    seen = {}
    for item in dataset:
        frame = int(re.findall(r"\d+", item.id)[-1])
        for box in item.annotations:
            if not box.attributes["outside"]:
                person, uri = box.attributes["person"], box.attributes["uri"]
                seen[frame, int(box.attributes["track_id"])] = (person, uri, tuple(box.points), box.label)
    boxes = movie.boxes
    assert len(seen) == len(boxes)
    for row in boxes.itertuples():
        name = ("Ada Lovelace", URI) if row.trajectory in (0, 2) else ("unknown 1", "")
        assert seen[row.frame, row.trajectory] == (*name, (row.x1, row.y1, row.x2, row.y2), 0)


def test_what_cvats_importer_asks_for(movie: facerec.Movie, tmp_path: Path) -> None:
    """Every box is a keyframe with all attributes; tracks end with `outside`; attributes are declared."""
    root = ElementTree.parse(written(movie, tmp_path)).getroot()
    attributes = root.findall("meta/task/labels/label/attributes/attribute")
    declared = {one.findtext("name") for one in attributes}
    assert declared == {"person", "uri", "trajectory", "proposed"}
    assert root.findtext("meta/task/labels/label/name") == "face"
    assert (root.findtext("meta/task/size"), root.findtext("meta/task/stop_frame")) == ("100", "99")
    tracks = root.findall("track")
    assert [track.get("id") for track in tracks] == ["0", "1", "2", "3"]
    for track, shown in zip(tracks, SHOWN, strict=True):
        boxes = track.findall("box")
        assert {one.get("keyframe") for one in boxes} == {"1"} and track.get("label") == "face"
        assert [int(one.attrib["frame"]) for one in boxes] == list(range(shown.begin, shown.end + 1))
        assert [one.get("outside") for one in boxes] == ["0"] * (shown.end - shown.begin) + ["1"]
        for box in boxes:
            assert {
                "frame",
                "outside",
                "keyframe",
                "occluded",
                "xtl",
                "ytl",
                "xbr",
                "ybr",
            } <= box.attrib.keys()
            assert {one.get("name") for one in box} == declared


def test_a_track_that_lasts_to_the_end_of_the_film_has_no_box_after_it(tmp_path: Path) -> None:
    movie = facerec.open_movie(movie_folder(tmp_path, [Shown(0, 90, 100)]).path)
    (track,) = read_cvat(written(movie, tmp_path))[1]
    assert [box.frame for box in track.boxes] == list(range(90, 100))


def test_what_is_read_is_written_as_it_was(tmp_path: Path) -> None:
    path = written(open_with_name(tmp_path, HOSTILE), tmp_path)
    task, tracks = read_cvat(path)
    assert "".join(task.to_xml(tracks)).encode() == path.read_bytes()
    assert "each frame's presentation time" in task.comment
    assert tracks[0].boxes[0].attributes["person"] == WRITTEN.removesuffix("\ufffe")


def test_a_file_that_comes_back_uncorrected_changes_no_name(tmp_path: Path) -> None:
    """Exported, taken as labels, exported again: the same bytes, and predictions stay predictions."""
    movie = open_with_name(tmp_path, "Ada Lovelace")
    path = written(movie, tmp_path)
    labeled = facerec.open_movie(movie.path, actor_db=tmp_path / "actors7", labels=path)
    assert labeled.people["source"].tolist() == ["prediction", "none"]
    assert exported([labeled], "cvat", "xml") == path.read_bytes()


def corrected(path: Path, change: Callable[[ElementTree.Element], None]) -> Path:
    """The file as CVAT gives it back: another meta, tracks of people, boxes between keyframes."""
    root = ElementTree.parse(path).getroot()
    task = root.find("meta/task")
    assert task is not None
    for name, text in (("id", "17"), ("created", "2026-01-01"), ("owner", "x"), ("segments", "")):
        ElementTree.SubElement(task, name).text = text
    ElementTree.SubElement(root[1], "dumped").text = "2026-01-02 00:00:00+00:00"
    for box in root.iter("box"):
        if int(box.attrib["frame"]) % 5 and box.get("outside") == "0":
            box.set("keyframe", "0")
    change(root)
    out = path.with_name("annotations.xml")
    ElementTree.ElementTree(root).write(out, encoding="utf-8", xml_declaration=True)
    return out


def rename(track: ElementTree.Element, name: str) -> None:
    for one in track.iter("attribute"):
        if one.get("name") == "person":
            one.text = name


def confirm(track: ElementTree.Element) -> None:
    """Confirm the proposed name, as a person does: empty the attribute."""
    for one in track.iter("attribute"):
        if one.get("name") == "proposed":
            one.text = None


def test_a_proposed_name_is_an_answer_once_it_is_confirmed_or_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    movie = open_with_name(tmp_path, "Ada Lovelace")
    folder, database = MovieFolder(movie.path), ActorDatabase(tmp_path / "actors7")
    path = written(movie, tmp_path)
    assert "0 with an annotator's answer, 2 with a predicted name" in apply_labels(folder, path, database)
    labels = corrected(path, lambda root: confirm(root.findall("track")[0]))
    assert "1 with an annotator's answer, 1 with a predicted name" in apply_labels(folder, labels, database)
    labels = corrected(path, lambda root: rename(root.findall("track")[2], "Bob"))
    rows = read_cvat_labels(labels, folder, read_trajectories(folder.trajectories, 7))
    assert {(row.trajectory, row.label) for row in rows} == {(2, "Bob")}
    again = facerec.open_movie(folder.path, actor_db=tmp_path / "actors7")
    proposed = [track.boxes[0].attributes["proposed"] for track in read_cvat(written(again, tmp_path))[1]]
    assert proposed == ["", "unknown 1", "Ada Lovelace", "unknown 1"]  # the confirmed one stays an answer
    assert not caplog.messages
    path.write_text(path.read_text().replace('name="proposed"', 'name="other"'))
    assert "2 with an annotator's answer" in apply_labels(folder, path, database)
    assert "no box has the attribute 'proposed'" in caplog.text


def test_corrections_are_ground_truth(tmp_path: Path) -> None:
    movie = open_with_name(tmp_path, "Ada Lovelace")

    def change(root: ElementTree.Element) -> None:
        tracks = root.findall("track")
        confirm(tracks[0])
        rename(tracks[1], "Bob")
        confirm(tracks[2])
        rename(tracks[3], "NOT_A_FACE")
        for box in tracks[2].iter("box"):
            box.set("xtl", str(float(box.attrib["xtl"]) + 3))

    truth = corrected(written(movie, tmp_path), change)
    scores = json.loads(evaluate_folder(MovieFolder(movie.path), truth, tmp_path / "actors7", 1))
    assert scores["truth"] == "annotations.xml"
    assert (scores["recall"], scores["trajectories"], scores["judged"]) == (1.0, 4, 4)
    # cluster 0 is Ada and named so; cluster 1 has Bob and a box without a face, and no name
    assert (scores["people"], scores["right"], scores["wrong"]) == (2, 2, 0)
    assert scores["purity"] == 0.75  # three of four are the majority of their cluster


def test_a_film_with_pixels_that_are_not_square_is_corrected_in_stored_pixels(tmp_path: Path) -> None:
    """CVAT decodes 320x360 of a film that is shown at 640x360."""
    movie = open_with_name(tmp_path, "Ada", stored_size=(320, 360))
    path = written(movie, tmp_path)
    task, tracks = read_cvat(path)
    assert task.size == (320, 360) and tracks[1].boxes[0].corners == (50, 10, 75, 190)
    scores = json.loads(evaluate_folder(MovieFolder(movie.path), path, tmp_path / "actors7", 1))
    assert scores["recall"] == 1.0
    labeled = facerec.open_movie(movie.path, actor_db=tmp_path / "actors7", labels=path)
    assert exported([labeled], "cvat", "xml") == path.read_bytes()


def test_corrections_are_labels(tmp_path: Path) -> None:
    movie = open_with_name(tmp_path, "Ada Lovelace")
    folder = MovieFolder(movie.path)

    def change(root: ElementTree.Element) -> None:
        tracks = root.findall("track")
        rename(tracks[0], "nm1")  # an id means the actor as well
        rename(tracks[1], "Bob")
        rename(tracks[3], "NOT_A_FACE")
        root.remove(tracks[2])  # no answer: the prediction stays

    labels = corrected(written(movie, tmp_path), change)
    rows = read_cvat_labels(labels, folder, read_trajectories(folder.trajectories, 7))
    found = {(row.trajectory, row.label, row.image_status) for row in rows}
    assert found == {(0, "nm1", "same"), (1, "Bob", "same"), (3, "", "invalid")}
    apply_labels(folder, labels, ActorDatabase(tmp_path / "actors7"))
    again = facerec.open_movie(folder.path, actor_db=tmp_path / "actors7")
    assert again.trajectories["name"].fillna("").tolist() == ["Ada Lovelace", "Bob", "Ada Lovelace", ""]
    assert again.trajectories["source"].fillna("").tolist() == ["annotator", "annotator", "prediction", ""]
    tracks = read_cvat(written(again, tmp_path))[1]
    assert [track.boxes[0].attributes["person"] for track in tracks] == [
        "Ada Lovelace", "Bob", "Ada Lovelace", "NOT_A_FACE",
    ]  # fmt: skip


def test_corrected_faces_are_learnt(tmp_path: Path) -> None:
    """As with the backend's export: those of known actors, and none that annotators call no face."""
    movie = open_with_name(tmp_path, "Ada Lovelace")
    folder, database = MovieFolder(movie.path), ActorDatabase(tmp_path / "actors7")
    database.pictures.mkdir()
    database.images.write_text("actor_id,movie_id,filename,n_detections\n")
    database.embeddings.write_text("")
    meta = {"embedder": EMBEDDER, "pictures": {}, "embeddings_sha256": sha256_of(database.embeddings)}
    database.embeddings_meta.write_text(json.dumps(meta))

    def change(root: ElementTree.Element) -> None:
        tracks = root.findall("track")
        rename(tracks[3], "NOT_A_FACE")
        confirm(tracks[0])
        confirm(tracks[2])

    labels = corrected(written(movie, tmp_path), change)
    summary = learn_folder(folder, labels, database)
    learnt = {row["filename"] for _, row in database.read_images() if row["actor_id"] == "nm1"}
    tags = movie.faces.merge(movie.trajectories.query("person == 'nm1'")[["trajectory"]])["tag"]
    assert learnt and learnt <= {f"learnt-{tag.replace(':', '-')}.jpeg" for tag in tags}
    assert " 2 rejected" in summary


def test_shapes_of_one_frame_that_annotators_draw_are_faces(tmp_path: Path) -> None:
    """CVAT writes a shape that is on no track as a track of its own, which ends in the next frame."""
    movie = open_with_name(tmp_path, "Ada Lovelace")

    def change(root: ElementTree.Element) -> None:
        for track in root.findall("track"):
            root.remove(track)
        drawn = ElementTree.SubElement(root, "track", {"id": "0", "label": "face", "source": "manual"})
        for frame, outside in ((10, "0"), (11, "1")):
            corners = {"xtl": "98.50", "ytl": "12.00", "xbr": "151.00", "ybr": "188.00"}
            flags = {
                "frame": str(frame),
                "outside": outside,
                "keyframe": "1",
                "occluded": "0",
                "z_order": "0",
            }
            box = ElementTree.SubElement(drawn, "box", {**flags, **corners})
            ElementTree.SubElement(box, "attribute", {"name": "person"}).text = "Bob"

    labels = corrected(written(movie, tmp_path), change)
    labeled = facerec.open_movie(movie.path, labels=labels)
    assert labeled.trajectories["name"].tolist() == ["nm1", "Bob", "nm1", "unknown 1"]


def test_frames_between_two_keyframes_are_interpolated() -> None:
    def box(frame: int, x: float, outside: bool = False) -> CvatBox:
        return CvatBox(frame, (x, 0, x + 10, 10), outside, True, False, {})

    track = CvatTrack(0, "face", (box(0, 0), box(4, 8), box(6, 8, outside=True), box(9, 0)))
    assert [(one.frame, one.corners[0]) for one in track.visible()] == [
        (0, 0), (1, 2), (2, 4), (3, 6), (4, 8), (5, 8), (9, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<track ", "<image ", "is of images"),
        ('xtl="0.00"', 'xtl="left"', "frame 0: a corner is not a number"),
        ('xtl="0.00"', 'xtl="900"', "frame 0: the corners are in the wrong order"),
        ('frame="0"', 'frame="-1"', "frame '-1' of an element 'box' is not a number"),
        ('name="person"', 'name="who"', "no box has the attribute 'person'"),
        ("</annotations>", "", r"annotations.xml:\d+: is not XML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    movie: facerec.Movie, tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "annotations.xml"
    text = written(movie, tmp_path).read_text().replace(old, new)
    path.write_text(text.replace("</track>", "</image>") if "<image" in new else text)
    with pytest.raises(ContractError, match=message):
        facerec.open_movie(movie.path, labels=path)


def test_an_archive_is_refused_with_the_way_out(movie: facerec.Movie, tmp_path: Path) -> None:
    path = tmp_path / "task.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(30))
    with pytest.raises(InputError, match=r"task.zip: is a ZIP archive; unpack it"):
        facerec.open_movie(movie.path, labels=path)
