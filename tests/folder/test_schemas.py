"""The JSON Schemas accept what the program writes and refuse what its readers refuse.

Where a schema cannot express a rule of a reader, its description says so.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from facerec import apply_labels, classify_knn, cluster
from facerec.errors import FacerecError
from facerec.feature_runs.rows import OutputFormat
from facerec.folder.documents import (
    clusters_bytes,
    predictions_bytes,
    read_clusters,
    read_predictions,
    read_scene_changes,
    read_transitions,
    scene_changes_bytes,
)
from facerec.folder.frame_records import FrameRecord, QualityRecord
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest
from facerec.folder.people import read_people
from facerec.folder.plan import Plan, read_plan
from facerec.folder.readers import read_features, read_trajectories
from facerec.folder.records import Record, SavedFace, Trajectory, to_line
from facerec.folder.shards import read_marker
from facerec.models.base import ModelCard
from facerec.support.jsonl import RuleViolation, read_lines
from tests import toy
from tests.conftest import ROOT
from tests.feature_runs import movies, toys
from tests.folder.test_records import FEATURE, FRAME, QUALITY, TRAJECTORY
from tests.folders import make_cast, make_folder
from tests.schemas import SCHEMAS, json_files, records, schema_errors, validator
from tests.strategies import FRAMES, QUALITIES, damaged, features, trajectories

Json = Any
MISSING = object()  # as the value of an edit: remove the key
DOCUMENTATION = (ROOT / "docs" / "data-folder.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.make_cast(tmp_path_factory.mktemp("actors") / "actor_db")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, database: Path) -> MovieFolder:
    """A folder that the four stages made of a film of 60 frames in four shards, and a label."""
    out = tmp_path_factory.mktemp("film")
    film = toy.Story(60, cuts=(30,)).make(out / f"{toy.MOVIE}-Film.mp4")
    made = toy.run_naming(toy.run_merge(toy.run_extract(film, out, 4)), database)
    tag = min(made.images.iterdir()).stem
    header = "movie_id,cluster_id,cluster_status,label,tag,image_status,trajectory"
    (out / "labels.csv").write_text(f"{header}\n{toy.MOVIE},0,labeled,actor0,{tag},same,0\n")
    argv = ["--path", str(made.path), "--labels", str(out / "labels.csv"), "--actor-db", str(database)]
    assert apply_labels.main(argv) == 0
    with pytest.MonkeyPatch.context() as patch:
        toys.register(patch)
        features = movies.toy_features()
        features[0].description["models"].append(asdict(ModelCard("toy", "toy.pth", "a" * 64, "MIT")))
        for feature in features:
            feature.description["format"] = asdict(OutputFormat())
        assert movies.run(made.path, film, features)["failed"] == 0
    return made


def written(folder: MovieFolder, name: str) -> Json:
    """Return the first record that the program wrote in a file with the schema `name`."""
    return next(records(path)[0] for schema, path in json_files(folder.path) if schema == name)


def edited(record: Json, where: str, value: Json) -> Json:
    """Return a copy of `record` with another value at `where`, a path such as `faces.0.box`."""
    made = copy.deepcopy(record)
    *above, last = (int(key) if key.lstrip("-").isdigit() else key for key in where.split("."))
    inner = made
    for key in above:
        inner = inner[key]
    if value is MISSING:
        del inner[last]
    else:
        inner[last] = value
    return made


def properties(schema: Json) -> Iterator[tuple[str, Json]]:
    """Yield all properties of a schema, however deep."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from properties(inner)


def closed(schema: Json, definition: bool = False) -> Json:
    """Return a copy of a schema that refuses the keys which it does not describe, however deep.

    A definition itself stays open, because the places that refer to it may describe further keys.
    """
    if isinstance(schema, list):
        return [closed(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: closed(inner, key == "$defs") for name, inner in value.items()}
        if key in ("$defs", "properties")
        else closed(value)
        for key, value in schema.items()
    }
    return made | (
        {"unevaluatedProperties": False} if {"$ref", "properties"} & made.keys() and not definition else {}
    )


