"""The tables of `bench/gpu.py`: sizes of frames, embedder and precisions, within the time that is given."""

from __future__ import annotations

import argparse
import logging
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from facerec.errors import ModelError

log = logging.getLogger("gpu")
BOXES = (10, 100, 1000)  # made-up boxes in a frame


@dataclass
class Run:
    """One run of the benchmark: options, the time that is left, and the results."""

    args: argparse.Namespace
    work: Path
    begun: float = field(default_factory=time.monotonic)
    specs: tuple[str, str] = ("", "")
    rates: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def part(self, name: str, measure: Callable[[], Any]) -> Any:
        """Measure a part unless the time is up; None if it was left out or failed."""
        if time.monotonic() - self.begun > self.args.budget:
            self.left_out.append(f"{name}: no time left of {self.args.budget:.0f} s")
            return None
        log.info("%6.1f s  %s", time.monotonic() - self.begun, name)
        try:
            return measure()
        except (ImportError, RuntimeError, ModelError) as error:  # a missing package; too little memory
            self.left_out.append(f"{name}: {str(error).splitlines()[0]}")
            return None

    def load(self, precision: str, batch_size: int, min_face_size: float) -> Any:
        """Load the detector."""
        from bench.gpu_parts import torch_precision
        from facerec.models import load_detector

        return load_detector(
            self.specs[0],
            device=self.args.device,
            precision=torch_precision(precision),
            batch_size=batch_size,
            min_face_size=min_face_size,
            cuda_graphs=self.args.cuda_graphs,
        )


def one_size(run: Run, width: int, height: int) -> dict[str, Any]:
    """Measure one size of frames."""
    from bench.gpu_film import write_at_size
    from bench.gpu_parts import MadeUpBoxes, detector_rate, multiplying, network_operations
    from facerec.models.retinaface_network import ANCHORS
    from facerec.settings import face_size
    from facerec.video.film import open_film, read_frames

    args, name = run.args, f"{width}x{height}"
    path = run.work / f"1-{name}.mp4"
    count = run.part(f"{name}: film", lambda: write_at_size(args.film, path, width, height, args.frames))
    if count is None:
        return {}
    film, smallest = open_film(path), face_size("auto", (width, height))
    frames = [image for _, image in read_frames(film, 0, min(count, max(args.batch_sizes)))]
    scale = min(1.0, ANCHORS[0][0] / smallest)
    network_input = (max(1, round(width * scale)), max(1, round(height * scale)))
    operations = network_operations(*network_input)
    table: dict[str, Any] = {
        "frames": count,
        "network_input": "{}x{}".format(*network_input),
        "gflop_per_frame": round(operations / 1e9, 1),
        "batch_size": {},
        "decoders": {},
        "made_up_boxes": {},
    }

    def alone(size: int, boxes: int = 0) -> float:
        detector = run.load(args.precision, size, smallest)
        if boxes:
            detector._network = MadeUpBoxes(detector._network, boxes)
        with multiplying(args.precision):
            return detector_rate(detector, frames, args.device, args.seconds)

    for size in args.batch_sizes:
        found = run.part(f"{name}: detector, batches of {size}", partial(alone, size))
        if found:
            share = found * operations / run.rates[args.precision]
            table["batch_size"][size] = {
                "detector_frames_per_s": round(found, 1), "share_of_matrix_rate": round(share, 3)
            }  # fmt: skip
    best = max(table["batch_size"].items(), key=lambda item: item[1]["detector_frames_per_s"], default=None)
    if best is None:
        return table
    size, detector = best[0], best[1]["detector_frames_per_s"]
    for boxes in BOXES:
        found = run.part(f"{name}: {boxes} made-up boxes", partial(alone, size, boxes))
        if found:
            table["made_up_boxes"][boxes] = round(found, 1)
    for decoders in args.decoders:
        table["decoders"][decoders] = extraction(run, path, decoders, size, detector)
    frame = frames[0 : args.library_frames]
    theirs = run.part(f"{name}: predict_jsons", lambda: library_rate(run, frame, max(network_input)))
    if theirs:
        table["predict_jsons_frames_per_s"] = round(theirs, 2)
        table["predict_jsons_ratio"] = round(detector / theirs, 2)
    return table


def copies_for(seconds: float, frames_per_s: float, frames: int) -> int:
    """Return how often a film is to be repeated, to last so long at a rate."""
    return max(1, math.ceil(seconds * frames_per_s / frames))


