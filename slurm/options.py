"""The options of a run, and the stage commands that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from facerec.stages import PIPELINE
from slurm.site import Site

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_SHARDS = 256  # at most, and for a film of unknown length
# Frames of a shard by default: about two minutes of work, so that little is lost when a task is stopped. On a
# GPU also several times what it takes to load the models.
SHARD_FRAMES = {"cpu": 1_000, "gpu": 20_000}


@dataclass(frozen=True)
class RunOptions:
    """Options of the user, the same for every movie of a run.

    Attributes:
        films: folder of the films.
        out: folder of the results and logs.
        shards: number of shards; None for the number in the movie's plan, or without a plan for
            `default_shards`.
        detector, embedder, models, device: empty for the default of the stage.
        features: names of features, or NAME:FILE; for the stage features.
        args: further arguments of the stages' programs, by short stage name.
        fresh: delete the movie's shards and start again.
        overwrite: replace published results; the stages keep the previous version.
    """

    films: Path
    out: Path
    actor_db: Path
    site: Site
    shards: int | None = None
    detector: str = ""
    embedder: str = ""
    models: str = ""
    device: str = ""
    features: tuple[str, ...] = ()
    args: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fresh: bool = False
    overwrite: bool = False

    def default_shards(self, frames: int | None) -> int:
        """Return the number of shards of a film with about `frames` frames; None if unknown."""
        if frames is None:
            return DEFAULT_SHARDS
        resources = self.site.stages["extract"]
        on_gpu = self.device != "cpu" and resources.has_gpu
        shards = -(-frames // SHARD_FRAMES["gpu" if on_gpu else "cpu"])
        return max(1, min(max(shards, min(resources.tasks, frames)), DEFAULT_SHARDS))

    def chosen(self, stage: str) -> list[str]:
        """Return what the user has chosen of a stage and can change its results."""
        models = [self.detector, self.embedder, self.models] if stage == "extract" else []
        return [*models, *self.args.get(stage, ())]

    def extract_command(self, film: Path, n: int) -> list[str]:
        """Return the command that extracts shards of `film`, without its `--shard`."""
        command = PIPELINE["extract"].command("--n", str(n), "--out", str(self.out.absolute()))
        command += ["--actor-db", str(self.actor_db.absolute())]
        device = self.device or ("cuda" if self.site.stages["extract"].has_gpu else "")
        flags = {"--detector": self.detector, "--embedder": self.embedder, "--models": self.models}
        flags["--device"] = device
        for flag, value in flags.items():
            command += [flag, value] if value else []
        return [*command, *self.args.get("extract", ()), str(film)]

    def stage_command(self, stage: str, *folders: Path) -> list[str]:
        """Return the command of a stage that is not sharded."""
        command = PIPELINE[stage].command("--path", *map(str, folders))
        command += ["--actor-db", str(self.actor_db.absolute())] if PIPELINE[stage].uses_actor_db else []
        command += ["--overwrite"] if self.overwrite and not PIPELINE[stage].optional else []
        return [*command, *self.args.get(stage, ())]