def test_stages_report_the_keys_that_the_schema_describes(folder: MovieFolder) -> None:
    stages = validator("manifest").schema["properties"]["stages"]["properties"]
    recorded = read_manifest(folder)["stages"]
    described = {name: set(stage["properties"]["report"]["properties"]) for name, stage in stages.items()}
    assert described == {name: set(stage["report"]) for name, stage in recorded.items()}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schema_is_valid_and_describes_every_key(name: str) -> None:
    schema = validator(name).schema
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:facerec:{name}" and schema["title"] and schema["description"]
    for key, one in properties(schema):
        assert {"description", "$ref"} & one.keys() or key == "report", key
        assert re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", DOCUMENTATION), key


def test_stages_write_what_the_schemas_accept(folder: MovieFolder, database: Path) -> None:
    assert schema_errors(folder.path) == []
    used = {name for name, _ in json_files(folder.path)}
    assert used == SCHEMAS.keys() - {"actor_embeddings", "actor_embeddings.meta"}
    assert schema_errors(database) == []
    assert {name for name, _ in json_files(database)} == SCHEMAS.keys() - used


def test_stages_write_only_keys_that_the_schemas_describe(folder: MovieFolder, database: Path) -> None:
    for path in (folder.path, database):
        for name, file in json_files(path):
            for record in records(file):
                Draft202012Validator(closed(validator(name).schema)).validate(record)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        *(("manifest", where) for where in ("x", "video.x", "models.detector.x", "stages.cluster.report.x")),
        *(("manifest", where) for where in ("stages.cluster.x", "shards.x", "shards.reports.0.x")),
        *(("plan", "run.models.embedder.x"), ("done", "report.x")),
    ],
)
def test_a_key_without_description_is_found(folder: MovieFolder, name: str, where: str) -> None:
    record = edited(written(folder, name), where, 1)
    assert not Draft202012Validator(closed(validator(name).schema)).is_valid(record)


def test_replaced_results_and_missing_shards_are_accepted(
    folder: MovieFolder, database: Path, tmp_path: Path
) -> None:
    other = MovieFolder(shutil.copytree(folder.path, tmp_path / folder.path.name))
    path = ["--path", str(other.path), "--overwrite"]
    assert cluster.main([*path, "--method", "hdbscan"]) == 0
    assert classify_knn.main([*path, "--actor-db", str(database), "--unknown", "5"]) == 0
    for path in other.shard(15, 30).results[:1]:
        path.unlink()
    toy.run_merge(other, "--allow-missing", "--overwrite")
    manifest = read_manifest(other)
    assert manifest["history"] and manifest["shards"]["missing"] == "1" and any(other.previous.iterdir())
    assert schema_errors(other.path) == []


def test_film_without_faces_and_folder_without_images_are_accepted(tmp_path: Path) -> None:
    folders = [make_folder(tmp_path / "empty", faces=()), make_folder(tmp_path / "images", thumbnails=False)]
    for made in folders:
        for name, path in json_files(made.path):
            if name not in ("plan", "done", "manifest"):  # invented there, not written by the stages
                assert all(validator(name).is_valid(record) for record in records(path)), path
    assert schema_errors(make_cast(tmp_path / "actor_db").folder) == []


@given(trajectories(), features(), FRAMES, QUALITIES)
def test_made_records_are_accepted(
    trajectory: Trajectory, feature: SavedFace, frame: FrameRecord, quality: QualityRecord
) -> None:
    lines: dict[str, Record] = {"trajectories": trajectory, "features": feature, "evidence": frame}
    for name, record in (lines | {"quality": quality}).items():
        validator(name).validate(json.loads(to_line(record)))


@given(
    st.sets(st.integers(1, 2**31 - 1), max_size=9),
    st.lists(st.integers(0, 5), max_size=30),
    st.lists(st.dictionaries(st.text(min_size=1, max_size=64), st.floats(0, 1), max_size=4), max_size=5),
)
def test_made_documents_are_accepted(
    cuts: set[int], people: list[int], names: list[dict[str, float]]
) -> None:
    dense = {who: label for label, (who, _) in enumerate(Counter(people).most_common())}
    shares = [{actor: p / max(1, sum(own.values())) for actor, p in own.items()} for own in names]
    validator("scene_changes").validate(json.loads(scene_changes_bytes(7, sorted(cuts))))
    validator("clusters").validate(json.loads(clusters_bytes(7, [dense[who] for who in people])))
    validator("predictions").validate(json.loads(predictions_bytes(7, dict(enumerate(shares)))))


