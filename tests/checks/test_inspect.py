"""A whole folder is checked: valid ones pass, and what is not a movie folder is one violation."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec.actors.database import ActorDatabase
from facerec.checks.inspect import inspect_folder
from facerec.errors import ContractError
from facerec.folder.layout import MovieFolder
from tests.edits import violations_of
from tests.folders import make_folder


def test_valid_folder_passes(folder: MovieFolder, database: ActorDatabase) -> None:
    inspection = inspect_folder(folder.path, database.folder)
    assert inspection.violations.kept == inspection.warnings == []
    assert inspection.summary == "3 trajectories, 2 clusters, 1 of them named, 6 thumbnails"


def test_movie_without_faces_passes_with_the_advice_not_to_hand_it_over(tmp_path: Path) -> None:
    inspection = inspect_folder(make_folder(tmp_path, faces=()).path)
    assert inspection.violations.kept == []
    (warning,) = inspection.warnings
    assert "clusters.json: the film has no face" in warning and "do not hand it over" in warning


def test_movie_extracted_without_thumbnails_passes(tmp_path: Path) -> None:
    assert violations_of(make_folder(tmp_path, thumbnails=False).path) == []


def test_missing_shards_in_the_manifest_are_no_violation_but_in_the_summary(tmp_path: Path) -> None:
    inspection = inspect_folder(make_folder(tmp_path, skip=[1]).path)
    assert inspection.violations.kept == []
    assert inspection.summary.endswith("without shards 1 of 3, as the manifest says")


@pytest.mark.parametrize("name", ["test-data", "07-data", "7-data.old", "2147483648-data"])
def test_folder_name_that_the_backend_refuses_is_reported(name: str, folder: MovieFolder) -> None:
    path = folder.path.rename(folder.path.with_name(name))
    (error,) = violations_of(path)
    assert error.path == path


def test_file_in_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "7-data").write_text("")
    (error,) = violations_of(tmp_path / "7-data")
    assert "this folder must exist" in error.rule


def test_many_violations_are_counted_but_only_the_first_are_kept(folder: MovieFolder) -> None:
    folder.trajectories.write_text("{}\n" * 5000)
    violations = inspect_folder(folder.path).violations
    assert len(violations.kept) == 1000 and violations.count >= 5000


def test_verdict_counts_violations_that_are_not_kept(folder: MovieFolder) -> None:
    folder.quality.write_text("{}\n" * 5000)  # the backend does not read it
    assert inspect_folder(folder.path).backend_accepts
    folder.predictions.unlink()
    inspection = inspect_folder(folder.path)
    assert not inspection.backend_accepts
    assert inspection.first is not None and inspection.first.path == folder.predictions
    assert inspection.violations.kept[0] is inspection.first  # so that it is listed


def test_violation_prints_as_file_line_rule() -> None:
    assert str(ContractError("a/b.jsonl", "rule", 3)) == "a/b.jsonl:3: rule"
