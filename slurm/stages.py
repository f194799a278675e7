"""The command lines of the stages: the one place that says what a task runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from facerec.stages import PIPELINE
from slurm.site import Site

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_SHARDS = 256


@dataclass(frozen=True)
class Order:
    """What the user asked for.

    Attributes:
        shards: None for those of the movie's plan, or DEFAULT_SHARDS where there is none yet.
        detector, embedder, device: empty for the stage's own default.
        args: further arguments of a stage's program, by stage.
        fresh: drop the shards that are there and begin again.
        overwrite: replace what was published; the stages keep the old version.
        workers: of a local run; 0 for what the machine allows.
    """

    films: Path
    out: Path
    actor_db: Path
    site: Site
    shards: int | None = None
    detector: str = ""
    embedder: str = ""
    device: str = ""
    args: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fresh: bool = False
    overwrite: bool = False
    workers: int = 0

    def extract_argv(self, film: Path, n: int) -> list[str]:
        """Everything but `--shard`."""
        argv = PIPELINE["extract"].command("--n", str(n), "--out", str(self.out.absolute()))
        argv += ["--actor-db", str(self.actor_db.absolute())]
        device = self.device or ("cuda" if self.site.stages["extract"].gpus else "")
        given = {"--detector": self.detector, "--embedder": self.embedder, "--device": device}
        for flag, value in given.items():
            argv += [flag, value] if value else []
        return [*argv, *self.args.get("extract", ()), str(film)]

    def stage_argv(self, stage: str, folder: Path) -> list[str]:
        """The command line of a stage that is not sharded."""
        argv = PIPELINE[stage].command("--path", str(folder))
        argv += ["--actor-db", str(self.actor_db.absolute())] if PIPELINE[stage].uses_actor_db else []
        argv += ["--overwrite"] if self.overwrite else []
        return [*argv, *self.args.get(stage, ())]
