"""Measure each stage of `extract.py` alone and all of them together.

    python bench/pipeline.py [FILM] [--detector yunet] [--embedder arcface:FILE] [--frames 200] [--rounds 3]

Without FILM, the film of the demo is made and used. `retinaface:random` and `facenet:random` use random
weights, which cost the same per frame. With --faces the detector does all its work, but that many artificial
faces per frame are embedded. Rounds are interleaved, figures are medians. With --copies the film is that many
of itself in a row; with --limits only the whole and its limits are measured, in little memory. Prints JSON:

seconds      seconds by the clock and of CPU of each stage alone and of the whole
efficiency   time of the slowest stage alone / time of the whole
cores_busy   CPU time of the whole / (cores x time of the whole); 1 when no core is ever idle
overhead     CPU time of the whole / sum of the CPU times of the stages; the only figure that means something
             when other programs share the machine
bound        least possible time / time of the whole; the least possible time is that of the slowest stage, or
             the CPU time of all stages / cores where that is longer
networks     (CPU time of the networks alone, called as often and with inputs of the same shapes, + that of
             PyAV decoding the same frames) / CPU time of the whole
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import av
import numpy as np

from bench.measure import Cost, cost, interleaved, positive, random_weights
from bench.networks import Networks
from facerec.extraction.conversions import Frame
from facerec.geometry import Image
from facerec.models.base import Detections, Detector
from facerec.settings import ExtractSettings, smallest_box
from facerec.support.cli import run_main
from facerec.support.limits import cpu_threads

STAGES = ("decode", "detect", "embed", "write")
LIMITS = ("plain decoding", "networks alone")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Build the argument parser: film, models and length of a run."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "film", type=Path, nargs="?", help="named <movie_id>-Title.ext; default: film of the demo"
    )
    made.add_argument("--detector", default="mtcnn")
    made.add_argument("--embedder", default="dlib")
    made.add_argument("--min-face-size", type=positive, default=ExtractSettings.min_face_size,
                      help="pixels")  # fmt: skip
    made.add_argument("--device", default="auto")
    made.add_argument("--precision", default=ExtractSettings.precision)
    made.add_argument(
        "--frames",
        type=positive,
        default=200,
        help="number of frames, from the start of the film; all are kept in memory",
    )
    made.add_argument("--copies", type=positive, default=1, help="of the film in a row, to make it longer")
    made.add_argument(
        "--limits", action="store_true", help="measure `networks` only, and keep no frames in memory"
    )
    made.add_argument("--faces", type=int, default=0, help="artificial faces per frame; 0: the detected ones")
    made.add_argument("--rounds", type=positive, default=3, help="interleaved runs")
    return made


class ArtificialFaces:
    """A detector that runs another one and then returns `count` faces side by side."""

    def __init__(self, detector: Detector, count: int) -> None:
        self.card, self.batch_size = detector.card, detector.batch_size
        self._detector, self._count = detector, count

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        """Return `count` faces of a sixth of the frame's height for each of `frames`."""
        self._detector.detect(frames)
        height, width = frames[0].shape[:2]
        side = height / 6
        left = np.linspace(0, width - side, self._count, dtype=np.float32)
        boxes = np.stack([left, np.full_like(left, side), left + side, np.full_like(left, 2 * side)], axis=1)
        points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
        keypoints = boxes[:, None, :2] + points * np.float32(side)
        scores = np.full(self._count, 0.95, np.float32)
        return [Detections(boxes, scores, keypoints) for _ in frames]


def settings_of(args: argparse.Namespace, work: Path) -> ExtractSettings:
    """Make the settings from the arguments; write random weights where they are requested."""

    def spec(text: str) -> str:
        name, _, file = text.partition(":")
        return f"{name}:{random_weights(name, work)}" if file == "random" else text

    return ExtractSettings(
        spec(args.detector),
        spec(args.embedder),
        min_face_size=args.min_face_size,
        min_box_size=smallest_box(args.min_face_size),
        precision=args.precision,
    )


