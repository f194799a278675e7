"""What is not finite stops the shard with the frame named, and an implausible number of faces is reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from facerec import check, extract, merge_shards
from facerec.errors import NonFiniteError
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest
from facerec.folder.plausibility import MIN_FRAMES, implausible_counts
from facerec.geometry import Image
from facerec.models.base import Detections
from facerec.reporting.overview import read_overview
from facerec.support.cli import run_main
from tests.toy import (
    HEIGHT,
    MOVIE,
    TOY_MODELS,
    WIDTH,
    Story,
    ToyDetector,
    ToyEmbedder,
    make_cast,
    run_extract,
    run_merge,
    run_naming,
    toy_models,
)

STORY = Story(14, cuts=(7,))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return STORY.make(tmp_path_factory.mktemp("film") / f"{MOVIE}-film.mp4")


def in_second_shot(image: Image) -> bool:
    """Whether the image is of the second shot, which begins at frame 7."""
    first, second = (STORY.draw(number, WIDTH, HEIGHT).astype(float) for number in (3, 10))
    return bool(np.abs(image - second).mean() < np.abs(image - first).mean())


def bad_detector(self: ToyDetector, frames: Sequence[Image]) -> list[Detections]:
    if any(map(in_second_shot, frames)):
        raise NonFiniteError("toy, computed in float16, returned scores that are NaN or infinite; a remedy")
    return [ToyDetector._one(self, frame) for frame in frames]


def bad_embedder(self: ToyEmbedder, crops: Sequence[Image]) -> np.ndarray:
    if any((crop[..., 1] > crop[..., 0] + 60).any() for crop in crops):  # green: the third person
        raise NonFiniteError("toy, computed in float16, returned embeddings that are NaN; a remedy")
    return np.full((len(crops), self.dimension), self.dimension**-0.5, np.float32)


@pytest.mark.parametrize(
    ("target", "name", "bad", "expected"),
    [
        (ToyDetector, "detect", bad_detector, "frame 7: toy, computed in float16, returned scores"),
        (ToyEmbedder, "embed", bad_embedder, ": toy, computed in float16, returned embeddings"),
    ],
)
def test_what_is_not_finite_stops_the_shard_with_the_frame_named(
    target: type,
    name: str,
    bad: Callable[..., object],
    expected: str,
    film: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--out", str(tmp_path), *TOY_MODELS, "--save-every", "1", str(film)]
    with toy_models(), mock.patch.object(target, name, bad):
        assert run_main(extract.main, words) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{film}: frame " in line and expected in line
    folder = MovieFolder(tmp_path / f"{MOVIE}-data")
    beg, end = 0, 14
    files = folder.shard(beg, end)
    assert not any(path.exists() for path in (*files.results, files.marker))
    assert not list(folder.path.rglob("*.part"))
    run_extract(film, tmp_path, 1, "--save-every", "1")  # and an intact model can go on
    assert files.marker.exists()


def test_a_result_that_is_bad_only_once_names_the_frames_of_its_batch(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def once(self: ToyDetector, frames: Sequence[Image]) -> list[Detections]:
        if len(frames) > 1 and in_second_shot(frames[-1]):
            raise NonFiniteError("toy returned scores that are NaN")
        return [ToyDetector._one(self, frame) for frame in frames]

    words = ["--out", str(tmp_path), *TOY_MODELS, str(film)]
    with toy_models(), mock.patch.object(ToyDetector, "detect", once):
        assert run_main(extract.main, words) == 1
    assert "frames 4 to 7: toy returned scores that are NaN" in capsys.readouterr().err


def saturated(self: ToyDetector, frames: Sequence[Image]) -> list[Detections]:
    found = [ToyDetector._one(self, frame) for frame in frames]
    return [Detections(one.boxes, one.scores, one.keypoints, saturated=True) for one in found]


def test_a_film_full_of_candidates_is_reported_by_extraction_merge_check_and_contact_sheet(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "toy found the maximum of candidates in 14 of 14 frames"
    with mock.patch.object(ToyDetector, "detect", saturated):
        folder = run_extract(film, tmp_path / "out", 1)
    assert f"{folder.path}: shard 0: {sentence}" in capsys.readouterr().err
    run_merge(folder)
    assert f"{folder.path}: {sentence}" in capsys.readouterr().err
    (warning,) = read_manifest(folder)["stages"]["merge_shards"]["report"]["warnings"]
    assert warning.startswith(sentence)
    run_naming(folder, make_cast(tmp_path / "cast"))  # its check passes: it is no violation
    capsys.readouterr()
    assert check.main([str(folder.path)]) == 0
    assert f"1 warning, the first: {folder.manifest}: {sentence}" in capsys.readouterr().out
    assert read_overview(folder).warnings == (warning,)


def test_a_plausible_film_is_not_reported(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_merge(run_extract(film, tmp_path, 2))
    assert read_manifest(folder)["stages"]["merge_shards"]["report"]["warnings"] == []
    assert "weights" not in capsys.readouterr().err


def test_ten_thousand_frames_without_a_face_are_reported(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(self: ToyDetector, frames: Sequence[Image]) -> list[Detections]:
        empty = np.empty((0, 4), np.float32)
        return [Detections(empty, empty[:, 0], empty.reshape(0, 5, 2)) for _ in frames]

    with (
        mock.patch.object(ToyDetector, "detect", nothing),
        mock.patch("facerec.folder.plausibility.MIN_FRAMES", 7),
    ):
        folder = run_extract(film, tmp_path, 4, "--save-every", "2", "--detect-every", "2")
        assert "no face" not in capsys.readouterr().err  # in a shard of 3 or 4 frames
        assert merge_shards.main(["--path", str(folder.path)]) == 0
    assert (
        "no face was found in 7 frames: if people are on screen, toy or its weights"
        in capsys.readouterr().err
    )


def test_counts_that_are_implausible() -> None:
    assert not implausible_counts("yunet", MIN_FRAMES - 1, 0, 0)
    assert not implausible_counts("yunet", 10 * MIN_FRAMES, 1, 0)
    assert not implausible_counts("yunet", 0, 0, 0)
    assert not implausible_counts("yunet", 1000, 99, 499)
    (sentence,) = implausible_counts("yunet", MIN_FRAMES, 0, 0)
    assert sentence.startswith("no face was found in 10000 frames")
    (sentence,) = implausible_counts("yunet", 1000, 99, 500)
    assert sentence.startswith("yunet found the maximum of candidates in 500 of 1000 frames")
