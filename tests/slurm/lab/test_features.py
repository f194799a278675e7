"""Features of a film of 24,000 frames: the same on the cluster, in local processes, and in one shard."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from facerec.folder.documents import scene_changes_bytes
from tests.features.random_weights import random_state
from tests.slurm.lab.conftest import Lab
from tests.slurm.lab.test_chain import FILM, MOVIE, make

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]
TIMES, SHOT, SHARDS = 88, 1501, 16  # repetitions of the clip of 275 frames; frames of a shot


def folder_with_cuts(out: Path) -> dict[str, object]:
    """Make a movie folder that has only cuts; return the variable of make that names it."""
    folder = out / f"{MOVIE}-data"
    folder.mkdir(parents=True)
    (folder / "scene_changes.json").write_bytes(scene_changes_bytes(MOVIE, range(SHOT, 24_000, SHOT)))
    return {"OUT": out}


def arrays(out: Path) -> dict[str, np.ndarray]:
    """Return all arrays of features by file and name."""
    folder = out / f"{MOVIE}-data" / "shot_features"
    found = {}
    for path in sorted(folder.glob("*/*.np[yz]")):
        loaded = np.load(path)
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".npy":
            found[name] = loaded
        else:
            found |= {f"{name}:{key}": loaded[key] for key in loaded.files if not key.startswith("pictures/")}
    return found


def test_16_shards_on_4_nodes_give_the_features_of_a_local_run_and_of_one_shard(
    idle_lab: Lab, shared: Path, tmp_path: Path
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    clip = shared / "data" / "clips" / FILM
    loop = ["ffmpeg", "-v", "error", "-stream_loop", str(TIMES - 1), "-i", str(clip), "-c", "copy"]
    subprocess.run([*loop, str(films / FILM)], check=True)
    place = tmp_path / "place.pth"
    torch.save(random_state(torchvision.models.resnet50(num_classes=365)), place)
    weights = shared / "data" / "weights"
    person = f"person:{weights / 'yolox_nano.onnx'}+{weights / 'osnet_x0_25_msmt17.onnx'}"
    common = {"FILMS": films, "FEATURES": f"place:{place} {person} audio_stft"}
    common |= {"FEATURES_ARGS": "--step 150", "SET": "memory=2G cpus=2 settle=20"}

    cluster = {**common, **folder_with_cuts(tmp_path / "cluster")}
    assert f"{SHARDS} of {SHARDS} shards to do" in make("features", **cluster, SHARDS=SHARDS)
    make("status", **cluster, WATCH=1)
    status = json.loads(make("status", **cluster, JSON=1))
    assert status["counts"]["done"] == SHARDS and not status["failed"]
    logs = next((tmp_path / "cluster" / "logs").glob(f"{MOVIE}-*"))
    nodes = {json.loads(path.read_bytes())["host"] for path in (logs / "tasks").glob("*.json")}
    assert nodes == {"n1", "n2", "n3", "n4"}
    assert f"0 of {SHARDS} shards to do ({SHARDS} done)" in make("features", **cluster)

    local = {**common, **folder_with_cuts(tmp_path / "local")}
    make("features", **local, SHARDS=SHARDS, LOCAL=1, WORKERS=2, TASKS=2)
    one = {**common, **folder_with_cuts(tmp_path / "one")}
    make("features", **one, SHARDS=1, LOCAL=1)
    made = [arrays(tmp_path / out) for out in ("cluster", "local", "one")]
    assert made[0]["place/film.npy"].shape == (3, 2048) and len(made[0]["person/film.npz:boxes"]) > 100
    for other in made[1:]:
        assert other.keys() == made[0].keys() and len(other) > 16 * 3
        for name, values in other.items():
            scale = float(np.abs(values).max(initial=0)) if values.dtype.kind == "f" else 0.0
            np.testing.assert_allclose(values, made[0][name], rtol=1e-5, atol=1e-5 * scale, err_msg=name)
    indexes = {
        (tmp_path / out / f"{MOVIE}-data" / "shot_features" / "index.jsonl").read_bytes()
        for out in ("cluster", "local", "one")
    }
    assert len(indexes) == 1