def _read_plan(folder: MovieFolder) -> object:
    """Read the plan after giving it the fingerprint of its contents, so that only other rules can fail."""
    record = json.loads(folder.plan.read_bytes())
    with suppress(TypeError, KeyError, AttributeError):  # its parts are of other types than a plan's
        record["fingerprint"] = Plan(**{**record["run"], "notes": tuple(record["run"]["notes"])}).fingerprint
    folder.plan.write_bytes(orjson.dumps(record))
    return read_plan(folder)


def _read_done(folder: MovieFolder) -> object:
    plan = read_plan(folder)
    assert plan is not None
    return read_marker(folder, plan, *plan.range_of(0))


# the file of each schema, and its reader
READERS: dict[str, tuple[Callable[[MovieFolder], Path], Callable[[MovieFolder], object]]] = {
    "trajectories": (lambda f: f.trajectories, lambda f: read_trajectories(f.trajectories, f.movie_id)),
    "features": (lambda f: f.features, lambda f: list(read_features(f.features, f.movie_id))),
    "quality": (lambda f: f.quality, lambda f: list(read_lines(f.quality, QualityRecord.from_json))),
    "evidence": (
        lambda f: f.shard(0, 15).frame_records,
        lambda f: list(read_lines(f.shard(0, 15).frame_records, FrameRecord.from_json)),
    ),
    "scene_changes": (lambda f: f.scene_changes, lambda f: read_scene_changes(f.scene_changes, f.movie_id)),
    "transitions": (lambda f: f.transitions, lambda f: read_transitions(f.transitions, f.movie_id)),
    "clusters": (lambda f: f.clusters, lambda f: read_clusters(f.clusters, f.movie_id)),
    "predictions": (lambda f: f.predictions, lambda f: read_predictions(f.predictions, f.movie_id)),
    "plan": (lambda f: f.plan, _read_plan),
    "done": (lambda f: f.shard(0, 15).marker, _read_done),
    "manifest": (lambda f: f.manifest, read_manifest),
    "people": (lambda f: f.people, lambda f: read_people(f.people, f.movie_id)),
}


def read_edited(folder: MovieFolder, name: str, record: Json, tmp_path: Path) -> None:
    """Put `record` in place of the first one of its file, in a copy of `folder`, and read the file."""
    other = MovieFolder(shutil.copytree(folder.path, tmp_path / folder.path.name, dirs_exist_ok=True))
    of_folder, read = READERS[name]
    path = of_folder(other)
    rest = records(path)[1:]
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in (record, *rest)))
    read(other)


def test_readers_accept_the_unedited_records(folder: MovieFolder, tmp_path: Path) -> None:
    for name, (of_folder, _) in READERS.items():
        read_edited(folder, name, records(of_folder(folder))[0], tmp_path)


