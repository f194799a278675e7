"""Measure how fast the host feeds a detector that costs nothing: decoding, conversion and miniatures.

    python bench/feed.py [FILM] [--frames 200] [--threads 2 12] [--rounds 3] [--cases planes host]

Without FILM, the film of the demo is enlarged to 1920x1080 and encoded as H.264. Every case is run in each
round, in turns; figures are medians of the CPU time of threads, so they hold on a busy machine, too. The work
of the device is in none of them; bench/gpu.py measures it. Cases:

decode    PyAV decoding alone, with as many threads
rgb       for a detector on the CPU, which takes frames in RGB
planes    for a detector on a GPU, which takes frames in planes, in buffers that are used again, and makes the
          miniatures of them, too; this one returns made-up miniatures at no cost, as it does detections.
          The check of its miniatures at the start of a shard is included, but for the device's part
host      as planes, but the CPU makes the miniatures, as for a device that does not make the same bytes
sparse    as rgb, but faces are detected in every fifth frame only

Prints JSON for each number of threads and each case:

cpu_ms    CPU time of the process, in ms a frame
host_ms   the part of it that is not spent in the decoder's threads; that part varies with what else the
          machine does
share     frames per CPU second / those of `decode`
bound     the same, if the decoder's threads took as long in both
read      CPU time a frame of the thread that reads the film; decoder, convert: of the busiest of the
          decoder's threads and of those that convert; detect: of the thread that calls the detector
busiest   the largest of these
mib       bytes of a frame for the detector
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from bench.measure import positive
from facerec.demo.film import demo_shots
from facerec.extraction.frames import DEPTH, RING, frame_steps
from facerec.geometry import Image
from facerec.models.base import Detections, ModelCard
from facerec.models.planes import Planes
from facerec.pixels import FrameBatch
from facerec.support.cli import run_main
from facerec.support.prefetch import Profile, prefetch
from facerec.video.film import Film, open_film

Item = TypeVar("Item")

CASES = ("rgb", "planes", "host", "sparse")
SAMPLE_SECONDS = 0.02  # between two readings of the decoder's threads, which end before they can be asked
NOTHING = Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 5, 2), np.float32))


class FreeDetector:
    """A detector on the CPU that costs nothing."""

    card = ModelCard("free", "none", "0" * 64, "none")
    batch_size = 8

    def __init__(self) -> None:
        self.bytes = 0

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        self.bytes = frames[0].nbytes if frames else 0
        return [NOTHING for _ in frames]


class FreeDevice(FreeDetector):
    """A `BatchDetector` that costs nothing; a second run finds its memory in place, as a long film does."""

    in_flight = 1

    def __init__(self) -> None:
        super().__init__()
        self._memory: list[NDArray[np.uint8]] = []
        self.allocated = 0

    def allocate(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        if self.allocated == len(self._memory):
            self._memory.append(np.ones(shape, np.uint8))
        self.allocated += 1
        return self._memory[self.allocated - 1]

    def submit_batch(self, batch: FrameBatch) -> Callable[[], list[Detections]]:
        self.bytes = batch.pixels[0].nbytes
        return lambda: [NOTHING for _ in range(len(batch))]


class FreeReducer(FreeDevice):
    """A `ReducingDetector` that costs nothing: its miniatures are made up, whatever the memory holds.

    Those that are compared with the host's at the start of a shard are right, and computed only once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._compared: NDArray[np.uint8] | None = None

    def reduce(self, batch: FrameBatch) -> None:
        assert batch.reduction is not None and batch.miniatures is not None
        if self._compared is None:
            planes = Planes(torch.device("cpu"))
            self._compared = planes.to_miniatures(torch.from_numpy(batch.pixels), batch.reduction).numpy()
        batch.miniatures[:] = self._compared


def make_film(path: Path, width: int, height: int, frames: int) -> Path:
    """Encode the demo's film, enlarged, over and over until there are `frames` frames."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.options = {"preset": "veryfast", "crf": "20", "threads": "2"}
        count = 0
        while count < frames:
            times = ((shot, number / shot.frames) for shot in demo_shots() for number in range(shot.frames))
            for shot, when in islice(times, frames - count):
                large = cv2.resize(shot.view(when), (width, height), interpolation=cv2.INTER_CUBIC)
                large = (np.clip(large, 0, 1) * 255).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(large, format="rgb24")))
                count += 1
        container.mux(stream.encode(None))
    return path


def thread_seconds(thread: int) -> float:
    """Return the CPU seconds of a thread of this process; 0 if it has ended."""
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


class DecoderThreads:
    """Watches the threads that are not Python's."""

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}
        self.own_seconds = 0.0
        self._stop = threading.Event()
        self._known = {int(one.name) for one in Path("/proc/self/task").iterdir()}
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> DecoderThreads:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def costs(self, used: float, frames: int) -> dict[str, float]:
        """Return the figures of a run that used so many CPU seconds of the process, watching included."""
        decoding = sum(self.seconds.values())
        used -= self.own_seconds
        seconds = {
            "cpu_ms": used,
            "host_ms": used - decoding,
            "decoder": max(self.seconds.values(), default=0),
        }
        return {name: 1e3 * value / frames for name, value in seconds.items()}

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            pythons = {thread.native_id for thread in threading.enumerate()}
            for entry in Path("/proc/self/task").iterdir():
                thread = int(entry.name)
                if thread not in pythons and thread not in self._known:
                    self.seconds[thread] = max(self.seconds.get(thread, 0), thread_seconds(thread))
        self.own_seconds = time.thread_time()


