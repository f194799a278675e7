"""A shard is done if its marker is of the plan, describes its files, and skips only its own frames."""

from __future__ import annotations

import json
import re
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from facerec.errors import PlanError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import write_plan
from facerec.folder.shards import (
    discard_run,
    discard_run_locked,
    done_markers,
    marker_bytes,
    read_marker,
    result_files,
    shard_label,
    shards_digest,
)
from tests.folder.test_plan import _plan

REPORT = {"skipped": [15, 21], "dimension": 16, "same_person": 1.1, "frames": 7, "seconds": 0.5}


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    """Shard 2 of four, frames 15 to 21, is done."""
    made = MovieFolder(tmp_path / "7-data")
    made.create()
    plan = _plan()
    for path in result_files(made, plan, *plan.range_of(2)):
        path.write_bytes(b"made")
    beg, end = plan.range_of(2)
    made.shard(beg, end).marker.write_bytes(marker_bytes(made, plan, beg, end, made.path, REPORT))
    return made


def test_a_shard_with_skipped_frames_is_done(folder: MovieFolder) -> None:
    reasons: dict[int, str] = {}
    markers = done_markers(folder, _plan(), on_not_done=reasons.__setitem__)
    assert list(markers) == [2] and markers[2]["report"] == REPORT
    assert list(reasons) == [0, 1, 3]
    assert done_markers(folder, _plan(n=5)) == {}


@pytest.mark.parametrize("skipped", [None, [14], [22], [15, 21.0], ["15"], {"15": 1}])
def test_a_marker_that_does_not_name_its_own_skipped_frames_is_refused(
    folder: MovieFolder, skipped: object
) -> None:
    beg, end = _plan().range_of(2)
    marker = folder.shard(beg, end).marker
    record = json.loads(marker.read_bytes())
    record["report"]["skipped"] = skipped
    marker.write_text(json.dumps(record))
    with pytest.raises(PlanError, match="the report must name the skipped frames"):
        read_marker(folder, _plan(), beg, end)


def test_a_file_of_another_size_or_content_is_not_done(folder: MovieFolder) -> None:
    path = result_files(folder, _plan(), *_plan().range_of(2))[0]
    path.write_bytes(b"mode")
    assert done_markers(folder, _plan()) == {} and list(
        done_markers(folder, _plan(), verify_hashes=False)
    ) == [2]
    with pytest.raises(PlanError, match="is missing or was changed"):
        read_marker(folder, _plan(), *_plan().range_of(2))
    path.write_bytes(b"longer")
    assert done_markers(folder, _plan(), verify_hashes=False) == {}


def marked(folder: MovieFolder, **change: object) -> None:
    """Change the marker of the fixture's shard: `fingerprint`, `files`, `report` or a key of the report."""
    path = folder.shard(15, 22).marker
    marker = json.loads(path.read_bytes())
    for key, value in change.items():
        (marker if key in ("fingerprint", "files", "report", "more") else marker["report"])[key] = value
    path.write_text(json.dumps(marker))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fingerprint": "0" * 64}, "^done for another plan$"),
        ({"more": 1}, "damaged or belongs to another shard.*more"),
        ({"files": {}}, "damaged or belongs to another shard.*missing key"),
        ({"files": []}, "damaged"),
        ({"report": []}, "the report must be an object"),
        ({"dimension": "16"}, "dimension and same_person"),
        ({"dimension": None}, "dimension and same_person"),
        ({"same_person": "1.1"}, "dimension and same_person"),
        ({"same_person": None}, "dimension and same_person"),
    ],
)
def test_a_marker_of_another_plan_or_that_was_edited_proves_nothing(
    folder: MovieFolder, change: dict[str, object], said: str
) -> None:
    marked(folder, **change)
    with pytest.raises(PlanError, match=said):
        read_marker(folder, _plan(), 15, 22)
    assert done_markers(folder, _plan()) == {}