def film_of(args: argparse.Namespace, work: Path) -> Path:
    """Return the film of the arguments, or make that of the demo."""
    from facerec.demo.film import demo_shots, write_film

    if args.film is None:
        args.film = work / "1-made.mp4"
        write_film(args.film, demo_shots())
    film: Path = args.film
    return film if args.copies == 1 else repeated(film, args.copies, work)


def repeated(path: Path, copies: int, work: Path) -> Path:
    """Join copies of a film without encoding it again."""
    from facerec.masters.joining import join_parts
    from facerec.support.signals import StopRequest
    from facerec.video.film import last_frame_duration, open_film

    film, target = open_film(path), work / f"{path.stem}-repeated.mp4"
    shown = film.time_base * int(film.pts[0]), film.time_base * int(film.pts[-1]) + last_frame_duration(film)
    join_parts([path] * copies, [shown] * copies, target, target.suffix, StopRequest(), lambda count: None)
    return target


def stages(settings: ExtractSettings, path: Path, work: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Return functions that measure each stage alone and the whole."""
    from facerec.extraction.frames import Batch, FrameSteps, Slot, batch_detector
    from facerec.extraction.planned_film import planned_film
    from facerec.extraction.planning import ensure_plan
    from facerec.extraction.shard import Extractor, embed_batches, extract_shard, write_frame
    from facerec.extraction.shard_log import ShardLog
    from facerec.folder.face_archive import new_face_archive
    from facerec.folder.layout import MovieFolder
    from facerec.folder.miniature_archive import new_miniature_archive
    from facerec.models import load_detector, load_embedder
    from facerec.models.device import limit_threads
    from facerec.support.prefetch import Profile
    from facerec.support.ring import BoundedPool, Ring
    from facerec.support.signals import StopRequest

    detector = load_detector(
        settings.detector,
        device=args.device,
        precision=settings.precision,
        min_face_size=settings.min_face_size,
        min_box_size=settings.min_box_size,
        face_threshold=settings.face_threshold,
    )
    embedder = load_embedder(settings.embedder, device=args.device, precision=settings.precision)
    networks = Networks(detector, embedder)
    if args.faces:
        detector = ArtificialFaces(detector, args.faces)
    limit_threads()
    extractor = Extractor(
        detector, embedder, settings.save_every, settings.min_face_size, settings.min_box_size, True
    )
    folders = itertools.count()

    def begin() -> tuple[MovieFolder, Any]:
        folder = MovieFolder.of_film(work / str(next(folders)), path)
        n = max(1, round(film_frames / args.frames)) if film_frames else 1
        plan = ensure_plan(
            folder, path, n, settings, options=[], fresh=False, display_aspect=None, prepare=lambda: None
        )
        return folder, plan

    film_frames = 0
    folder, plan = begin()
    film = planned_film(plan, path)
    film_frames = film.frame_count
    end = begin()[1].range_of(0)[1]
    device, profile = batch_detector(detector), Profile()
    slots = [Slot(device) for _ in range(end + 1)]  # all batches are kept
    ring = Ring(slots)

    def steps(pool: BoundedPool) -> FrameSteps:
        return FrameSteps(film, detector, extractor.detect_every, extractor.save_every, ring, pool, profile)

    def plain() -> Cost:
        def work() -> None:
            with av.open(str(path)) as container:
                context = container.streams.video[0].codec_context
                context.thread_count, context.thread_type = cpu_threads(), "FRAME"
                for _ in itertools.islice(container.decode(video=0), end):
                    pass

        return cost(work)

    def whole() -> Cost:
        folder, plan = begin()
        return cost(lambda: extract_shard(extractor, film, folder, plan, 0, StopRequest(), lambda n: None))

    if args.limits:
        with networks.noted() as calls, BoundedPool(1, "convert", 1) as pool:
            made = steps(pool)  # not `whole`: the arrays of its threads would end with them
            detected = made.detect(made.decode(0, end))
            for _ in embed_batches(extractor, film, folder.movie_id, detected, profile):
                pass
        return {
            "frames": end,
            "whole": whole,
            "plain decoding": plain,
            "networks alone": lambda: cost(lambda: [call() for call in calls]),
        }

    def decode() -> list[Batch]:
        with BoundedPool(cpu_threads(), "convert", 2 * cpu_threads()) as pool:
            batches = list(steps(pool).decode(0, end))
            for conversion in itertools.chain.from_iterable(batch.conversions for batch in batches):
                conversion.result()
        return batches

    def decode_alone() -> Cost:
        def work() -> None:
            for batch in decode():
                ring.release(batch.slot)

        return cost(work)

    batches = decode()

    def copies() -> Iterator[Batch]:
        for batch in batches:
            kept = [replace(frame) for frame in batch.frames]
            detected = {frame.number for frame in batch.detected}
            yield replace(batch, frames=kept, detected=[frame for frame in kept if frame.number in detected])

    def detect() -> list[list[Frame]]:
        with BoundedPool(1, "convert", 1) as pool:
            return list(steps(pool).detect(copies()))

    with networks.noted() as calls:
        found = detect()
        seen = list(embed_batches(extractor, film, folder.movie_id, iter(found), profile))

    def use_up(items: Iterator[Any]) -> Cost:
        return cost(lambda: sum(1 for _ in items))

    def write() -> Cost:
        folder, _ = begin()
        folder_path = folder.path
        with (
            (folder_path / "e").open("wb") as evidence,
            (folder_path / "f").open("wb") as features,
            new_face_archive(folder_path / "p") as add_picture,
            new_miniature_archive(folder_path / "m") as add_miniature,
        ):
            log = ShardLog()

            def write_all() -> None:
                for one in itertools.chain.from_iterable(seen):
                    write_frame(one, evidence, features, add_picture, add_miniature, log)

            return cost(write_all)

    return {
        "frames": end,
        "decode": decode_alone,
        "detect": lambda: cost(detect),
        "embed": lambda: use_up(embed_batches(extractor, film, folder.movie_id, iter(found), profile)),
        "write": write,
        "whole": whole,
        "plain decoding": plain,
        "networks alone": lambda: cost(lambda: [call() for call in calls]),
    }


def summary(found: dict[str, Cost], frames: int, cores: int) -> dict[str, Any]:
    """Compute the figures from the costs of the whole, of `LIMITS` and, if there are any, of `STAGES`."""
    whole = found["whole"]
    shown = {
        "frames": frames,
        "cores": cores,
        "seconds": {name: one.rounded() for name, one in found.items()},
        "frames_per_s": round(frames / whole.wall_s, 2),
    }
    networks = {"networks": round(sum(found[limit].cpu_s for limit in LIMITS) / whole.cpu_s, 3)}
    if STAGES[0] not in found:
        return {**shown, **networks}
    slowest = max((found[stage] for stage in STAGES), key=lambda one: one.wall_s)
    stages_cpu = sum(found[stage].cpu_s for stage in STAGES)
    return {
        **shown,
        "efficiency": round(slowest.wall_s / whole.wall_s, 3),
        "cores_busy": round(whole.cpu_s / (cores * whole.wall_s), 3),
        "overhead": round(whole.cpu_s / stages_cpu, 3),
        "bound": round(max(slowest.wall_s, stages_cpu / cores) / whole.wall_s, 3),
        **networks,
    }


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(__doc__).parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        path = film_of(args, work)
        works = stages(settings_of(args, work), path, work, args)
        frames = works.pop("frames")
        found = interleaved(works, args.rounds)
    models = {"film": path.name, "detector": args.detector, "embedder": args.embedder}
    sys.stdout.write(json.dumps({**models, **summary(found, frames, cpu_threads())}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
