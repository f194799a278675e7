"""The outputs of a tar shard hold the pictures of features that have them."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from facerec.feature_runs.rows import OutputFormat, Rows
from facerec.feature_runs.shard_outputs import ClipOutput, write_npz, write_pickle
from facerec.features.base import FRAMES, PICTURES

JPEGS = [b"\xff\xd8\xffone", b"\xff\xd8\xffthe other"]


@pytest.fixture
def clip(tmp_path: Path) -> ClipOutput:
    rows = Rows(OutputFormat())
    rows.append({FRAMES: np.arange(2), PICTURES: np.array(JPEGS, object)})
    part = tmp_path / "a.npz"
    with part.open("wb") as file:
        rows.write(file)
    rows.close()
    row = {"filename": "a.mp4", "id": 1, "segment": None}
    return ClipOutput(row, {"person": part}, {"person": {"reason": None}})


def test_pictures_are_files_of_the_archive(clip: ClipOutput) -> None:
    file = io.BytesIO()
    write_npz(file, [clip])
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["a.mp4/person/frames.npy"] + [
            f"a.mp4/person/pictures/{k:06d}.jpeg" for k in range(2)
        ]
        assert archive.read("a.mp4/person/pictures/000001.jpeg") == JPEGS[1]
    file.seek(0)
    with np.load(file) as arrays:
        assert arrays["a.mp4/person/frames"].tolist() == [0, 1]


def test_pictures_are_bytes_in_a_pickle(clip: ClipOutput) -> None:
    file = io.BytesIO()
    write_pickle(file, [clip], frozenset())
    (row,) = pickle.loads(file.getvalue())
    (feature,) = row["visual_features"]
    assert feature["feat_array"][FRAMES].tolist() == [0, 1]
    assert feature["feat_array"][PICTURES] == JPEGS
