"""Measure how much of a GPU the detector uses and how much of its speed `extract.py` keeps.

    python bench/gpu.py [--precision float16] [--sizes 640x360 1280x720 1920x1080] [--frames 512]

RetinaFace and FaceNet have random weights, which cost the same, so artificial faces are embedded. The films
show the pictures of the demo at each size, in H.264. Runs are interleaved, figures are medians. Prints JSON
with `matrix_tflops`, the rate of square matrix products in that precision, and for each size:

detector_frames_per_s          detector alone, on frames in memory
detector_share_of_matrix_rate  operations of its network per second / matrix rate
extract_frames_per_s           the whole of extraction
extract_share_of_detector      its speed / that of the detector alone
seconds                        each stage alone and the whole
predict_jsons_ratio            time of the library's `predict_jsons` in float32 / time of the detector

`--device cpu` runs it without a GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.libraries import THRESHOLD, predict_jsons
from bench.measure import interleaved, random_weights
from bench.pipeline import STAGES, stages
from facerec.settings import ExtractSettings

SMALLEST = 16  # pixels; with this least face size frames are not resized


def arguments() -> argparse.ArgumentParser:
    """Build the argument parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--device", default="cuda")
    made.add_argument("--precision", default="float16")
    made.add_argument("--sizes", nargs="+", default=["640x360", "1280x720", "1920x1080"], metavar="WxH")
    made.add_argument("--frames", type=int, default=512, help="frames per film; all are kept in memory")
    made.add_argument("--faces", type=int, default=3, help="artificial faces per frame")
    made.add_argument("--library-frames", type=int, default=16, help="frames for predict_jsons")
    made.add_argument("--side", type=int, default=8192, help="rows of the matrices")
    made.add_argument("--rounds", type=int, default=3, help="interleaved runs")
    return made


def matrix_rate(device: str, precision: str, side: int, rounds: int) -> float:
    """Measure the floating-point operations per second of `side` x `side` matrix products (best run)."""
    import torch

    one, other = (torch.randn(side, side, device=device).to(getattr(torch, precision)) for _ in range(2))
    best = 0.0
    for _ in range(10 * rounds):
        _finish(device)
        begun = time.perf_counter()
        one @ other
        _finish(device)
        best = max(best, 2 * side**3 / (time.perf_counter() - begun))
    return best


def operations(network: Any, width: int, height: int) -> int:
    """Count the floating-point operations of a network on one frame."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.to("meta")(torch.empty(1, 3, height, width, device="meta"))
    return int(counter.get_total_flops())


def make_film(path: Path, width: int, height: int, frames: int) -> Path:
    """Write a film that repeats the demo at this size (pixels)."""
    import av
    import cv2

    from facerec.demo.film import demo_shots, write_film

    demo = path.with_name("0-demo.mp4")
    write_film(demo, demo_shots())
    made = 0
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        while made < frames:
            with av.open(str(demo)) as source:
                for frame in source.decode(video=0):
                    if made == frames:
                        break
                    image = cv2.resize(frame.to_ndarray(format="rgb24"), (width, height))
                    target.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                    made += 1
        target.mux(stream.encode(None))
    return path


def one_size(
    args: argparse.Namespace, width: int, height: int, rate: float, weights: Sequence[Path], work: Path
) -> dict[str, Any]:
    """Measure one frame size; `weights` are the files of RetinaFace and FaceNet."""
    from facerec.models.retinaface_network import blank_network
    from facerec.video.film import open_film, read_frames

    film = make_film(work / "1-made.mp4", width, height, args.frames)
    settings = ExtractSettings(
        f"retinaface:{weights[0]}",
        f"facenet:{weights[1]}",
        min_face_size=SMALLEST,
        face_threshold=THRESHOLD,
        precision=args.precision,
    )
    works = stages(settings, film, work / "runs", args)
    frames = works.pop("frames")
    some = [image for _, image in read_frames(open_film(film), 0, min(args.library_frames, frames))]
    works["predict_jsons"] = predict_jsons(weights[0], some, args.device)
    found = interleaved(works, args.rounds)
    detector = frames / found["detect"].wall_s
    whole = frames / found["whole"].wall_s
    return {
        "frames": frames,
        "detector_frames_per_s": round(detector, 1),
        "detector_share_of_matrix_rate": round(
            detector * operations(blank_network(), width, height) / rate, 3
        ),
        "extract_frames_per_s": round(whole, 1),
        "extract_share_of_detector": round(whole / detector, 3),
        "seconds": {stage: round(found[stage].wall_s, 3) for stage in (*STAGES, "whole")},
        "predict_jsons_ratio": round(found["predict_jsons"].wall_s / len(some) * detector, 2),
    }


def _finish(device: str) -> None:
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def main(argv: list[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    rate = matrix_rate(args.device, args.precision, args.side, args.rounds)
    table: dict[str, Any] = {
        "device": args.device,
        "precision": args.precision,
        "matrix_tflops": round(rate / 1e12, 3),
    }
    with tempfile.TemporaryDirectory() as made:
        weights = [random_weights(name, Path(made)) for name in ("retinaface", "facenet")]
        for size in args.sizes:
            width, height = map(int, size.split("x"))
            with tempfile.TemporaryDirectory() as work:
                table[size] = one_size(args, width, height, rate, weights, Path(work))
    sys.stdout.write(json.dumps(table, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
