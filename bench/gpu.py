"""Measure what the defaults, RetinaFace and FaceNet, make of a GPU, and give a verdict.

    python bench/gpu.py [FILM] > gpu.json
    python bench/gpu.py --device cpu          small sizes, to see that it runs

FILM is encoded in H.264 at each size, from its middle; without one, a camera moves over photographs. For
extract.py the film is repeated, so that a run lasts --whole-seconds; otherwise most of it would be the first
batches, for which the GPU waits. Needs no network, and less than 8 minutes on an H100: what does not fit into
the time (--budget) is listed as left out. Without --detector and --embedder the weights are random, which
cost the same but say little about agreement, so artificial faces are embedded. Prints JSON:

matrix_tflops      rate of square matrix products by precision, the yardstick
sizes              for each size, by batch size: the detector alone, on frames in its buffers, and its share
                   of the matrix rate; by number of decoders: decoding alone, and the whole of extract.py with
                   its share of the detector alone and the utilisation of the GPU (NVML); the ratio to
                   retinaface-pytorch's predict_jsons, in float32; the detector with 10, 100 and 1,000 made-up
                   boxes in each frame, which must be suppressed
embedder           crops a second by batch size
precisions         for each precision: speed, and the agreement of boxes and vectors with float32
verdict            each goal, its value, and whether it is reached
left_out           what was not measured, and why

Where PyAV, facenet-pytorch or retinaface-pytorch are missing, docs/gpu.md says how to install them.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measure import positive
from facerec.errors import InputError
from facerec.support.cli import run_main

PRECISIONS = ("float32", "tf32", "float16", "bfloat16")
MODEL_PRECISIONS = ("float32", "float16", "bfloat16")  # those of extract.py
GOALS = {  # by the keys of `verdict`
    "detector / matrix rate": 0.35,
    "extract.py / detector alone": 0.85,
    "detector / predict_jsons": 20.0,
}
JUDGED = "1920x1080"  # the size by which goals are judged, if it was measured
CPU = {  # other defaults of --device cpu
    "sizes": ["160x90", "320x180"],
    "batch_sizes": [2],
    "decoders": [1, 2],
    "precisions": ["float32", "bfloat16"],
    "precision": "float32",
    "frames": 24,
    "library_frames": 2,
    "side": 512,
    "seconds": 0.2,
    "whole_seconds": 0.0,
}
GPU = {
    "sizes": ["640x360", "1280x720", "1920x1080", "3840x2160"],
    "batch_sizes": [4, 8, 16, 32, 64],
    "decoders": [1, 2, 4, 8],
    "precisions": ["float32", "tf32", "float16", "bfloat16"],
    "precision": "float16",
    "frames": 480,
    "library_frames": 6,
    "side": 8192,
    "seconds": 0.8,
    "whole_seconds": 6.0,
}


def size(text: str) -> str:
    """Check a width and height; for `argparse`."""
    sides = [int(side) for side in text.split("x") if side.isdecimal()]
    if len(sides) != 2 or text != "{}x{}".format(*sides) or min(sides) < 16 or any(s % 2 for s in sides):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a width and a height in even numbers from 16, as in 640x360"
        )
    return text


def device_name(text: str) -> str:
    """Check a device; for `argparse`. `auto` is refused, as it would not say which figures these are."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of cpu, cuda, cuda:0, cuda:1, …")
    return text


