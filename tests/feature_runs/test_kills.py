"""A run of a list or of tar shards may be killed before any step and in the middle of any write."""

from __future__ import annotations

import json
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest

from tests import kills
from tests.feature_runs.test_list_source import files


def _tone(path: Path, samples: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(samples) / 5) * 9000).astype("<i2").tobytes())


def _material(folder: Path) -> dict[str, str]:
    """Write a table with an item that fails and a tar shard; return the inputs by name."""
    _tone(folder / "a.wav", 800)
    _tone(folder / "b.wav", 1000)
    rows = f"{folder}/a.wav,a.npy\n{folder}/none.wav,none.npy\n{folder}/b.wav,sub/b.npy\n"
    (folder / "list.csv").write_text(f"video_path,feature_path\n{rows}")
    with tarfile.open(folder / "shard-0.tar", "w") as archive:
        for name in ("a.wav", "b.wav"):
            archive.add(folder / name, name)
    clips = [{"filename": name, "id": name[0], "segment": [0, 1]} for name in ("a.wav", "b.wav")]
    (folder / "shard-0.json").write_text(json.dumps(clips))
    return {"list": str(folder / "list.csv"), "tar": str(folder / "shard-0.tar")}


def _commands(source: str, out: Path) -> list[tuple[str, list[str]]]:
    return [("extract_features", ["--features", "audio_stft", "--out", str(out), source])]


@pytest.mark.parametrize(
    ("kind", "every"),
    [
        ("list", 9),
        ("tar", 9),
        pytest.param("list", 1, marks=pytest.mark.slow),
        pytest.param("tar", 1, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path, kind: str, every: int) -> None:
    source = _material(tmp_path)[kind]
    log, steps_file = tmp_path / "log", tmp_path / "steps"
    status = 1 if kind == "list" else 0
    assert kills.run(_commands(source, tmp_path / "whole"), log, steps_file=steps_file) == status
    whole, steps = files(tmp_path / "whole"), int(steps_file.read_text())
    assert len(whole) >= 4 and steps > 20
    for step in range(1, steps + 1, every):
        out = tmp_path / f"out_{step}"
        assert kills.run(_commands(source, out), log, kill_at=step) == -9, f"step {step} was not reached"
        assert kills.run(_commands(source, out), log) == status, f"killed at step {step}"
        assert files(out) == whole, f"killed at step {step}"
        left = [path.name for path in out.rglob("*") if path.name.endswith((".part", ".claim"))]
        assert not left, f"killed at step {step}"
