"""Stages record what their results were made from, and published results change only with --overwrite."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facerec import classify_knn, cluster, merge_shards, stages
from facerec.errors import StaleError
from facerec.folder import publish as publishing
from facerec.folder.images import thumbnail_hashes, thumbnails_digest
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import checked_inputs, outputs_of, read_manifest
from facerec.folder.publish import publish, staging
from facerec.stages import Stage, StageGraph
from facerec.support.atomic import sha256_of
from facerec.support.cli import run_main
from facerec.support.shell import launched_environment
from tests import kills
from tests.toy import MOVIE, Story, contents, make_cast, run_extract, run_merge, run_naming

OTHERWISE = ["--min-trajectory", "11"]  # a setting that gives other trajectories
SAME_RESULTS = ["--min-trajectory", "9"]  # another setting that gives the same ones


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, MovieFolder]:
    root = tmp_path_factory.mktemp("made")
    film = Story(34, cuts=(12, 24)).make(root / f"{MOVIE}-film.mp4")
    cast = make_cast(root / "actor_db")
    return film, cast, run_naming(run_merge(run_extract(film, root / "out", 2)), cast)


@pytest.fixture
def cast(made: tuple[Path, Path, MovieFolder]) -> Path:
    return made[1]


@pytest.fixture
def folder(made: tuple[Path, Path, MovieFolder], tmp_path: Path) -> MovieFolder:
    """A copy of a folder that all stages have run on."""
    return MovieFolder(shutil.copytree(made[2].path, tmp_path / made[2].path.name))


def _state(folder: MovieFolder) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.path.rglob("*") if path.is_file()}


def _words(folder: MovieFolder, cast: Path) -> dict[str, list[str]]:
    path = ["--path", str(folder.path)]
    return {"merge_shards": path, "cluster": path, "classify_knn": [*path, "--actor-db", str(cast)]}


MAINS: dict[str, Callable[..., int]] = {
    "merge_shards": merge_shards.main,
    "cluster": cluster.main,
    "classify_knn": classify_knn.main,
}


def _run(stage: str, folder: MovieFolder, cast: Path, *more: str) -> int:
    return run_main(lambda _: MAINS[stage]([*_words(folder, cast)[stage], *more]))


def _last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("stage", MAINS)
def test_a_rerun_that_changes_nothing_writes_nothing(
    stage: str, folder: MovieFolder, cast: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _state(folder)
    assert _run(stage, folder, cast) == 0
    assert "nothing changed" in capsys.readouterr().out
    assert _state(folder) == before


CHANGES = {
    "merge_shards": OTHERWISE,
    "cluster": ["--max-size", "1"],
    "classify_knn": ["--unknown", "1e9"],
}


@pytest.mark.parametrize("stage", CHANGES)
def test_published_results_change_only_with_overwrite_and_are_kept(
    stage: str, folder: MovieFolder, cast: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, state = contents(folder), _state(folder)
    if stage != "classify_knn":  # labels refer to no name
        assert _run(stage, folder, cast, *CHANGES[stage]) == 1
        assert "--overwrite" in _last_line(capsys)
        assert _state(folder) == state
    assert _run(stage, folder, cast, *CHANGES[stage], "--overwrite") == 0
    (kept,) = folder.previous.iterdir()
    names = (
        "trajectories.jsonl",
        "features.jsonl",
        "scene_changes.json",
        "transitions.json",
        "clusters.json",
        "predictions.json",
    )
    assert all((kept / name).read_bytes() == before[name] for name in names)
    assert {f"images/{path.name}": path.read_bytes() for path in (kept / "images").iterdir()} == {
        name: data for name, data in before.items() if name.startswith("images/")
    }
    assert json.loads((kept / "manifest.json").read_bytes())["stages"].keys() == MAINS.keys()
    after = contents(folder)
    later = list(MAINS)[list(MAINS).index(stage) + 1 :]
    assert ("clusters.json" in after) == ("cluster" not in later)
    assert ("predictions.json" in after) == (stage == "classify_knn")
    assert json.loads(after["manifest.json"])["stages"].keys() == MAINS.keys() - set(later)


def test_only_what_depends_on_a_changed_stage_is_retired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = StageGraph(
        (
            Stage("merge_shards", "merge", (), ("trajectories",)),
            Stage("cluster", "cluster", ("merge_shards",), ("clusters",)),
            Stage("classify_knn", "classify", ("cluster",), ("predictions",)),
            Stage("shot_features", "shots", ("merge_shards",), ("scene_changes",)),
            Stage("report", "report", ("classify_knn", "shot_features"), ("contact_sheet",)),
        )
    )
    monkeypatch.setattr(stages, "PIPELINE", graph)
    folder = MovieFolder(tmp_path / "7-data")
    folder.create()

    def run(stage: str, content: str) -> None:
        inputs = checked_inputs(folder, stage)
        (target,) = outputs_of(folder, stage)
        with staging(folder) as made:
            (made / target.name).write_text(content)
            files = {target: made / target.name}
            publish(folder, stage, files, inputs=inputs, settings={}, report={}, overwrite=True)

    def present() -> set[str]:
        recorded = read_manifest(folder)["stages"].keys()
        assert recorded == {stage.name for stage in graph if outputs_of(folder, stage.name)[0].exists()}
        return set(recorded)

    for stage in graph:
        run(stage.name, "first")
    assert present() == {"merge_shards", "cluster", "classify_knn", "shot_features", "report"}
    run("cluster", "second")
    assert present() == {"merge_shards", "cluster", "shot_features"}
    with pytest.raises(StaleError, match=r"classify_knn\.py has not run here"):
        checked_inputs(folder, "report")
    assert checked_inputs(folder, "shot_features").keys() == {"trajectories.jsonl"}
    run("merge_shards", "second")
    assert present() == {"merge_shards"}


def test_message_about_published_results_names_the_variable_where_make_was_typed(
    folder: MovieFolder, cast: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in launched_environment({}).items():
        monkeypatch.setenv(name, value)
    assert _run("cluster", folder, cast, *CHANGES["cluster"]) == 1
    said = _last_line(capsys)
    assert "OVERWRITE=1 replaces them" in said and "--overwrite" not in said


def test_two_overwrites_keep_both_versions(folder: MovieFolder, cast: Path) -> None:
    first = folder.predictions.read_bytes()
    assert _run("classify_knn", folder, cast, "--unknown", "1e9", "--overwrite") == 0
    second = folder.predictions.read_bytes()
    assert _run("classify_knn", folder, cast, "--overwrite") == 0
    assert folder.predictions.read_bytes() == first != second
    kept = {(path / "predictions.json").read_bytes() for path in folder.previous.iterdir()}
    assert kept == {first, second}


def test_names_of_kept_versions_are_times_even_within_a_second(
    folder: MovieFolder, cast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, zone: datetime.tzinfo | None = None) -> datetime.datetime:
            return datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone)

    monkeypatch.setattr(publishing.datetime, "datetime", Clock)
    for unknown in ("1e9", "1e8", "1e7"):
        folder.predictions.write_bytes(folder.predictions.read_bytes() + b" ")
        assert _run("classify_knn", folder, cast, "--unknown", unknown, "--overwrite") == 0
    names = sorted(path.name for path in folder.previous.iterdir())
    assert names == ["20260102T030405Z", "20260102T030405Z-1", "20260102T030405Z-2"]


def test_unpublished_results_are_replaced_without_overwrite(folder: MovieFolder, cast: Path) -> None:
    folder.predictions.unlink()
    assert _run("merge_shards", folder, cast, *OTHERWISE) == 0
    assert not folder.clusters.exists(), "made from what is no longer there"
    assert not folder.previous.exists()


def test_results_are_kept_also_where_the_thumbnails_are_gone(folder: MovieFolder, cast: Path) -> None:
    shutil.rmtree(folder.images)
    before = folder.clusters.read_bytes()
    assert _run("cluster", folder, cast, *CHANGES["cluster"], "--overwrite") == 0
    (kept,) = folder.previous.iterdir()
    assert (kept / "clusters.json").read_bytes() == before and list((kept / "images").iterdir()) == []


def test_edited_thumbnails_are_restored_without_overwrite_also_when_a_setting_changes(
    folder: MovieFolder, cast: Path
) -> None:
    thumbnail = next(folder.images.iterdir())
    before = contents(folder)
    thumbnail.write_bytes(b"edited")
    assert _run("merge_shards", folder, cast, *SAME_RESULTS) == 0
    after = contents(folder)
    manifests = [json.loads(made.pop("manifest.json"))["stages"] for made in (before, after)]
    assert after == before, "no result differs, so the later stages stay and nothing is kept in previous/"
    assert [stages["merge_shards"]["settings"]["min_trajectory"] for stages in manifests] == [5, 9]
    assert manifests[1].keys() == MAINS.keys()


@pytest.mark.parametrize("stage", ["cluster", "classify_knn"])
@pytest.mark.parametrize(
    "name", ["trajectories.jsonl", "features.jsonl", "quality.jsonl", "scene_changes.json"]
)
def test_an_edited_input_is_refused(
    stage: str, name: str, folder: MovieFolder, cast: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (folder.path / name).open("ab") as file:
        file.write(b"\n")
    before = _state(folder)
    assert _run(stage, folder, cast) == 1
    line = _last_line(capsys)
    assert name in line and "not the file that merge_shards.py wrote" in line and str(folder.path) in line
    assert _state(folder) == before


def test_clusters_of_other_trajectories_are_refused(
    folder: MovieFolder, cast: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a copy of clusters.json over a newer merge makes it, manifest and all."""
    old = json.loads(folder.manifest.read_bytes())["stages"]["cluster"]
    clusters = folder.clusters.read_bytes()
    assert _run("merge_shards", folder, cast, *OTHERWISE, "--overwrite") == 0
    folder.clusters.write_bytes(clusters)
    manifest = json.loads(folder.manifest.read_bytes())
    manifest["stages"]["cluster"] = old
    folder.manifest.write_text(json.dumps(manifest))
    assert _run("classify_knn", folder, cast) == 1
    line = _last_line(capsys)
    assert (
        "cluster.py's results were made from another version of" in line
        and "facerec/cluster.py --path" in line
    )