def extraction(run: Run, path: Path, decoders: int, size: int, detector: float) -> dict[str, Any]:
    """Measure decoding and the whole of extract.py with a number of decoders."""
    from bench.gpu_parts import torch_precision, whole
    from bench.pipeline import repeated
    from facerec.video.film import open_film, read_decoded

    args, name, film = run.args, path.stem.partition("-")[2], open_film(path)

    def decode() -> float:
        begun = time.perf_counter()
        count = sum(1 for _ in read_decoded(film, 0, film.frame_count, decoders))
        return count / (time.perf_counter() - begun)

    options = ["--detector", run.specs[0], "--embedder", run.specs[1], "--device", args.device]
    options += ["--precision", torch_precision(args.precision), "--batch-size", str(size)]
    options += ["--cuda-graphs"] if args.cuda_graphs else []
    decoded = run.part(f"{name}: decoding with {decoders} decoders", decode)

    def extract() -> tuple[float, float | None, dict[str, float]]:
        copies = copies_for(args.whole_seconds, min(detector, decoded or detector), film.frame_count)
        with tempfile.TemporaryDirectory(dir=run.work) as folder:
            source = path if copies == 1 else repeated(path, copies, Path(folder))
            out = Path(folder) / "data"
            return whole(source, out, options, decoders=decoders, faces=args.faces, device=args.device)

    found = run.part(f"{name}: extract.py with {decoders} decoders", extract)
    table: dict[str, Any] = {"decoding_frames_per_s": decoded and round(decoded, 1)}
    if found:
        speed, used, seconds = found
        table |= {
            "extract_frames_per_s": round(speed, 1),
            "share_of_detector": round(speed / detector, 3),
            "gpu_percent": used,
            "busy_s": seconds,
        }
    return table


def library_rate(run: Run, frames: Any, max_size: int) -> float:
    """Return the frames a second of retinaface-pytorch's `predict_jsons` in float32, on the same input."""
    import torch

    from bench.gpu_parts import rate

    from retinaface.predict_single import Model  # isort: skip

    library = Model(max_size=max_size, device=run.args.device)
    _, _, file = run.specs[0].partition(":")
    library.load_state_dict(torch.load(file, weights_only=True))
    library.eval()

    def loop() -> int:
        for frame in frames:
            library.predict_jsons(frame, confidence_threshold=0.7)
        return len(frames)

    return rate(loop, run.args.device, run.args.seconds)


def embedder(run: Run) -> dict[int, float]:
    """Measure the embedder alone; crops a second by batch size."""
    import numpy as np

    from bench.gpu_parts import rate
    from facerec.models import load_embedder

    found = {}
    for size in run.args.batch_sizes:
        rng = np.random.default_rng(0)
        crops = list(rng.integers(0, 256, (4 * size, 160, 160, 3), np.uint8))

        def measure(size: int = size, crops: Any = crops) -> float:
            loaded = load_embedder(
                run.specs[1], device=run.args.device, precision=run.args.precision, batch_size=size
            )
            return rate(lambda: len(loaded.embed(crops)), run.args.device, run.args.seconds)

        speed = run.part(f"embedder, batches of {size}", measure)
        if speed:
            found[size] = round(speed, 1)
    return found


def precisions(run: Run) -> dict[str, Any]:
    """Measure the speed of each precision and its agreement with float32."""
    from bench.gpu_film import write_at_size
    from bench.gpu_parts import detector_rate, multiplying, torch_precision
    from facerec.models.agreement import measure_agreement
    from facerec.video.film import open_film, read_frames

    args = run.args
    width, height = (640, 360) if args.device != "cpu" else (160, 90)
    path = run.work / "1-precisions.mp4"
    write_at_size(args.film, path, width, height, 24 if args.device != "cpu" else 4)
    frames = [image for _, image in read_frames(open_film(path), 0, 24)]
    found: dict[str, Any] = {}
    for precision in args.precisions:

        def measure(precision: str = precision) -> dict[str, Any]:
            detector = run.load(precision, min(16, len(frames)), 16)
            with multiplying(precision):
                speed = detector_rate(detector, frames, args.device, args.seconds)
            compared = measure_agreement(
                frames, *run.specs, device=args.device, precision=torch_precision(precision),
                min_face_size=16, face_threshold=None if args.detector else 0.5,
                reduced=lambda: multiplying(precision), max_crops=1000 if args.device != "cpu" else 8,
            )  # fmt: skip
            return {
                "detector_frames_per_s": round(speed, 1),
                **{one.kind: {"value": round(one.value, 5), "compared": one.compared} for one in compared},
            }

        found[precision] = run.part(f"{precision} at {width}x{height}", measure)
    return found
