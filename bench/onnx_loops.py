#!/usr/bin/env python3
"""Compare extraction with the documented loops of insightface and uniface, on the same two ONNX files.

    pip install --no-deps insightface==2.1 uniface==4.2.1   # in an environment of its own, with facerec
    python bench/onnx_loops.py FILM --scrfd FILE --arcface FILE [--frames 90] [--rounds 5]

SCRFD at 640x640 and an ArcFace-style embedder, score from 0.5; all frames are detected. The loops:

insightface   OpenCV reads a frame, `FaceAnalysis.get` finds its faces and embeds each
uniface       OpenCV reads a frame, `SCRFD.detect` finds faces, `get_normalized_embedding` embeds each
facerec       the whole of extraction: decoding, change scores, detection, embedding, thumbnails, files

Each twice: with the faces of every frame embedded, as the loops are documented, and with those of every fifth
frame, which is facerec's default. A library that is not installed is left out. Both libraries keep the
threads of ONNX Runtime as it sets them. Embeddings differ in the preparation of pixels, which costs the same.

Runs alternate. Prints JSON: median seconds by the clock and of CPU, milliseconds of CPU for a frame, the
ratio library / facerec of the rounds (median, least, greatest) of CPU and by the clock, and the faces found.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np

from bench.libraries import extraction
from bench.measure import Cost, cost, median, positive
from facerec.models import card_of, load_detector
from facerec.settings import ExtractSettings
from facerec.support.cli import run_main
from facerec.support.limits import cpu_threads
from facerec.video.film import open_film

THRESHOLD = 0.5
INPUT = (640, 640)  # pixels, of the detector
EVERY = {"every frame": 1, "every fifth frame": ExtractSettings.save_every}
PROVIDERS = ["CPUExecutionProvider"]

Loop = Callable[[int, int], int]  # frames, embed every: returns the number of faces found


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    open_film(args.film)  # the libraries do not say what is wrong
    for spec in (f"scrfd:{args.scrfd}", f"arcface:{args.arcface}"):
        card_of(spec)
    with tempfile.TemporaryDirectory() as temporary:
        table = compare(args, Path(temporary))
    sys.stdout.write(json.dumps(table, indent=1) + "\n")
    return 0


def arguments() -> argparse.ArgumentParser:
    """Build the argument parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("film", type=Path, help="named <movie_id>-Title.ext")
    made.add_argument("--scrfd", type=Path, required=True, help="ONNX file of SCRFD with keypoints")
    made.add_argument("--arcface", type=Path, required=True, help="ONNX file of the embedder")
    made.add_argument("--frames", type=positive, default=90, help="frames a run, from the start of the film")
    made.add_argument("--rounds", type=positive, default=5, help="alternating runs")
    made.add_argument("--min-face-size", type=positive, default=ExtractSettings.min_face_size, help="pixels")
    return made