def arguments() -> argparse.ArgumentParser:
    """Build the argument parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("film", type=Path, nargs="?", help="a real film")
    made.add_argument("--device", type=device_name, default="cuda", help="cuda, cuda:i or cpu")
    made.add_argument("--detector", default="", help="retinaface or retinaface:FILE; default: random weights")
    made.add_argument("--embedder", default="", help="facenet or facenet:FILE; default: random weights")
    made.add_argument("--sizes", nargs="+", type=size, metavar="WxH")
    made.add_argument("--batch-sizes", nargs="+", type=positive, metavar="N", help="frames or crops at once")
    made.add_argument(
        "--decoders", nargs="+", type=positive, metavar="N", help="threads of decoding and converting"
    )
    made.add_argument("--precisions", nargs="+", choices=PRECISIONS, help="of the comparison")
    made.add_argument("--precision", choices=MODEL_PRECISIONS, help="of all other figures")
    made.add_argument("--frames", type=positive, help="frames of a film, at most")
    made.add_argument("--library-frames", type=positive, help="frames for predict_jsons")
    made.add_argument("--faces", type=int, default=3, help="artificial faces per frame")
    made.add_argument("--side", type=positive, help="rows of the matrices")
    made.add_argument("--seconds", type=float, help="duration of a measurement")
    made.add_argument(
        "--whole-seconds", type=float, metavar="SECONDS", help="duration of a run of extract.py, about"
    )
    made.add_argument("--budget", type=float, default=450, metavar="SECONDS", help="for everything")
    made.add_argument("--cuda-graphs", action="store_true", help="as of extract.py")
    return made


def verdict(table: dict[str, Any], device: str) -> dict[str, Any]:
    """Compare the figures of the judged size with the goals."""
    sizes = table["sizes"]
    judged = JUDGED if sizes.get(JUDGED) else next((name for name in reversed(sizes) if sizes[name]), "")
    found = sizes.get(judged, {})
    values = {
        "detector / matrix rate": [
            one["share_of_matrix_rate"] for one in found.get("batch_size", {}).values()
        ],
        "extract.py / detector alone": [
            one["share_of_detector"]
            for one in found.get("decoders", {}).values()
            if "share_of_detector" in one
        ],
        "detector / predict_jsons": [found["predict_jsons_ratio"]] if "predict_jsons_ratio" in found else [],
    }
    lines: dict[str, Any] = {"size": judged}
    for goal, least in GOALS.items():
        value = max(values[goal], default=None)
        lines[goal] = {"value": value, "goal": least, "reached": None if value is None else value >= least}
    if device == "cpu":
        lines["note"] = (
            "on a CPU this shows only that the measurement runs to its end: it says nothing of a GPU"
        )
    return lines


def check_models(args: argparse.Namespace) -> None:
    """Check the device, and the models of which the weights are given.

    Raises:
        InputError: it is not the model that is measured.
        ModelError: the device or the weights are not there.
    """
    from facerec.models import card_of, check_device

    check_device(args.device, "retinaface", "facenet")
    for spec, kind in ((args.detector, "retinaface"), (args.embedder, "facenet")):
        if spec and spec.partition(":")[0] != kind:
            raise InputError(f"{spec}: {kind} or {kind}:FILE is measured, no other model")
        if spec:
            card_of(spec)


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    defaults = CPU if args.device == "cpu" else GPU
    for name, value in defaults.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    import torch

    from bench.gpu_parts import matrix_rate
    from bench.gpu_tables import Run, embedder, one_size, precisions
    from bench.measure import random_weights
    from facerec.video.film import open_film

    check_models(args)
    if args.film:
        open_film(args.film)
    with tempfile.TemporaryDirectory() as made:
        run = Run(args, Path(made))
        given = (args.detector, "retinaface"), (args.embedder, "facenet")
        run.specs = tuple(  # type: ignore[assignment]
            spec or f"{kind}:{random_weights(kind, run.work)}" for spec, kind in given
        )
        for precision in dict.fromkeys([args.precision, *args.precisions]):
            found = run.part(
                f"matrix products in {precision}",
                partial(matrix_rate, args.device, precision, args.side, args.seconds),
            )
            run.rates |= {precision: found} if found else {}
        name = torch.cuda.get_device_name(args.device) if args.device != "cpu" else "CPU"
        table: dict[str, Any] = {
            "device": name,
            "torch": torch.__version__,
            "film": args.film.name if args.film else "photographs",
            "weights": {"detector": args.detector or "random", "embedder": args.embedder or "random"},
            "precision": args.precision,
            "matrix_tflops": {key: round(value / 1e12, 3) for key, value in run.rates.items()},
        }
        table["precisions"] = precisions(run)
        table["embedder_crops_per_s"] = embedder(run)
        # the judged size first, in case that the time does not suffice for all
        order = sorted(args.sizes, key=lambda size: size != JUDGED)
        table["sizes"] = {size: one_size(run, *map(int, size.split("x"))) for size in order}
        table["verdict"] = verdict(table, args.device)
        table["left_out"] = run.left_out
        table["seconds"] = round(time.monotonic() - run.begun, 1)
    sys.stdout.write(json.dumps(table, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