def decode_alone(film: Film, frames: int, threads: int) -> dict[str, float]:
    """Measure PyAV alone."""
    used = time.process_time()
    with DecoderThreads() as decoder, av.open(str(film.path)) as container:
        context = container.streams.video[0].codec_context
        context.thread_count, context.thread_type = threads, "FRAME"
        count = sum(1 for _ in islice(container.decode(video=0), frames))
    used = time.process_time() - used
    return decoder.costs(used, count)


def feed(film: Film, frames: int, detector: FreeDetector, detect_every: int = 1) -> dict[str, float]:
    """Measure the first two steps of a shard."""
    busy: dict[str, float] = {}
    if isinstance(detector, FreeDevice):
        detector.allocated = 0

    def timed(name: str, items: Iterator[Item]) -> Iterator[Item]:
        try:
            yield from items
        finally:
            busy[name] = time.thread_time()  # each has a thread of its own

    used, count = time.process_time(), 0
    with (
        DecoderThreads() as decoder,
        frame_steps(film, detector, detect_every, 5, Profile()) as steps,
        prefetch(timed("read", steps.decode(0, frames)), RING) as decoded,
        prefetch(timed("detect", steps.detect(decoded)), DEPTH) as detected,
        steps.ring.open(),
    ):
        for batch in detected:
            count += len(batch)
        converting = [one.native_id for one in threading.enumerate() if one.name.startswith("convert")]
        busy["convert"] = max((thread_seconds(one) for one in converting if one is not None), default=0.0)
    used = time.process_time() - used
    found = {name: 1e3 * seconds / count for name, seconds in busy.items()}
    return {**decoder.costs(used, count), **found, "mib": detector.bytes / 2**20}


def measure(
    film: Film, frames: int, threads: int, rounds: int, chosen: Sequence[str] = CASES
) -> dict[str, dict[str, float]]:
    """Measure decoding alone and the chosen cases with a number of threads."""
    device, reducer = FreeDevice(), FreeReducer()
    cases: dict[str, Callable[[], dict[str, float]]] = {
        "decode": lambda: decode_alone(film, frames, threads),
        "rgb": lambda: feed(film, frames, FreeDetector()),
        "planes": lambda: feed(film, frames, reducer),
        "host": lambda: feed(film, frames, device),
        "sparse": lambda: feed(film, frames, FreeDetector(), detect_every=5),
    }
    cases = {name: case for name, case in cases.items() if name in ("decode", *chosen)}
    with mock.patch.dict(os.environ, OMP_NUM_THREADS=str(threads)):
        for one in (device, reducer):  # otherwise new memory costs more than the copies
            feed(film, frames, one)
        runs = [{name: case() for name, case in cases.items()} for _ in range(rounds)]
    found = {}
    for name in cases:
        row = {key: statistics.median(run[name][key] for run in runs) for key in runs[0][name]}
        row["share"] = statistics.median(run["decode"]["cpu_ms"] / run[name]["cpu_ms"] for run in runs)
        row["bound"] = statistics.median(
            run["decode"]["cpu_ms"]
            / (run["decode"]["cpu_ms"] + run[name]["host_ms"] - run["decode"]["host_ms"])
            for run in runs
        )
        row["busiest"] = max(row.get(key, 0.0) for key in ("read", "decoder", "convert", "detect"))
        found[name] = {key: round(value, 3) for key, value in row.items()}
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", type=Path, nargs="?", help="default: the demo's, enlarged to 1920x1080")
    parser.add_argument("--frames", type=positive, default=200, help="number of frames, from the start")
    parser.add_argument("--threads", type=positive, nargs="+", default=[2, 12], help="as OMP_NUM_THREADS")
    parser.add_argument("--rounds", type=positive, default=3, help="interleaved runs")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="besides decode")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        path = args.film or make_film(Path(temporary) / "1-demo.mp4", 1920, 1080, args.frames)
        film = open_film(path)
        for threads in args.threads:
            table = measure(film, args.frames, threads, args.rounds, args.cases)
            size = f"{film.display_width}x{film.display_height}"
            sys.stdout.write(json.dumps({"film": path.name, "size": size, "threads": threads}) + "\n")
            for name, row in table.items():
                sys.stdout.write(json.dumps({"case": name, **row}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