def compare(args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Measure extraction and the loops of the libraries that are installed."""
    loops = {name: LOOPS[name](args, work) for name in installed()}
    table: dict[str, Any] = {"film": args.film.name, "cores": cpu_threads()}
    for title, every in EVERY.items():
        models = f"scrfd:{args.scrfd}", f"arcface:{args.arcface}"
        frames, ours = extraction(args, *models, work, THRESHOLD, every)
        works = {name: partial(cost, partial(loop, frames, every)) for name, loop in loops.items()}
        rounds = [
            {name: run() for name, run in ({"facerec": ours} | works).items()} for _ in range(args.rounds)
        ]
        table["frames"] = frames
        table[f"embedded: {title}"] = {"costs": costs(rounds, frames), **ratios(rounds)}
    detector = load_detector(f"scrfd:{args.scrfd}", device="cpu", min_face_size=args.min_face_size,
                             face_threshold=THRESHOLD)  # fmt: skip
    pixels = [np.ascontiguousarray(frame[..., ::-1]) for _, frame in frames_of(args.film, table["frames"])]
    table["faces found"] = {"facerec": sum(map(len, detector.detect(pixels)))}
    table["faces found"] |= {name: loop(table["frames"], table["frames"]) for name, loop in loops.items()}
    return table


def installed() -> list[str]:
    """Return the names of the libraries that can be compared here."""
    return [name for name in LOOPS if find_spec(name)]


def costs(rounds: Sequence[dict[str, Cost]], frames: int) -> dict[str, dict[str, float]]:
    """Compute the median cost of each loop, and its milliseconds for a frame."""
    found = {}
    for name in rounds[0]:
        one = median([costs[name] for costs in rounds])
        found[name] = {**one.rounded(), "cpu_ms_a_frame": round(1000 * one.cpu_s / frames, 1)}
    return found


def ratios(rounds: Sequence[dict[str, Cost]]) -> dict[str, dict[str, list[float]]]:
    """Compute library / facerec of each round: median, least and greatest."""
    table: dict[str, dict[str, list[float]]] = {}
    for name in rounds[0].keys() - {"facerec"}:
        pairs = [(costs[name], costs["facerec"]) for costs in rounds]
        cpu = [theirs.cpu_s / ours.cpu_s for theirs, ours in pairs]
        wall = [theirs.wall_s / ours.wall_s for theirs, ours in pairs]
        table[f"{name} / facerec"] = {
            kind: [round(figure, 2) for figure in (statistics.median(values), min(values), max(values))]
            for kind, values in (("cpu", cpu), ("wall", wall))
        }
    return table


def frames_of(film: Path, count: int) -> Iterator[tuple[int, Any]]:
    """Yield numbered BGR frames, read by OpenCV, as both libraries take them."""
    capture = cv2.VideoCapture(str(film))
    for number in range(count):
        there, frame = capture.read()
        if not there:
            break
        yield number, frame
    capture.release()


def insightface_loop(args: argparse.Namespace, work: Path) -> Loop:
    """Return the loop of insightface; its models are the ONNX files of one folder."""
    pack = work / "pack"
    pack.mkdir()
    for file in (args.scrfd, args.arcface):
        (pack / file.name).symlink_to(file.resolve())
    app = import_module("insightface.app").FaceAnalysis(str(pack), providers=PROVIDERS)
    app.prepare(ctx_id=0, det_thresh=THRESHOLD, det_size=INPUT)

    def run(frames: int, every: int) -> int:
        found = 0
        for number, frame in frames_of(args.film, frames):
            seen = app.get(frame) if number % every == 0 else app.det_model.detect(frame, metric="default")[0]
            found += len(seen)
        return found

    return run


def uniface_loop(args: argparse.Namespace, _: Path) -> Loop:
    """Return the loop of uniface, which only takes the weights that it downloads, on the given files.

    Its SCRFD expects outputs without a batch dimension, which not all files have; here it is removed.
    """
    scrfd: Any = import_module("uniface.detection.scrfd")
    scrfd.verify_model_weights = lambda _: str(args.scrfd)
    detector = scrfd.SCRFD(confidence_threshold=THRESHOLD, input_size=INPUT, providers=PROVIDERS)
    infer = detector.inference
    detector.inference = lambda tensor: [output.reshape(-1, output.shape[-1]) for output in infer(tensor)]
    arcface: Any = import_module("uniface.recognition.arcface")
    arcface.verify_model_weights = lambda _: str(args.arcface)
    embedder = arcface.ArcFace(providers=PROVIDERS)

    def run(frames: int, every: int) -> int:
        found = 0
        for number, frame in frames_of(args.film, frames):
            faces = detector.detect(frame)
            found += len(faces)
            for face in faces if number % every == 0 else ():
                embedder.get_normalized_embedding(frame, face.landmarks)
        return found

    return run


LOOPS = {"insightface": insightface_loop, "uniface": uniface_loop}

if __name__ == "__main__":
    raise SystemExit(run_main(main))
