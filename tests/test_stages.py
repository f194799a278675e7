"""The stage graph: declared without contradictions, and walked along its branches."""

from __future__ import annotations

from dataclasses import replace
from graphlib import CycleError
from pathlib import Path

import pytest

from facerec.folder.layout import MovieFolder
from facerec.stages import PIPELINE, Stage, StageGraph

#   a ── b ── d ── e
#    ╲── c ──╱
BRANCHING = StageGraph(
    (
        Stage("e", "e5", ("d", "a"), ("clusters",)),
        Stage("a", "a1", (), ("plan",), sharded=True),
        Stage("c", "c3", ("a",), ("features",)),
        Stage("d", "d4", ("b", "c"), ("quality",)),
        Stage("b", "b2", ("a",), ("trajectories",)),
    )
)


def names(stages: tuple[Stage, ...]) -> str:
    return "".join(stage.name for stage in stages)


def test_the_pipeline_runs_in_its_documented_order() -> None:
    assert PIPELINE.short_names == ("extract", "merge", "cluster", "classify", "report")
    recorded = [stage.name for stage in PIPELINE.recorded]
    assert recorded == ["merge_shards", "cluster", "classify_knn"] and PIPELINE["report"].optional
    assert [stage.name for stage in PIPELINE.predecessors("classify")] == ["cluster"]


def test_every_stage_has_a_script_and_every_output_is_a_path_of_the_folder(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    for stage in PIPELINE:
        assert stage.script.is_file()
        assert all(isinstance(getattr(folder, output), Path) for output in stage.outputs)


def test_stages_are_found_by_either_name() -> None:
    assert PIPELINE["merge"] is PIPELINE["merge_shards"]
    with pytest.raises(KeyError):
        PIPELINE["merging"]


def test_the_order_is_topological_whatever_the_order_of_declaration() -> None:
    order = [stage.name for stage in BRANCHING]
    assert all(order.index(name) < order.index(stage.name) for stage in BRANCHING for name in stage.inputs)


def test_upstream_and_downstream_follow_the_branches() -> None:
    assert names(BRANCHING.upstream("a")) == "" and names(BRANCHING.upstream("b")) == "a"
    assert set(names(BRANCHING.upstream("d"))) == {"a", "b", "c"}
    assert names(BRANCHING.downstream("b2")) == names(BRANCHING.downstream("c")) == "de"
    assert names(BRANCHING.downstream("e")) == ""


def test_predecessors_leave_out_what_another_input_implies() -> None:
    assert names(BRANCHING.predecessors("e")) == "d"
    assert set(names(BRANCHING.predecessors("d"))) == {"b", "c"}
    assert names(BRANCHING.predecessors("a")) == ""


def test_only_stages_that_are_neither_sharded_nor_optional_are_recorded() -> None:
    assert set(names(BRANCHING.recorded)) == {"b", "c", "d", "e"}
    optional = replace(BRANCHING["e"], optional=True)
    assert set(names(StageGraph((*(BRANCHING[name] for name in "abcd"), optional)).recorded)) == {
        "b",
        "c",
        "d",
    }


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((Stage("a", "a", (), ()), Stage("b", "a", (), ())), "two stages are named 'a'"),
        ((Stage("a", "a", (), ("plan",)), Stage("b", "b", (), ("plan",))), "two producers"),
        ((Stage("a", "a", ("b",), ()),), "reads from 'b', which is not a stage"),
        ((Stage("a", "x", (), ()), Stage("b", "b", ("x",), ())), "reads from 'x', which is not a stage"),
    ],
)
def test_a_contradiction_is_refused(stages: tuple[Stage, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StageGraph(stages)


def test_a_cycle_is_refused() -> None:
    with pytest.raises(CycleError):
        StageGraph((Stage("a", "a", ("b",), ()), Stage("b", "b", ("a",), ())))
