"""MOT sequences: motmetrics and datumaro read the tracks, and they come back as they were."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import datumaro
import motmetrics
import numpy as np
import pytest

import facerec
from facerec.errors import ContractError, InputError
from facerec.interchange.mot import read_mot
from tests.exporting.movies import HOSTILE, URI, WRITTEN, exported, open_with_name


@pytest.fixture
def unpacked(movie: facerec.Movie, tmp_path: Path) -> Path:
    folder = tmp_path / "sequence"
    zipfile.ZipFile(io.BytesIO(exported([movie], "mot", "zip"))).extractall(folder)
    return folder


def test_motmetrics_reads_every_box(movie: facerec.Movie, unpacked: Path) -> None:
    table = motmetrics.io.loadtxt(unpacked / "gt" / "gt.txt", fmt="mot16").reset_index()
    columns = ["FrameId", "Id", "X", "Y", "Width", "Height", "Confidence", "ClassId", "Visibility"]
    found = table[columns].astype(int).to_numpy().tolist()
    boxes = movie.boxes.sort_values(["frame", "trajectory"])
    assert found == [
        [b.frame + 1, b.trajectory + 1, b.x1, b.y1, b.x2 - b.x1, b.y2 - b.y1, 1, 1, int(b.detected)]
        for b in boxes.itertuples()
    ]


def test_a_tracker_without_a_mistake_has_no_mistakes(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "asfarray", lambda a: np.asarray(a, float), raising=False)  # motmetrics: numpy 1
    truth = motmetrics.io.loadtxt(unpacked / "gt" / "gt.txt", fmt="mot16")
    matched = motmetrics.utils.compare_to_groundtruth(truth, truth, "iou", distth=0.5)
    scores = motmetrics.metrics.create().compute(matched, metrics=["mota", "idf1", "num_objects"])
    assert scores.iloc[0].tolist() == [1, 1, 50]


def test_datumaro_finds_and_reads_the_tracks(movie: facerec.Movie, unpacked: Path) -> None:
    assert datumaro.Dataset.detect(str(unpacked)) == "mot_seq"
    dataset = datumaro.Dataset.import_from(str(unpacked), "mot_seq")
    labels = dataset.categories()[datumaro.AnnotationType.label]
    assert len(dataset) == 100 and [label.name for label in labels] == ["face"]
    seen = {
        (int(item.id) - 1, box.attributes["track_id"] - 1): [int(v) for v in box.get_bbox()]
        for item in dataset
        for box in item.annotations
    }
    assert len(seen) == len(movie.boxes)
    for b in movie.boxes.itertuples():  # datumaro keeps pixels that are counted from 1
        assert seen[b.frame, b.trajectory] == [b.x1 + 1, b.y1 + 1, b.x2 - b.x1, b.y2 - b.y1]


def test_identities_and_the_clock_are_in_the_archive(unpacked: Path) -> None:
    rows = list(csv.DictReader((unpacked / "gt" / "identities.csv").open(encoding="utf-8")))
    assert rows[0] == {"id": "1", "person": "nm1", "name": "Ada Lovelace", "uri": URI}
    assert [row["name"] for row in rows] == ["Ada Lovelace", "unknown 1", "Ada Lovelace", "unknown 1"]
    info = (unpacked / "seqinfo.ini").read_text()
    assert "each frame's presentation time" in info and "seqLength=100\nimWidth=640\nimHeight=360\n" in info


def test_what_is_read_is_written_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "7.zip"
    path.write_bytes(exported([open_with_name(tmp_path, HOSTILE)], "mot", "zip"))
    sequence = read_mot(path)
    assert sequence.identities[0].name == WRITTEN and sequence.rows.shape == (50, 7)
    assert sequence.to_zip() == path.read_bytes()


def test_a_sequence_of_others_is_read(tmp_path: Path) -> None:
    """Boxes with fractions, ten columns, other classes, boxes that do not count, no file beside them."""
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        rows = "1,1,11.6,21,30,40,1,1,0.5\n2,2,1,1,5,5,1,3,1\n3,2,1,1,5,5,0,1,1\n4,1,11,21,30,40,1,1,0,9\n"
        archive.writestr("gt/gt.txt", rows)
    assert read_mot(path).rows.tolist() == [[1, 1, 11, 20, 30, 40, 1], [4, 1, 10, 20, 30, 40, 0]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1,1,x,1,5,5,1,1,1\n", "gt/gt.txt: line 1 is not nine numbers"),
        ("1,1,1,1,5,5,1,1,1\n0,1,1,1,5,5,1,1,1\n", "line 2 has a frame, an id or a size below 1"),
        ("1,1,1,1,inf,5,1,1,1\n", "line 1 is not nine numbers"),
        ("1,1\n", "line 1 is not nine numbers"),
        (None, "has no gt/gt.txt"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, rows: str | None, message: str) -> None:
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gt/gt.txt" if rows is not None else "gt.txt", rows or "")
    with pytest.raises(ContractError, match=message):
        read_mot(path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(ContractError, match="is not a readable ZIP archive"):
        read_mot(tmp_path / "bad.zip")
    with pytest.raises(InputError, match="no such file"):
        read_mot(tmp_path / "none.zip")