def test_a_marker_names_each_file_of_its_shard_with_size_and_hash(folder: MovieFolder) -> None:
    marker = read_marker(folder, _plan(), 15, 22)
    names = [folder.relative(path) for path in result_files(folder, _plan(), 15, 22)]
    proof = {"bytes": 4, "sha256": sha256(b"made").hexdigest()}
    assert marker == {
        "fingerprint": _plan().fingerprint,
        "files": dict.fromkeys(names, proof),
        "report": REPORT,
    }
    for name in names:
        content = (folder.path / name).read_bytes()
        (folder.path / name).unlink()
        with pytest.raises(PlanError, match=f"{re.escape(name)} is missing or was changed"):
            read_marker(folder, _plan(), 15, 22, verify_hashes=False)
        (folder.path / name).write_bytes(content)
    marked(folder, files={**marker["files"], names[0]: {**proof, "more": 1}})
    with pytest.raises(PlanError, match="damaged"):
        read_marker(folder, _plan(), 15, 22)


def test_files_of_a_shard_that_are_elsewhere_have_the_marker_of_their_place(
    folder: MovieFolder, tmp_path: Path
) -> None:
    """A task writes them to a staging folder first."""
    for path in result_files(folder, _plan(), 15, 22, tmp_path / "staging"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"made")
    for path in result_files(folder, _plan(), 15, 22):
        path.unlink()
    marker = folder.shard(15, 22).marker
    assert marker_bytes(folder, _plan(), 15, 22, tmp_path / "staging", REPORT) == marker.read_bytes()


def test_only_the_shards_that_are_asked_for_are_read(folder: MovieFolder) -> None:
    reasons: dict[int, str] = {}
    assert done_markers(folder, _plan(), [1, 3], reasons.__setitem__) == {}
    assert reasons == {1: "not done", 3: "not done"}
    assert list(done_markers(folder, _plan(), [2, 3])) == [2]


def test_a_shard_is_named_with_its_frames() -> None:
    assert shard_label(_plan(), 2) == "movie 7 shard 2 of 4 (frames 15-22)"


def test_the_digest_of_shards_is_that_of_their_files_whatever_the_order() -> None:
    """Manifests record it."""
    one, two = ({"files": {name: {"bytes": 1}}, "report": name} for name in "ab")
    expected = sha256(b'{"0":{"a":{"bytes":1}},"2":{"b":{"bytes":1}}}').hexdigest()
    assert shards_digest({2: two, 0: one}) == shards_digest({0: one, 2: two}) == expected
    assert shards_digest({0: one, 1: two}) != expected


def test_a_run_is_discarded_with_all_its_shards_and_nothing_else(folder: MovieFolder) -> None:
    folder.features.write_text("merged")
    (folder.images / "a.jpeg").write_text("shown")
    discard_run(folder)
    assert folder.shard(15, 22).marker.exists(), "without a plan there is no run"
    write_plan(folder, _plan(), Path("7.mp4"), [])
    shutil.rmtree(folder.shard_dirs[-2])  # an earlier release had none
    discard_run(folder)
    left = {folder.relative(path) for path in folder.path.rglob("*") if path.is_file()}
    assert left == {"features.jsonl", "images/a.jpeg", ".lock"}
    discard_run_locked(folder)  # of which nothing is left


def test_a_kill_while_a_run_is_discarded_leaves_no_shard_that_looks_done(
    folder: MovieFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Markers go first and the plan last."""
    write_plan(folder, _plan(), Path("7.mp4"), [])
    order: list[str] = []
    unlink = Path.unlink

    def noted(path: Path, missing_ok: bool = False) -> None:
        order.append(path.parent.name if path != folder.plan else "plan")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", noted)
    discard_run(folder)
    assert (order[0], order[-1]) == ("done", "plan") and len(order) == 8


def test_a_plan_without_miniatures_has_shards_without_them(folder: MovieFolder) -> None:
    new, old = _plan(), _plan(results_version=None)
    assert new.has_miniatures and not old.has_miniatures
    assert set(result_files(folder, new, 15, 23)) - set(result_files(folder, old, 15, 23)) == {
        folder.shard(15, 23).miniatures
    }
