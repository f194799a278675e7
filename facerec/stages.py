"""The graph of the pipeline's stages, declared only here.

The manifest checks a stage's inputs and discards outdated results along this graph, and the launcher submits
jobs along it. The module imports nothing from the package, because facerec.folder, facerec.checks and the
launcher all need it; it therefore gives output files as names of `MovieFolder` attributes. The graph
may branch. To add a stage: an entry here, an attribute of MovieFolder for each output, `facerec/<name>.py`,
and lines in `facerec/__main__.py`, `slurm/slurm.mk` and the layers of `pyproject.toml`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Attributes:
        name: name of the script `facerec/<name>.py`, and of the stage in manifest.json.
        short_name: target of make, table of the site profile, part of SLURM job names.
        inputs: names of the stages that write what it reads.
        outputs: files it writes, as names of MovieFolder attributes. The files of single shards and the
            thumbnails in images/ are not listed: markers and the manifest prove them in their own ways.
        sharded: it takes `--shard`. Its results are proved by the plan and the markers; those of other stages
            are recorded in manifest.json, if they are not optional.
        uses_actor_db: it takes `--actor-db`.
        optional: it only shows the results. The folder is finished without its outputs, which neither the
            manifest records nor the checker demands; a chain of stages in which it fails has not failed.
    """

    name: str
    short_name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sharded: bool = False
    uses_actor_db: bool = False
    optional: bool = False

    @property
    def script(self) -> Path:
        return Path(__file__).with_name(f"{self.name}.py")

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs this stage in a process of its own."""
        return [sys.executable, "-u", str(self.script), *arguments]


class StageGraph:
    """Stages and what they read from each other; iterates in topological order.

    Raises:
        ValueError: two stages share a name or an output, an input is unknown, or the graph has a cycle.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._by_name: dict[str, Stage] = {}
        for stage in stages:
            for name in {stage.name, stage.short_name}:
                if self._by_name.setdefault(name, stage) is not stage:
                    raise ValueError(f"two stages are named {name!r}")
        outputs = [name for stage in stages for name in stage.outputs]
        if len(set(outputs)) < len(outputs):
            raise ValueError(f"an output has two producers: {sorted(outputs)}")
        scripts = {stage.name: stage for stage in stages}
        for stage in stages:
            for name in stage.inputs:
                if name not in scripts:
                    raise ValueError(f"{stage.name} reads from {name!r}, which is not a stage")
        order = TopologicalSorter({stage.name: stage.inputs for stage in stages}).static_order()
        self._stages = tuple(scripts[name] for name in order)

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._stages)

    def __getitem__(self, name: str) -> Stage:
        """Return a stage by its name or its short name."""
        return self._by_name[name]

    @property
    def short_names(self) -> tuple[str, ...]:
        """The stages' short names, in topological order."""
        return tuple(stage.short_name for stage in self)

    @property
    def recorded(self) -> tuple[Stage, ...]:
        """The stages that manifest.json records: those that are neither sharded nor optional."""
        return tuple(stage for stage in self if not stage.sharded and not stage.optional)

    def upstream(self, name: str) -> tuple[Stage, ...]:
        """Return the stages that `name` depends on, directly or not, in topological order."""
        needed = set(self[name].inputs)
        for stage in reversed(self._stages):
            if stage.name in needed:
                needed.update(stage.inputs)
        return tuple(stage for stage in self if stage.name in needed)

    def downstream(self, name: str) -> tuple[Stage, ...]:
        """Return the stages that depend on `name`, directly or not, in topological order."""
        return tuple(stage for stage in self if self[name] in self.upstream(stage.name))

    def predecessors(self, name: str) -> tuple[Stage, ...]:
        """Return the inputs of `name` that no other of its inputs depends on: the stages to wait for."""
        inputs = [self[other] for other in self[name].inputs]
        implied = {stage for other in inputs for stage in self.upstream(other.name)}
        return tuple(stage for stage in self if stage in inputs and stage not in implied)


PIPELINE = StageGraph(
    (
        Stage("extract", "extract", inputs=(), outputs=("plan",), sharded=True, uses_actor_db=True),
        Stage(
            "merge_shards",
            "merge",
            inputs=("extract",),
            outputs=("trajectories", "features", "quality", "scene_changes", "transitions"),
        ),
        Stage("cluster", "cluster", inputs=("merge_shards",), outputs=("clusters",)),
        Stage(
            "classify_knn",
            "classify",
            inputs=("merge_shards", "cluster"),
            outputs=("predictions",),
            uses_actor_db=True,
        ),
        Stage(
            "report",
            "report",
            inputs=("merge_shards", "cluster", "classify_knn"),
            outputs=("report",),
            uses_actor_db=True,
            optional=True,
        ),
    )
)
# Beside the pipeline: the launcher runs it, but neither the manifest nor the checker knows it, and `make
# movie` does not run it. It also works without a movie. Its index proves what is done.
FEATURES = Stage(
    "extract_features", "features", inputs=("merge_shards",), outputs=(), sharded=True, optional=True
)
LAUNCHED = {stage.short_name: stage for stage in (*PIPELINE, FEATURES)}  # by short name