BROKEN: list[tuple[str, str, Json]] = [
    ("trajectories", "index", MISSING),
    ("trajectories", "colour", "red"),
    ("trajectories", "index", "0"),
    ("trajectories", "movie_id", None),
    ("trajectories", "start", -1),
    ("trajectories", "start", 2.5),
    ("trajectories", "len", 0),
    ("trajectories", "bbs", []),
    ("trajectories", "bbs.0", [1, 2, 30]),
    ("trajectories", "bbs.0", [1, 2, 30, 40, 50]),
    ("trajectories", "bbs.0", None),
    ("trajectories", "bbs.0.0", -1),
    ("trajectories", "bbs.0.0", 0.5),
    ("trajectories", "bbs.0.0", "1"),
    ("trajectories", "bbs.0.2", 65537),
    ("trajectories", "detected.0", 1),
    ("trajectories", "w", 0),
    ("trajectories", "h", 65537),
    ("trajectories", "object_type", "head"),
    ("features", "embedding", []),
    ("features", "embedding.0", "0.5"),
    ("features", "embedding.0", True),
    ("features", "embedding.0", 1.5),
    ("features", "tag", 5),
    ("features", "tag", "77:0:1_2_3"),
    ("features", "tag", "77:00:1_2_3_4"),
    ("features", "frame", 2**31),
    ("features", "keypoints.nose", MISSING),
    ("features", "keypoints.chin", [1, 2]),
    ("features", "keypoints.nose", [1]),
    ("features", "keypoints.nose.0", 70000.0),
    ("features", "keypoints.nose.1", None),
    ("features", "box", {}),
    ("features", "score", 0.9),
    ("quality", "tag", 7),
    ("quality", "score", None),
    ("quality", "sharpness", "20"),
    ("quality", "sharpness", MISSING),
    ("evidence", "frame", True),
    ("evidence", "frame", -1),
    ("evidence", "change", "1.5"),
    ("evidence", "faces", {}),
    ("evidence", "faces", [{"box": [0, 0, 9, 9], "score": 0.9}]),
    ("evidence", "faces", [{"box": [0, 0, 9], "score": 0.9, "sharpness": None}]),
    ("evidence", "faces", [{"box": [0, 0, 9, 9], "score": None, "sharpness": None}]),
    ("evidence", "faces", [{"box": [0, 0, 9, 9], "score": 0.9, "sharpness": "sharp"}]),
    ("scene_changes", "frame_indices", None),
    ("scene_changes", "frame_indices", [0]),
    ("scene_changes", "frame_indices", [20, 20]),
    ("scene_changes", "frame_indices", [2**31]),
    ("scene_changes", "frame_indices", ["20"]),
    ("scene_changes", "movie_id", MISSING),
    ("transitions", "transitions", {}),
    ("transitions", "movie_id", None),
    ("transitions", "transitions.0.kind", "blend"),
    ("transitions", "transitions.0.begin", "20"),
    ("transitions", "transitions.0.end", MISSING),
    ("transitions", "transitions.0.cut", 0),
    ("transitions", "transitions.0.share", 0.5),
    ("clusters", "clusters", {"0": 0}),
    ("clusters", "clusters", [-1]),
    ("clusters", "clusters", [True]),
    ("clusters", "labels", []),
    ("predictions", "movie_id", MISSING),
    ("predictions", "predictions", []),
    ("predictions", "predictions", {"00": {}}),
    ("predictions", "predictions", {"-1": {}}),
    ("predictions", "predictions", {"0": []}),
    ("predictions", "predictions", {"0": {"": 0.5}}),
    ("predictions", "predictions", {"0": {"a" * 65: 0.5}}),
    ("predictions", "predictions", {"0": {"nm1": 0.04}}),
    ("predictions", "predictions", {"0": {"nm1": 1.5}}),
    ("predictions", "predictions", {"0": {"nm1": True}}),
    ("predictions", "predictions", {"0": {"nm1": "0.5"}}),
    ("plan", "run", MISSING),
    ("plan", "version", 2),
    ("plan", "run.n", "4"),
    ("plan", "run.n", 0),
    ("plan", "run.frame_count", -1),
    ("plan", "run.frame_count", None),
    ("plan", "run.film", []),
    ("plan", "run.notes", "none"),
    ("plan", "run.speed", 1),
    ("plan", "run.program", MISSING),
    ("plan", "command.film", None),
    ("plan", "command.options", "--detector mtcnn"),
    ("plan", "command.options", [5]),
    ("done", "fingerprint", MISSING),
    ("done", "report", []),
    ("done", "report.skipped", MISSING),
    ("done", "report.skipped", [-1]),
    ("done", "report.dimension", None),
    ("done", "report.same_person", "1.1"),
    ("done", "files", {}),
    ("done", "files.readme_txt", {"bytes": 0, "sha256": "0" * 64}),
    ("people", "movie_id", MISSING),
    ("people", "inputs.labels", "none"),
    ("people", "people", {}),
    ("people", "people.0.name", ""),
    ("people", "people.0.actor_id", ""),
    ("people", "people.0.source", "guess"),
    ("people", "people.0.trajectories", ["0"]),
    ("people", "people.0.colour", "red"),
    ("people", "no_face", [-1]),
    ("people", "mixed", [0, 0]),
    ("manifest", "stages", MISSING),
    ("manifest", "history", {}),
    ("manifest", "film", []),
    ("manifest", "models", None),
    ("manifest", "stages.dream", {}),
    ("manifest", "stages.cluster", []),
    ("manifest", "stages.cluster.made_at", MISSING),
    ("manifest", "stages.cluster.inputs", []),
    ("manifest", "stages.classify_knn.report", MISSING),
]


