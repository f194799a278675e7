"""Check warns of pages out of order and of faces of one frame; a shared page with a name is a violation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from facerec import cluster
from facerec.checks.pages import check_pages
from facerec.checks.violations import Violations
from facerec.folder.documents import read_clusters
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest, write_manifest
from facerec.folder.readers import read_trajectories
from facerec.support.cli import run_main
from tests.merged_folder import Seen, merged_folder

POOR = 1.0  # sharpness
SEEN = [
    Seen(0, 0, 30), Seen(0, 100, 30), Seen(1, 0, 20, 200), Seen(1, 100, 20, 200), Seen(2, 200),
    Seen(3, 300, sharpness=POOR), Seen(4, 300, x=200, sharpness=POOR),
]  # fmt: skip
PAGES = [0, 0, 1, 1, 2, 3, 3]


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    """Two people, a single trajectory and a shared page of two poor ones, seen in one frame."""
    made = merged_folder(tmp_path, SEEN)
    assert run_main(cluster.main, ["--path", str(made.path)]) == 0
    assert read_clusters(made.clusters, 7) == PAGES
    return made


def found(
    folder: MovieFolder,
    labels: list[int] = PAGES,
    predictions: Mapping[int, Mapping[str, float]] | None = None,
) -> Violations:
    violations = Violations()
    check_pages(folder, read_trajectories(folder.trajectories, 7), labels, predictions or {}, violations)
    return violations


def report(folder: MovieFolder, **changed: object) -> None:
    manifest = read_manifest(folder)
    manifest["stages"]["cluster"]["report"] |= changed
    write_manifest(folder, manifest)


def test_pages_as_they_were_made_have_no_warning(folder: MovieFolder) -> None:
    assert (found(folder).warnings, found(folder).count) == ([], 0)


@pytest.mark.parametrize(
    "labels",
    [
        [1, 1, 0, 0, 2, 3, 3],  # less time on screen first
        [0, 0, 2, 2, 1, 3, 3],  # a single trajectory before a person
    ],
)
def test_pages_in_another_order_are_warned_of_and_no_violation(
    folder: MovieFolder, labels: list[int]
) -> None:
    made = found(folder, labels)
    assert made.count == 0 and len(made.warnings) == 1
    assert "not in the order in which annotators should work" in made.warnings[0]


def test_order_of_split_people_is_not_known_but_poor_pages_are_last(folder: MovieFolder) -> None:
    report(folder, split=1)
    assert found(folder, [1, 1, 0, 0, 2, 3, 3]).warnings == []
    report(folder, poor_pages=[0])
    assert "not in the order" in found(folder, [3, 3, 1, 1, 2, 0, 0]).warnings[0]


def test_page_of_poor_trajectories_of_a_split_person_need_not_be_last(folder: MovieFolder) -> None:
    """Continuations add poor trajectories to a person; a split may put them on a page of their own."""
    report(folder, split=1, too_poor_to_compare=[1, 5, 6], poor_pages=[4])
    assert found(folder, [1, 0, 2, 2, 3, 4, 4]).warnings == []


def test_folder_of_an_earlier_release_has_warnings_only(folder: MovieFolder) -> None:
    """It numbered clusters by trajectories and knew no shared pages."""
    manifest = read_manifest(folder)
    del manifest["stages"]["cluster"]["report"]["poor_pages"]
    write_manifest(folder, manifest)
    made = found(folder, [1, 1, 0, 0, 4, 2, 3])
    assert (made.count, len(made.warnings)) == (0, 1)


def test_two_faces_of_one_frame_may_share_no_page_but_a_poor_one(folder: MovieFolder) -> None:
    report(folder, poor_pages=[2])
    made = found(folder, [0, 0, 0, 0, 1, 2, 2])
    (warning,) = [one for one in made.warnings if "in one frame" in one]
    assert "cluster 0 holds trajectories 0 and 2, which are in one frame, and 1 more such pairs" in warning


def test_poor_page_with_a_name_is_a_violation(folder: MovieFolder) -> None:
    (error,) = found(folder, predictions={2: {"nm1": 0.9}, 3: {"nm1": 0.9}}).kept
    assert "poor_pages: cluster 3 has a name in predictions.json" in str(error)


@pytest.mark.parametrize(
    ("pages", "rule"),
    [([9], "poor_pages: cluster 9 is not in clusters.json"), ([2, 3], "cluster 2 holds trajectory 4, which")],
)
def test_list_of_poor_pages_that_does_not_fit_is_a_violation(
    folder: MovieFolder, pages: list[int], rule: str
) -> None:
    report(folder, poor_pages=pages)
    (error,) = found(folder).kept
    assert rule in str(error) and error.path == folder.manifest
