"""Cuts, clusters and predictions round-trip exactly; invalid documents are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.errors import ContractError
from facerec.folder.documents import (
    DISPLAY_THRESHOLD,
    TRANSITION_KINDS,
    TransitionRecord,
    clusters_bytes,
    predictions_bytes,
    read_clusters,
    read_predictions,
    read_scene_changes,
    read_transitions,
    scene_changes_bytes,
    shown_actor,
    transitions_bytes,
)
from facerec.support.jsonl import RuleViolation
from facerec.video.fades import BLACK, WHITE
from facerec.video.gradual import DISSOLVE, WIPE
from facerec.video.network_shots import GRADUAL
from facerec.video.shots import HARD
from tests.schemas import SCHEMAS
from tests.strategies import ANY_JSON, damaged

READERS: list[Callable[[Path, int], object]] = [
    read_scene_changes,
    read_clusters,
    read_predictions,
    read_transitions,
]
VALID = [
    {"frame_indices": [20, 40], "movie_id": 7},
    {"clusters": [0, 1, 0], "movie_id": 7},
    {"movie_id": 7, "predictions": {"0": {"nm1": 0.9, "nm2": 0.05}, "1": {}}},
    {"movie_id": 7, "transitions": [{"kind": "wipe", "begin": 8, "end": 20, "cut": 14}]},
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documents") / "file.json"


@given(st.sets(st.integers(1, 2**31 - 1), max_size=9))
def test_cuts_are_read_as_they_were_written(file: Path, cuts: set[int]) -> None:
    file.write_bytes(scene_changes_bytes(7, sorted(cuts)))
    assert read_scene_changes(file, 7) == sorted(cuts)


@given(st.lists(st.integers(0, 5), max_size=30))
def test_clusters_are_read_as_they_were_written(file: Path, people: list[int]) -> None:
    labels = [sorted(set(people)).index(who) for who in people]  # in any order of size
    file.write_bytes(clusters_bytes(7, labels))
    assert read_clusters(file, 7, len(labels)) == labels


@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=64), st.floats(0, 1), max_size=4), max_size=5))
def test_predictions_are_read_as_they_were_written(file: Path, clusters: list[dict[str, float]]) -> None:
    shares = [{a: p / max(1, sum(names.values())) for a, p in names.items()} for names in clusters]
    file.write_bytes(predictions_bytes(7, dict(enumerate(shares))))
    read = read_predictions(file, 7, len(shares))
    assert read == {
        cluster: {actor: round(p, 5) for actor, p in names.items() if round(p, 5) >= 0.05}
        for cluster, names in enumerate(shares)
    }
    # not the bytes: actors are ordered before their probabilities are rounded, which may make two equal
    file.write_bytes(predictions_bytes(7, read))
    assert read_predictions(file, 7, len(shares)) == read


@given(st.data(), st.sampled_from(range(len(READERS))))
def test_a_damaged_document_is_refused_or_still_valid(file: Path, data: st.DataObject, which: int) -> None:
    file.write_bytes(orjson.dumps(data.draw(damaged(VALID[which]) | ANY_JSON)))
    try:
        READERS[which](file, 7)
    except ContractError as error:
        assert error.path == file


@given(st.binary(max_size=50), st.sampled_from(range(len(READERS))))
def test_arbitrary_bytes_are_refused(file: Path, data: bytes, which: int) -> None:
    file.write_bytes(data)
    with pytest.raises(ContractError):
        READERS[which](file, 7)


@pytest.mark.parametrize(
    ("which", "value", "rule"),
    [
        (0, {"frame_indices": [20], "movie_id": 7.0}, "movie_id 7.0"),
        (0, {"frame_indices": [2**63], "movie_id": 7}, "must be frame numbers"),
        (0, {"frame_indices": [20, 20], "movie_id": 7}, "must be ascending, without duplicates"),
        (1, {"clusters": [2**64 - 1], "movie_id": 7}, "dense"),
        (1, {"clusters": [True, False], "movie_id": 7}, "a list of ints"),
        (1, {"clusters": [0.0], "movie_id": 7}, "a list of ints"),
        (1, {"clusters": {"0": 0}, "movie_id": 7}, "a list of ints"),
        (2, {"movie_id": 7, "predictions": {"٠": {}}}, "not a cluster id"),
        (2, {"movie_id": 7, "predictions": {"00": {}}}, "not a cluster id"),
        (2, {"movie_id": 7, "predictions": {"9" * 5000: {}}}, "not a cluster id"),
        (2, {"movie_id": 7, "predictions": {"0": {"": 0.5}}}, "1 to 64 characters"),
        (2, {"movie_id": 7, "predictions": {"0": {"nm1": True}}}, "not a probability"),
        (2, {"movie_id": 7, "predictions": {"0": {"nm1": 1.5}}}, "not in 0.05..1"),
        (2, {"movie_id": 7, "predictions": []}, "an object by cluster id"),
    ],
)
def test_a_broken_rule_is_named(file: Path, which: int, value: object, rule: str) -> None:
    file.write_bytes(orjson.dumps(value))
    with pytest.raises(ContractError, match=re.escape(rule)):
        READERS[which](file, 7)


def test_every_cluster_has_an_entry_and_every_trajectory_a_cluster(file: Path) -> None:
    file.write_bytes(predictions_bytes(7, {0: {}, 1: {}}))
    with pytest.raises(ContractError, match="each of the 3 clusters"):
        read_predictions(file, 7, 3)
    file.write_bytes(clusters_bytes(7, [0, 0]))
    with pytest.raises(ContractError, match="2 clusters for 3 trajectories"):
        read_clusters(file, 7, 3)


def test_a_probability_may_be_written_as_a_whole_number(file: Path) -> None:
    file.write_bytes(b'{"movie_id":7,"predictions":{"0":{"nm1":1}}}')
    assert read_predictions(file, 7, 1) == {0: {"nm1": 1}}
    file.write_bytes(b'{"movie_id":7,"predictions":{"0":{"nm1":2}}}')
    with pytest.raises(ContractError, match="not a probability"):
        read_predictions(file, 7, 1)


def test_an_empty_movie_has_valid_documents(file: Path) -> None:
    file.write_bytes(clusters_bytes(7, []))
    assert read_clusters(file, 7, 0) == []
    file.write_bytes(predictions_bytes(7, {}))
    assert file.read_bytes() == b'{"movie_id":7,"predictions":{}}'
    assert read_predictions(file, 7, 0) == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda: clusters_bytes(7, [0, 2]),
        lambda: clusters_bytes(7, [1, 1]),
        lambda: scene_changes_bytes(7, [20, 10]),
        lambda: scene_changes_bytes(7, [0]),
        lambda: predictions_bytes(7, {0: {"a" * 65: 0.5}}),
        lambda: predictions_bytes(7, {0: {"a": 0.7, "b": 0.7}}),
    ],
)
def test_what_a_reader_would_refuse_is_not_written(make: Callable[[], bytes]) -> None:
    with pytest.raises(RuleViolation):
        make()


def test_documents_are_the_bytes_of_the_contract() -> None:
    """Other programs read them, and their hashes must not change between releases."""
    assert scene_changes_bytes(7, [20, 40]) == b'{"frame_indices":[20,40],"movie_id":7}'
    assert clusters_bytes(7, [1, 0, 1]) == b'{"clusters":[1,0,1],"movie_id":7}'
    assert transitions_bytes(7, [TransitionRecord("wipe", 8, 20, 14)]) == (
        b'{"movie_id":7,"transitions":[{"kind":"wipe","begin":8,"end":20,"cut":14}]}'
    )
    names = {"b": 0.25, "a": 0.25, "c": 0.3333333, "d": 0.049996, "e": 0.049994}
    assert predictions_bytes(7, {10: {}, 2: names}) == (
        b'{"movie_id":7,"predictions":{"2":{"c":0.33333,"a":0.25,"b":0.25,"d":0.05},"10":{}}}'
    )


LAST = 2**31 - 1


def transition(**other: object) -> dict[str, object]:
    return {"kind": "wipe", "begin": 8, "end": 20, "cut": 14, **other}


def predicted(names: object, cluster: str = "0") -> dict[str, object]:
    return {"movie_id": 7, "predictions": {cluster: names}}


@pytest.mark.parametrize(
    ("which", "read", "refused"),
    [
        (0, {"frame_indices": [1, LAST], "movie_id": 7}, {"frame_indices": [0, LAST], "movie_id": 7}),
        (0, {"frame_indices": [], "movie_id": 7}, {"frame_indices": [1, LAST + 1], "movie_id": 7}),
        (0, {"frame_indices": [1, 2], "movie_id": 7}, {"frame_indices": {"1": 2}, "movie_id": 7}),
        (0, {"frame_indices": [1], "movie_id": 7}, {"frame_indices": [1], "movie_id": 8}),
        (0, {"frame_indices": [1], "movie_id": 7}, {"frame_indices": [1.0], "movie_id": 7}),
        (1, {"clusters": [0, 1], "movie_id": 7}, {"clusters": [0, 2], "movie_id": 7}),
        (1, {"clusters": [1, 0], "movie_id": 7}, {"clusters": [1, 1], "movie_id": 7}),
        (1, {"clusters": [0], "movie_id": 7}, {"clusters": [-1], "movie_id": 7}),
        (2, predicted({"a" * 64: 1.0}), predicted({"a" * 65: 1.0})),
        (2, predicted({"a": 0.05}), predicted({"a": 0.04999})),
        (2, predicted({"a": 0.5, "b": 0.5001}), predicted({"a": 0.5, "b": 0.5002})),
        (2, predicted({"a": 0.12345}), predicted({"a": 0.123456})),
        (2, predicted({}, "999999999"), predicted({}, "1000000000")),
        (2, predicted({}), predicted([])),
        (2, predicted({"a": 1}), predicted({"a": 0})),
        *((3, {"movie_id": 7, "transitions": [transition(**read)]},
           {"movie_id": 7, "transitions": [transition(**refused)]})
          for read, refused in (({"begin": 1}, {"begin": 0}), ({"end": LAST}, {"end": LAST + 1}),
                                ({"begin": 14}, {"begin": 15}), ({"end": 14}, {"end": 13}),
                                ({"kind": "gradual"}, {"kind": "iris"}), ({"cut": 8}, {"cut": 7}),
                                ({"kind": "cut", "begin": 14, "end": 14}, {"kind": "cut"}),
                                ({"cut": 20}, {"kind": "wipe", "begin": 14, "end": 14}),
                                ({}, {"cut": 14.0}))),
        (3, {"movie_id": 7, "transitions": [transition(), transition(cut=15)]},
         {"movie_id": 7, "transitions": [transition(), transition()]}),
        (3, {"movie_id": 7, "transitions": []}, {"movie_id": 7, "transitions": {}}),
    ],
)  # fmt: skip
def test_a_document_at_a_limit_of_the_contract_is_read_and_one_beyond_it_is_refused(
    file: Path, which: int, read: object, refused: object
) -> None:
    file.write_bytes(orjson.dumps(read))
    READERS[which](file, 7)
    file.write_bytes(orjson.dumps(refused))
    with pytest.raises(ContractError):
        READERS[which](file, 7)


def test_a_cluster_shows_its_likeliest_actor_and_none_of_two_that_are_equally_likely() -> None:
    assert shown_actor({"nm1": 0.5, "nm2": 0.45, "nm3": 0.05}) == ("nm1", 0.5)
    assert shown_actor({"nm1": 0.3, "nm2": 0.6}) == ("nm2", 0.6)
    assert shown_actor({"nm1": 0.42, "nm2": 0.5}) == ("nm2", 0.5)
    assert shown_actor({"nm1": 0.5, "nm2": 0.5}) is None
    assert shown_actor({"nm1": DISPLAY_THRESHOLD}) is None and shown_actor({}) is None
    assert shown_actor({"nm1": 0.2, "nm2": 0.1}, least=0.15) == ("nm1", 0.2)
    assert shown_actor({"nm1": 0.2, "nm2": 0.2}, least=0.1) is None
    assert shown_actor({"nm1": 0.2, "nm2": 0.5, "nm3": 0.2}, least=0.1) == ("nm2", 0.5)


def test_every_kind_of_transition_that_is_found_can_be_written() -> None:
    found = {HARD, DISSOLVE, WIPE, BLACK, WHITE, GRADUAL}
    schema = orjson.loads(SCHEMAS["transitions"].read_bytes())
    kinds = schema["properties"]["transitions"]["items"]["properties"]["kind"]["enum"]
    assert found == set(TRANSITION_KINDS) == set(kinds)
