"""Each inconsistency between plan, shards and manifest is reported with file, line and rule."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from facerec.actors.database import ActorDatabase
from facerec.checks.inspect import check_folder
from facerec.checks.violations import Violations
from facerec.folder.face_archive import new_face_archive
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, read_plan
from facerec.folder.shards import marker_bytes, read_marker
from tests.edits import (
    CLUSTERS,
    Edit,
    Violation,
    assert_violates,
    edit_document,
    edit_record,
    edit_text,
    flip_byte,
    remove,
    setting,
    truncate,
)
from tests.folders import make_folder
from tests.miniatures import write_stills

SHARD = "7_0-13"
MINIATURES = f"miniatures/miniatures_{SHARD}.npz"
ARCHIVE = f"faces/faces_{SHARD}.zip"
DONE, PLAN, MANIFEST = f"done/done_{SHARD}.json", "plan.json", "manifest.json"
SHARD_T, SHARD_E = f"trajectories/trajectories_{SHARD}.jsonl", f"evidence/evidence_{SHARD}.jsonl"
SHARD_CUTS = f"scene_changes/scene_changes_{SHARD}.json"


def archive_of(*tags: str) -> Edit:
    """Replace the faces in the shard's archive."""

    def apply(folder: MovieFolder) -> None:
        with new_face_archive(folder.path / ARCHIVE) as add_picture:
            for tag in tags:
                add_picture(tag, b"no picture")

    return apply


def with_new_marker(shard: int, edit: Edit) -> Edit:
    """Change a shard's files and write a marker with their new hashes."""

    def apply(folder: MovieFolder) -> None:
        plan = read_plan(folder)
        assert plan is not None
        beg, end = plan.range_of(shard)
        marker = read_marker(folder, plan, beg, end)
        edit(folder)
        data = marker_bytes(folder, plan, beg, end, folder.path, marker["report"])
        folder.shard(beg, end).marker.write_bytes(data)

    return apply


def of_movie_8(record: Any) -> None:
    """Make a plan, fingerprint included, one of another movie."""
    record["run"]["movie_id"] = 8
    run = {**record["run"], "notes": tuple(record["run"]["notes"])}
    record["fingerprint"] = Plan(**run).fingerprint


VIOLATIONS: dict[str, Violation] = {
    "no plan": (remove(PLAN), PLAN, None, "this file must exist"),
    "half a plan": (truncate(PLAN, 9), PLAN, None, "not valid JSON"),
    "another movie's plan": (edit_document(PLAN, of_movie_8), PLAN, None, "movie_id 8"),
    "a missing shard": (remove(DONE), DONE, None, "shard 0 of 3: not done"),
    "a changed shard": (
        truncate(SHARD_T, 9),
        DONE,
        None,
        "was changed",
    ),
    "a file of no shard": (
        lambda folder: (folder.path / "features/features_7_0-20.jsonl").write_text(""),
        "features/features_7_0-20.jsonl",
        None,
        "not a file of any shard",
    ),
    "a missing frame": (
        with_new_marker(0, edit_text(SHARD_E, 4, lambda text: "")),
        SHARD_E,
        None,
        "12 frames and 0 skipped ones, but the shard has 13",
    ),
    "a frame of another shard": (
        with_new_marker(0, edit_record(SHARD_E, 13, setting(frame=13))),
        SHARD_E,
        13,
        "outside the shard's frames 0..12",
    ),
    "a trajectory of another shard": (
        with_new_marker(0, edit_record(SHARD_T, 1, setting(start=1))),
        SHARD_T,
        1,
        "outside the shard's frames 0..12",
    ),
    "a cut of another shard": (
        with_new_marker(0, edit_document(SHARD_CUTS, setting(frame_indices=[20]))),
        SHARD_CUTS,
        None,
        "cut 20 outside",
    ),
    "an archive of other faces": (
        with_new_marker(0, archive_of("7:0:1_1_9_9")),
        ARCHIVE,
        None,
        "its faces are not those of features_7_0-13.jsonl",
    ),
    "an archive that is none": (
        with_new_marker(0, lambda folder: (folder.path / ARCHIVE).write_bytes(b"no archive")),
        ARCHIVE,
        None,
        "not a readable archive of thumbnails",
    ),
    "miniatures of other frames": (
        with_new_marker(0, lambda folder: write_stills(folder.path / MINIATURES, [0] * 12)),
        MINIATURES,
        None,
        "does not have the miniatures of 13 frames",
    ),
    "a changed archive": (flip_byte(ARCHIVE), DONE, None, "was changed"),
    "results of other shards": (
        with_new_marker(0, edit_record(SHARD_E, 2, setting(change=2.5))),
        MANIFEST,
        None,
        "made from other shards than those in this folder",
    ),
    "no manifest": (remove(MANIFEST), MANIFEST, None, "this file must exist"),
    "half a manifest": (truncate(MANIFEST, 9), MANIFEST, None, "not valid JSON"),
    "clusters edited by hand": (
        edit_document(CLUSTERS, setting(clusters=[0, 0, 0])),
        MANIFEST,
        None,
        "not the file that cluster.py",
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS.values(), ids=VIOLATIONS)
def test_violation_is_reported_with_file_line_and_rule(
    violation: Violation, folder: MovieFolder, database: ActorDatabase
) -> None:
    assert_violates(violation, folder, database.folder)


def test_a_finished_folder_of_an_earlier_release_stays_valid(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, results_version=1)
    assert not folder.shard(0, 0).miniatures.parent.exists()
    violations = Violations()
    check_folder(folder, None, None, violations)
    assert violations.kept == []
    folder = make_folder(tmp_path / "now")
    shutil.rmtree(folder.shard(0, 0).miniatures.parent)
    check_folder(folder, None, None, violations)
    assert any("miniatures" in str(one) for one in violations.kept)