@pytest.mark.parametrize(("name", "where", "value"), BROKEN)
def test_broken_record_is_refused_by_reader_and_schema(
    folder: MovieFolder, tmp_path: Path, name: str, where: str, value: Json
) -> None:
    record = edited(written(folder, name), where, value)
    assert not validator(name).is_valid(record)
    with pytest.raises(FacerecError):
        read_edited(folder, name, record, tmp_path)


BEYOND: list[tuple[str, str, Json, str]] = [
    ("trajectories", "index", 5, "0-based line number"),
    ("trajectories", "start", 5.0, "without a decimal point"),
    ("trajectories", "len", 1, "have len entries"),
    ("trajectories", "detected.-1", False, "the last entry of detected is true"),
    ("trajectories", "bbs.0", [9, 9, 9, 20], "x1 < x2"),
    ("trajectories", "bbs.0", [0, 0, 9, 60000], "inside the frame"),
    ("trajectories", "movie_id", 8, "the number in the name of the folder"),
    ("features", "embedding.0", 0.9, "has length 1"),
    ("features", "tag", "77:0:1_2_30_40", "agrees with frame and box"),
    ("features", "w", 500, "the same in every line"),
    ("quality", "score", 1, "with a decimal point"),
    ("evidence", "change", 1, "with a decimal point"),
    ("scene_changes", "frame_indices", [40, 20], "the frames ascend"),
    ("scene_changes", "movie_id", 8, "the number in the name of the folder"),
    ("transitions", "movie_id", 8, "the number in the name of the folder"),
    ("transitions", "transitions.0.kind", "dissolve", "for no other"),
    ("clusters", "clusters", [0, 2], "dense"),
    ("predictions", "predictions", {"0": {"nm1": 0.123456}}, "at most 5 decimals"),
    ("predictions", "predictions", {"0": {"nm1": 0.9, "nm2": 0.9}}, "add up to at most 1"),
    ("people", "movie_id", 8, "the number in the name of the folder"),
    ("people", "people.0.trajectories", [], "those of a person are not empty"),
    ("people", "no_face", [0], "each trajectory of trajectories.jsonl is in one list"),
    ("plan", "run.n", 4.0, "without a decimal point"),
    ("done", "fingerprint", "0" * 64, "Fingerprint of the plan"),
    ("done", "report.skipped", [50], "skipped frames lie inside the shard"),
]


@pytest.mark.parametrize(("name", "where", "value", "said"), BEYOND)
def test_rule_that_a_schema_cannot_express_is_in_its_descriptions(
    folder: MovieFolder, tmp_path: Path, name: str, where: str, value: Json, said: str
) -> None:
    record = edited(written(folder, name), where, value)
    assert validator(name).is_valid(record)
    assert said in SCHEMAS[name].read_text(encoding="utf-8")
    with pytest.raises(FacerecError):
        read_edited(folder, name, record, tmp_path)


# rules of the readers of single records that the schemas cannot express, as their messages name them
LINES: list[tuple[str, Record, tuple[str, ...]]] = [
    ("trajectories", TRAJECTORY, ("an int", "len boxes", "len booleans", "four ints", "is empty or outside",
                                  "last box", "start is not a frame number")),
    ("features", FEATURE, ("an int", "four ints", "is empty or outside", "tag has another frame or box",
                           "L2-normalised")),
    ("evidence", FRAME, ("frame is not a frame number", "a float", "four ints", "is empty or outside")),
    ("quality", QUALITY, ("must be floats",)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "record", "beyond"), LINES)
@given(data=st.data())
def test_whatever_else_a_reader_refuses_the_schema_refuses(
    name: str, record: Record, beyond: tuple[str, ...], data: st.DataObject
) -> None:
    value = data.draw(damaged(json.loads(to_line(record))))
    try:
        type(record).from_json(value)
    except RuleViolation as violation:
        assert any(rule in str(violation) for rule in beyond) or not validator(name).is_valid(value)
