"""What the manifest recorded, also where an earlier release or an editor left something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from facerec import stages
from facerec.errors import StaleError
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import (
    EmbedderInfo,
    checked_inputs,
    is_published,
    outputs_of,
    read_embedder,
    read_manifest,
    recorded_missing,
    recorded_poor_pages,
    recorded_tracking,
    recorded_warnings,
    write_manifest,
)
from facerec.folder.plan import write_plan
from facerec.settings import TrackSettings
from facerec.stages import Stage, StageGraph
from facerec.support.atomic import sha256_of
from tests.folder.test_plan import _plan


@pytest.mark.parametrize(
    ("shards", "missing"),
    [
        ({"missing": "1-2"}, {1, 2}), ({"missing": ""}, set()), ({"missing": None}, set()), ({}, set()),
        ({"missing": [1]}, set()), ({"missing": 1}, set()), ({"missing": "9"}, set()), ([], set()),
    ],
)  # fmt: skip
def test_missing_shards_are_those_that_the_merge_recorded(shards: Any, missing: set[int]) -> None:
    assert recorded_missing({"shards": shards}, _plan()) == missing
    assert recorded_missing({}, _plan()) == set()


def merged(settings: dict[str, Any], every: dict[str, Any]) -> dict[str, Any]:
    return {"stages": {"merge_shards": {"settings": settings}}, "settings": every}


@pytest.mark.parametrize(
    ("every", "gap"), [({}, 7), ({"detect_every": 1}, 7), ({"detect_every": 3}, 8), ({"detect_every": 8}, 7),
                       ({"detect_every": 9}, 8), ({"detect_every": 0}, 7), ({"detect_every": "3"}, 7)]
)  # fmt: skip
def test_the_longest_gap_of_a_track_is_in_frames_of_the_film(every: dict[str, Any], gap: int) -> None:
    assert recorded_tracking(merged({"max_gap": 7, "iou_threshold": 0.3}, every)) == TrackSettings(
        max_gap=gap, iou_threshold=0.3
    )


def test_settings_that_were_not_recorded_are_the_defaults() -> None:
    assert recorded_tracking({}) == recorded_tracking(merged({}, {})) == TrackSettings()
    assert recorded_tracking(merged({"max_gap": None, "min_trajectory": 5}, {})) == TrackSettings()


@pytest.mark.parametrize(
    ("pages", "warnings", "read"),
    [([4, "5", 6.0], ["a"], ({4}, ["a"])), (4, "a", (set(), [])), (None, None, (set(), []))],
)
def test_pages_and_warnings_that_were_not_recorded_are_none(pages: Any, warnings: Any, read: object) -> None:
    reports = {"cluster": {"poor_pages": pages}, "merge_shards": {"warnings": warnings}}
    manifest = {"stages": {stage: {"report": report} for stage, report in reports.items()}}
    assert (recorded_poor_pages(manifest), recorded_warnings(manifest)) == read
    assert recorded_poor_pages({}) == frozenset() and recorded_warnings({}) == []


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    made = MovieFolder(tmp_path / "7-data")
    made.create()
    return made


def entry(**other: Any) -> dict[str, Any]:
    made = {"made_at": "now", "inputs": {}, "outputs": {}, "settings": {}, "report": {}}
    return {key: value for key, value in {**made, **other}.items() if value is not None}


def test_a_folder_on_which_no_stage_ran_has_an_empty_manifest(folder: MovieFolder) -> None:
    assert read_manifest(folder) == {"movie_id": 7, "stages": {}, "history": []}


def test_a_manifest_is_read_as_it_was_written_and_by_people(folder: MovieFolder) -> None:
    made = {"stages": {"cluster": entry()}, "history": [], "film": {"name": "é"}, "more": 1}
    write_manifest(folder, made)
    assert read_manifest(folder) == made
    assert folder.manifest.read_text().startswith('{\n  "stages": {\n    "cluster": {')


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stages": None}, "stages or history"), ({"stages": []}, "stages or history"),
        ({"history": None}, "stages or history"), ({"history": {}}, "stages or history"),
        *(({name: []}, f"{name} must be an object")
          for name in ("film", "video", "models", "settings", "shards")),
        ({"stages": {"extract": entry()}}, "'extract' is not a stage"),
        ({"stages": {"report": entry()}}, "'report' is not a stage"),
        ({"stages": {"cluster": []}}, "'cluster' is not a stage"),
        *(({"stages": {"cluster": entry(**{part: wrong})}}, "entry of cluster is incomplete")
          for part in ("inputs", "outputs", "settings", "report") for wrong in (None, [])),
        ({"stages": {"cluster": entry(made_at=None)}}, "entry of cluster is incomplete"),
    ],
)  # fmt: skip
def test_a_manifest_that_was_edited_is_refused_with_the_way_out(
    change: dict[str, Any], said: str, folder: MovieFolder
) -> None:
    whole = {"stages": {"cluster": entry()}, "history": [], "film": {}}
    write_manifest(folder, whole)
    read_manifest(folder)
    folder.manifest.write_text(json.dumps({**whole, **change}))
    with pytest.raises(StaleError, match=f"{said}.*move it away, then run merge_shards.py"):
        read_manifest(folder)
    folder.manifest.write_text("[]")
    with pytest.raises(StaleError, match="a JSON object is expected"):
        read_manifest(folder)


def test_a_folder_is_published_with_the_three_files_of_the_backend(folder: MovieFolder) -> None:
    paths = (folder.trajectories, folder.clusters, folder.predictions)
    for path in paths:
        path.touch()
    assert is_published(folder)
    for path in paths:
        path.unlink()
        assert not is_published(folder)
        path.touch()


def test_a_folder_without_miniatures_has_no_transitions(folder: MovieFolder) -> None:
    plain = (folder.trajectories, folder.features, folder.quality, folder.scene_changes)
    assert outputs_of(folder, "merge_shards") == plain
    folder.shard(0, 9).miniatures.touch()
    assert outputs_of(folder, "merge_shards") == (*plain, folder.transitions)


EMBEDDER = {"kind": "toy", "sha256": "a" * 64, "dimension": 16, "same_person": 1.25}


@pytest.mark.parametrize(
    ("other", "info"),
    [
        ({}, EmbedderInfo("toy", "a" * 64, 16, 1.25)),
        ({"dimension": None, "same_person": None}, EmbedderInfo("toy", "a" * 64, None, 1.0)),
        ({"same_person": 1}, EmbedderInfo("toy", "a" * 64, 16, 1)),
    ],
)
def test_the_embedder_is_the_one_that_the_merge_recorded(
    other: dict[str, Any], info: EmbedderInfo, folder: MovieFolder
) -> None:
    write_manifest(folder, {"stages": {}, "history": [], "models": {"embedder": {**EMBEDDER, **other}}})
    assert read_embedder(folder) == info


@pytest.mark.parametrize(
    ("models", "name"),
    [
        (None, "kind"), ({}, "kind"), ({"embedder": []}, "kind"),
        *(({"embedder": {**EMBEDDER, name: []}}, name) for name in EMBEDDER),
        *(({"embedder": {key: EMBEDDER[key] for key in EMBEDDER if key != name}}, name) for name in EMBEDDER),
    ],
)  # fmt: skip
def test_an_embedder_that_was_not_recorded_is_refused_with_the_way_out(
    models: Any, name: str, folder: MovieFolder
) -> None:
    write_manifest(folder, {"stages": {}, "history": []} | ({} if models is None else {"models": models}))
    with pytest.raises(
        StaleError, match=rf"the embedder's {name} is .*merge_shards\.py --path {folder.path}"
    ):
        read_embedder(folder)


@pytest.fixture
def chain(folder: MovieFolder, monkeypatch: pytest.MonkeyPatch) -> MovieFolder:
    """Three stages, an optional one, and the plan, with a file each."""
    graph = StageGraph(
        (
            Stage("extract", "extract", (), ("plan",), sharded=True),
            Stage("merge_shards", "merge", ("extract",), ("trajectories",)),
            Stage("cluster", "cluster", ("merge_shards",), ("clusters",)),
            Stage("report", "report", ("cluster",), ("report",), optional=True),
            Stage("classify_knn", "classify", ("cluster", "report"), ("predictions",)),
        )
    )
    monkeypatch.setattr(stages, "PIPELINE", graph)
    write_plan(folder, _plan(), Path("7.mp4"), [])
    now = {"plan.json": _plan().fingerprint}
    recorded = {}
    for stage, path in (("merge_shards", folder.trajectories), ("cluster", folder.clusters)):
        path.write_text(stage)
        made = {path.name: sha256_of(path)}
        recorded[stage] = entry(inputs=dict(now), outputs=made)
        now |= made
    write_manifest(folder, {"stages": recorded, "history": []})
    return folder


def test_the_inputs_of_a_stage_are_all_files_before_it(chain: MovieFolder) -> None:
    found = checked_inputs(chain, "classify_knn")
    assert found == {
        "plan.json": _plan().fingerprint,
        "trajectories.jsonl": sha256_of(chain.trajectories),
        "clusters.json": sha256_of(chain.clusters),
    }
    assert checked_inputs(chain, "merge_shards") == {"plan.json": _plan().fingerprint}
    chain.plan.unlink()  # a folder may be handed over without it
    assert checked_inputs(chain, "classify_knn").keys() == {"trajectories.jsonl", "clusters.json"}


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("not run", r"7-data: merge_shards\.py has not run here; run: .*merge_shards\.py --path"),
        ("missing", r"trajectories\.jsonl: this file must exist; run: .*merge_shards\.py --path"),
        ("edited", r"trajectories\.jsonl: not the file that merge_shards\.py wrote; run: .*merge_shards"),
        ("not recorded", r"clusters\.json: not the file that cluster\.py wrote"),
        ("plan", r"merge_shards\.py's results were made from another version of plan\.json"),
        (
            "older",
            r"cluster\.py's results were made from another version of trajectories\.jsonl; run: .*cluster",
        ),
    ],
)
def test_what_no_stage_recorded_is_refused_with_the_command_that_makes_it(
    what: str, said: str, chain: MovieFolder
) -> None:
    manifest = read_manifest(chain)
    recorded = manifest["stages"]
    if what == "not run":
        del recorded["merge_shards"]
    elif what == "missing":
        chain.trajectories.unlink()
    elif what == "edited":
        chain.trajectories.write_text("edited")
    elif what == "not recorded":
        recorded["cluster"]["outputs"] = {}
    elif what == "plan":
        recorded["merge_shards"]["inputs"]["plan.json"] = "0" * 64
    else:
        recorded["cluster"]["inputs"]["trajectories.jsonl"] = "0" * 64
    write_manifest(chain, manifest)
    with pytest.raises(StaleError, match=said):
        checked_inputs(chain, "classify_knn")
