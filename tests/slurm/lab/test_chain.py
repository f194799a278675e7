"""All real stages on a real film: the same bytes on the cluster, in local processes, and in one shard."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from facerec import prepare_actors
from slurm.options import ROOT
from tests.cast import make_database
from tests.slurm.lab.conftest import Lab

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]
MOVIE, FILM = 10001, "10001-HamiltonAtTheWhiteHouse.mp4"
RESULTS = ("trajectories.jsonl", "scene_changes.json", "features.jsonl", "clusters.json", "predictions.json")


def make(target: str, **variables: object) -> str:
    """Run a target of make and return its output."""
    words = [
        f"{name}={value}" for name, value in {"PYTHON": sys.executable, "MOVIE": MOVIE, **variables}.items()
    ]
    done = subprocess.run(
        ["make", "-s", target, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.stdout.write(f"--- make {target} {' '.join(str(word) for word in words[2:])}\n{done.stdout}")
    return done.stdout


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that the labeling backend reads."""
    files = [folder / name for name in RESULTS] + sorted((folder / "images").iterdir())
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in files}


def test_16_shards_on_4_nodes_give_the_bytes_of_a_local_run_and_of_one_shard(
    idle_lab: Lab, shared: Path, tmp_path: Path
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    (films / FILM).symlink_to(shared / "data" / "clips" / FILM)
    weights = shared / "data" / "weights"
    detector = f"yunet:{weights / 'face_detection_yunet_2026may.onnx'}"
    embedder = f"arcface:{weights / 'MobileFaceNet.onnx'}"
    database = make_database(tmp_path / "actor_db", shared / "data" / "people", MOVIE).folder
    assert (
        prepare_actors.main(["--actor-db", str(database), "--detector", detector, "--embedder", embedder])
        == 0
    )
    common = {"FILMS": films, "ACTOR_DB": database, "DETECTOR": detector, "EMBEDDER": embedder}
    common |= {"SET": "memory=2G cpus=4"}

    cluster = {**common, "OUT": tmp_path / "cluster"}
    make("movie", **cluster, SHARDS=16, TASKS=8)
    make("status", **cluster, WATCH=1)
    status = json.loads(make("status", **cluster, JSON=1))
    assert status["counts"]["done"] == 16 and not status["failed"]
    assert {stage: task["state"] for stage, task in status["stages"].items()} == {
        "merge": "done", "cluster": "done", "classify": "done", "report": "done",
    }  # fmt: skip
    nodes = {
        json.loads(path.read_bytes())["host"]
        for path in (tmp_path / "cluster" / "logs" / str(MOVIE) / "tasks").glob("*-extract-*.json")
    }
    assert nodes == {"n1", "n2", "n3", "n4"}

    make("movie", **common, OUT=tmp_path / "local", SHARDS=16, LOCAL=1, WORKERS=2)
    make("movie", **common, OUT=tmp_path / "one", SHARDS=1, LOCAL=1)
    made = [contents(tmp_path / out / f"{MOVIE}-data") for out in ("cluster", "local", "one")]
    assert len(made[0]) > len(RESULTS) + 25  # about two pictures of each of sixteen trajectories
    assert made[0] == made[1] == made[2]
    assert "finished already: nothing to do" in make("extract", **cluster)
