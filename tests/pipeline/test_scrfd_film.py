"""A film extracted with a pack's models and in tiles, by small networks that find white squares."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from facerec import extract
from facerec.errors import InputError, ModelError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import read_plan
from facerec.geometry import Image
from tests.films import make_film
from tests.models.onnx_files import write_embedder
from tests.models.scrfd_files import draw, write_scrfd
from tests.toy import results, run_merge

SIZE = (240, 400)
LOSSLESS = {"qp": "0"}


def faces(number: int, width: int, height: int) -> Image:
    """A small face, which only tiles show, on the seam of two of them, and a large one."""
    frame = np.zeros((height, width, 3), np.uint8)
    draw(frame, 16, 80, 80)
    draw(frame, 80, 280, 160)
    return frame


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "77-Squares.mp4"
    return make_film(path, 8, width=SIZE[1], height=SIZE[0], gop=5, draw=faces, options=LOSSLESS)


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights folder has a pack of small networks."""
    folder = tmp_path / "weights" / "buffalo_l"
    folder.mkdir(parents=True)
    write_scrfd(folder / "det_10g.onnx", size=(320, 320), batched=False)
    write_embedder(folder / "w600k_r50.onnx")
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path / "weights"))


def extracted(film: Path, out: Path, n: int, *more: str) -> MovieFolder:
    words = ["--shard", f"0-{n - 1}", "--n", str(n), "--out", str(out), "--models", "buffalo_l"]
    words += ["--min-face-size", "16", "--face-threshold", "0.7", *more, str(film)]
    assert extract.main(words) == 0
    return run_merge(MovieFolder.of_film(out, film), "--min-face-size", "16")


def test_the_number_of_shards_changes_no_byte_with_scrfd(film: Path, pack: None, tmp_path: Path) -> None:
    folder = extracted(film, tmp_path / "1", 1, "--tiles")
    whole = results(folder)
    plan = read_plan(folder)
    assert plan is not None and plan.settings["tiles"] is True
    assert [plan.models[role]["kind"] for role in ("detector", "embedder")] == ["scrfd", "arcface"]
    assert whole["trajectories.jsonl"].count(b"\n") == 2
    for n in (7,):
        assert results(extracted(film, tmp_path / str(n), n, "--tiles")) == whole, f"N = {n}"
        shutil.rmtree(tmp_path / str(n))
    without = results(extracted(film, tmp_path / "without", 1))
    assert without["trajectories.jsonl"].count(b"\n") == 1


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["--models", "buffalo_x"], InputError, "--models buffalo_x: no such pack"),
        (["--models", "antelopev2"], ModelError, "make models MODELS=antelopev2"),
        (["--models", "buffalo_l", "--tiles", "--detector", "yunet"], ModelError, "needs no tiles"),
    ],
)
def test_a_pack_or_tiles_that_cannot_be_had_are_one_line_before_anything_is_written(
    film: Path, pack: None, tmp_path: Path, words: list[str], error: type[Exception], message: str
) -> None:
    for dry in (["--dry-run"], []):
        with pytest.raises(error, match=message):
            extract.main(["--out", str(tmp_path / "out"), *words, *dry, str(film)])
        assert not (tmp_path / "out").exists()