@pytest.mark.parametrize("stage", ["cluster", "classify_knn"])
def test_a_stage_is_refused_before_the_stages_it_needs(
    stage: str, made: tuple[Path, Path, MovieFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_extract(made[0], tmp_path, 1)
    assert _run(stage, folder, made[1]) == 1
    assert "merge_shards.py has not run here; run: " in (line := _last_line(capsys))
    assert f"./facerec/merge_shards.py --path {folder.path}" in line


MANIFESTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no embedder": lambda m: m["models"].pop("embedder"),
    "an embedder without its dimension": lambda m: m["models"]["embedder"].pop("dimension"),
    "an embedder with another kind of dimension": lambda m: m["models"]["embedder"].update(dimension="8"),
    "models that are none": lambda m: m.update(models=3),
    "a video that is none": lambda m: m.update(video=[]),
    "a stage without settings": lambda m: m["stages"]["cluster"].pop("settings"),
    "clusters of unknown settings": lambda m: m["stages"]["cluster"]["settings"].pop("min_quality"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_an_incomplete_manifest_is_reported_in_one_line(
    name: str, folder: MovieFolder, cast: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads(folder.manifest.read_bytes())
    MANIFESTS[name](manifest)
    folder.manifest.write_text(json.dumps(manifest))
    assert _run("classify_knn", folder, cast) == 1
    assert f"error: {folder.manifest}: " in _last_line(capsys)


def test_results_of_replaced_shards_are_refused(
    made: tuple[Path, Path, MovieFolder], folder: MovieFolder, cast: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The film was extracted afresh, otherwise, and not merged again."""
    run_extract(made[0], folder.path.parent, 2, "--fresh", "--save-every", "2")
    assert _run("cluster", folder, cast) == 1
    assert "made from another version of plan.json" in _last_line(capsys)


def test_another_number_of_shards_changes_no_published_byte(
    made: tuple[Path, Path, MovieFolder], folder: MovieFolder, cast: Path
) -> None:
    before = _state(folder)
    run_merge(run_extract(made[0], folder.path.parent, 5, "--fresh"))
    run_naming(folder, cast)
    tops = {path: time for path, time in before.items() if path.parent == folder.path}
    changed = {path for path in tops if _state(folder).get(path) != tops[path]}
    assert changed == {folder.plan, folder.manifest}


def test_the_manifest_has_the_hashes_of_the_files(folder: MovieFolder) -> None:
    stages = json.loads(folder.manifest.read_bytes())["stages"]
    for stage in stages.values():
        for name, digest in stage["outputs"].items():
            if name != "images":
                assert sha256_of(folder.path / name) == digest
    assert stages["merge_shards"]["outputs"]["images"] == thumbnails_digest(thumbnail_hashes(folder))
    assert stages["classify_knn"]["inputs"]["clusters.json"] == sha256_of(folder.clusters)
    assert stages["cluster"]["inputs"]["trajectories.jsonl"] == sha256_of(folder.trajectories)


def _served(contents: dict[str, bytes]) -> dict[str, bytes]:
    """What the labeling backend reads."""
    names = ("trajectories.jsonl", "clusters.json", "predictions.json")
    return {name: data for name, data in contents.items() if name in names or name.startswith("images/")}


def test_a_kill_while_overwriting_never_mixes_two_versions(
    folder: MovieFolder, cast: Path, tmp_path: Path
) -> None:
    words = _words(folder, cast)
    changed = [(stage, [*words[stage], *OTHERWISE, "--overwrite"]) for stage in ["merge_shards"]]
    changed += [(stage, [*words[stage], "--overwrite"]) for stage in ("cluster", "classify_knn")]
    log, steps_file, start = tmp_path / "log", tmp_path / "steps_file", tmp_path / "start"
    shutil.copytree(folder.path, start)
    old = contents(folder)
    assert kills.run(changed, log, steps_file=steps_file) == 0, log.read_text()
    new = contents(folder)
    served = ("trajectories.jsonl", "clusters.json", "predictions.json")
    assert old["trajectories.jsonl"] != new["trajectories.jsonl"]
    for step in range(4, int(steps_file.read_text()), 8):
        shutil.rmtree(folder.path)
        shutil.copytree(start, folder.path)
        assert kills.run(changed, log, kill_at=step) == -9
        left = contents(folder)
        if all(name in left for name in served):
            assert _served(left) in (_served(old), _served(new)), f"step {step}"
        for kept in folder.previous.iterdir() if folder.previous.exists() else ():
            assert all((kept / name).read_bytes() == old[name] for name in served), f"step {step}"
            pictures = {f"images/{path.name}": path.read_bytes() for path in (kept / "images").iterdir()}
            assert pictures == {name: old[name] for name in old if name.startswith("images/")}, step
        assert kills.run(changed, log) == 0, log.read_text()
        after = contents(folder)
        assert {k: v for k, v in after.items() if not k.startswith("previous/")} == {
            k: v for k, v in new.items() if not k.startswith("previous/")
        }, f"step {step}"
        assert any(k.startswith("previous/") for k in after), f"step {step}"
