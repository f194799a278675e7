"""A shard through the path of a GPU, on a CPU: the files of the CPU's own path, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from facerec import extract, models
from facerec.folder.layout import MovieFolder
from facerec.folder.miniature_archive import MiniatureArchives
from facerec.folder.plan import read_plan
from facerec.geometry import MINIATURE_BYTES
from facerec.models.batch_queue import DEPTH, BatchQueue
from facerec.models.memory import BatchSize
from facerec.models.retinaface_network import blank_network
from tests.films import make_film
from tests.models.fake_gpu import FakeGpu
from tests.models.networks import random_state
from tests.toy import ToyEmbedder


@pytest.mark.slow
def test_a_shard_has_the_same_bytes_through_buffers_planes_and_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_film(tmp_path / "7-Film.mp4", 7, width=64, height=48)
    weights = tmp_path / "random.pth"
    torch.save(random_state(blank_network()), weights)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(models, "load_embedder", lambda spec, **settings: ToyEmbedder())
    load = models.load_detector
    queues: list[BatchQueue[Any, Any]] = []

    def on_fake_gpu(*args: Any, **settings: Any) -> Any:
        detector: Any = load(*args, **settings)
        detector._queue = BatchQueue(FakeGpu(torch.device("cpu")), detector._compute_on_gpu, detector._finish)
        detector._network_batch, detector.in_flight = BatchSize(2), DEPTH - 1
        queues.append(detector._queue)
        return detector

    def files(out: Path, n: int) -> dict[str, bytes]:
        words = ["--n", str(n), "--shard", f"0-{n - 1}", "--batch-size", "2", "--face-threshold", "0.5"]
        words += ["--min-face-size", "16", "--detector", f"retinaface:{weights}", "--embedder", "dlib"]
        assert extract.main([*words, "--device", "cpu", "--out", str(out), str(film)]) == 0
        folder = MovieFolder.of_film(out, film)
        kinds = {path.parent.name: path for path in folder.path.glob("*/*") if "done" not in path.name}
        found = {
            kind: b"".join(path.read_bytes() for path in sorted(parent.parent.glob("*")))
            for kind, parent in kinds.items()
            if parent.suffix == ".jsonl"
        }
        plan = read_plan(folder)
        assert plan is not None
        spans = [plan.range_of(shard) for shard in range(n)]
        archives = MiniatureArchives([(folder.shard(*span).miniatures, span[1] - span[0]) for span in spans])
        found["miniatures"] = archives[0:7].tobytes()
        archives.close()
        return found

    expected = files(tmp_path / "cpu", 1)
    assert expected["evidence"].count(b'"frame"') == 7
    monkeypatch.setattr(models, "load_detector", on_fake_gpu)
    assert files(tmp_path / "gpu", 1) == expected
    (shape, form), slots = next(iter(queues[0]._slots.items()))
    assert form.yuv is not None and shape == (2, 64 * 48 * 3 // 2) and len(slots) == DEPTH
    assert form.reduction is not None and len(expected["miniatures"]) == 7 * MINIATURE_BYTES
    seven = files(tmp_path / "seven", 7)
    assert all(seven[kind] == expected[kind] for kind in ("evidence", "miniatures"))
