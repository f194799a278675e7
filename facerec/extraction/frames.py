"""The first two steps of a shard: decode frames and convert them in parallel, and detect faces in batches.

One thread reads decoded frames (the decoder has threads of its own) and hands each to a pool, which makes its
miniature and, if faces are to be detected in it, converts it: for a detector on the CPU to RGB, for a
`BatchDetector` straight into one of its buffers. A `ReducingDetector` makes miniatures itself, of frames that
it gets in planes. A batch goes on to the detector at once; the detector's thread waits for the conversions,
so the order of the frames does not depend on the pool.

A ring of batches bounds the memory: reading waits until the detector has finished the oldest batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from facerec.extraction.conversions import Conversion, Frame, convert
from facerec.extraction.device_miniatures import DeviceMiniatures
from facerec.geometry import MINIATURE_BYTES
from facerec.models.base import BatchDetector, ChannelsDetector, Detections, Detector
from facerec.models.finite import finish_model, run_model
from facerec.pixels import FrameBatch, Reduction, YuvTables, plane_bytes
from facerec.support.limits import cpu_threads
from facerec.support.prefetch import Profile, prefetch
from facerec.support.ring import BoundedPool, Ring
from facerec.video.decoded_frame import DecodedFrame
from facerec.video.film import Film, read_decoded

RING = 3  # batches, besides those that a device works on: being filled, ready, and in the detector
DEPTH = 2  # batches with detections that may wait for the next step
# Frames that are read, and converted, without other work in between. Pictures displace code from the
# processor's caches: loading it again for each frame would take longer than running it.
GROUP = 4
CPU_GROUP = 8  # the same for a detector on the CPU: its network displaces all of this code


class Slot:
    """A place in the ring, with the buffers of a batch: one for each form of frames, none on the CPU."""

    def __init__(self, detector: BatchDetector | None) -> None:
        self._detector = detector
        self._buffers: dict[tuple[int, ...], NDArray[np.uint8]] = {}

    @property
    def has_buffers(self) -> bool:
        """Whether frames are to be written into buffers."""
        return self._detector is not None

    def pixels(self, *frame_shape: int) -> NDArray[np.uint8]:
        """Return the buffer for a batch of frames of a shape; allocated when it is first needed."""
        assert self._detector is not None
        if frame_shape not in self._buffers:
            self._buffers[frame_shape] = self._detector.allocate((self._detector.batch_size, *frame_shape))
        return self._buffers[frame_shape]


@dataclass
class Batch:
    """Successive frames, of which at most as many are for detection as the detector takes at once.

    Attributes:
        pixels: the buffer of the frames for detection; None for a detector on the CPU.
        yuv: if they are in planes.
        reduction: if the detector makes their miniatures.
        miniatures: those that it makes.
        detected: the frames in which faces are detected.
    """

    slot: Slot
    pixels: NDArray[np.uint8] | None = None
    yuv: YuvTables | None = None
    reduction: Reduction | None = None
    miniatures: NDArray[np.uint8] | None = None
    frames: list[Frame] = field(default_factory=list)
    detected: list[Frame] = field(default_factory=list)
    unconverted: list[Conversion] = field(default_factory=list)
    conversions: list[Future[None]] = field(default_factory=list)


def batch_detector(detector: Detector) -> BatchDetector | None:
    """Return the detector if it takes batches in buffers; None if it runs on the CPU."""
    return detector if isinstance(detector, BatchDetector) and detector.in_flight else None


def _group_size(device: BatchDetector | None) -> int:
    return GROUP if device else CPU_GROUP


@contextmanager
def frame_steps(
    film: Film, detector: Detector, detect_every: int, save_every: int, profile: Profile
) -> Iterator[FrameSteps]:
    """Make the steps of a shard, with a ring of batches and a pool of threads that end with the block."""
    device = batch_detector(detector)
    ring = Ring([Slot(device) for _ in range(RING + (device.in_flight if device else 0))])
    threads = cpu_threads()
    waiting = -(-2 * threads // _group_size(device))  # groups, which hold decoded pictures
    with BoundedPool(threads, "convert", waiting) as pool:
        yield FrameSteps(film, detector, detect_every, save_every, ring, pool, profile)


@dataclass
class FrameSteps:
    """Decodes, converts and detects the frames of a film.

    Attributes:
        detect_every: faces are detected in frames with a number that is a multiple of this.
        save_every: faces are saved in frames with a number that is a multiple of this.
    """

    film: Film
    detector: Detector
    detect_every: int
    save_every: int
    ring: Ring[Slot]
    pool: BoundedPool
    profile: Profile

    @contextmanager
    def run(self, beg: int, end: int) -> Iterator[Iterator[list[Frame]]]:
        """Run both steps in threads, which end with the block.

        Yields:
            An iterator over the frames `[beg, end)` in batches, with their detections.
        """
        with (
            prefetch(self.decode(beg, end), RING) as decoded,
            prefetch(self.detect(decoded), DEPTH) as detected,
            self.ring.open(),
        ):
            yield detected

    @cached_property
    def device(self) -> BatchDetector | None:
        """The detector if it takes batches in buffers."""
        return batch_detector(self.detector)

    @cached_property
    def _group_size(self) -> int:
        return _group_size(self.device)

    @cached_property
    def _device_miniatures(self) -> DeviceMiniatures:
        return DeviceMiniatures(self.device)

    @cached_property
    def channels_detector(self) -> ChannelsDetector | None:
        """The detector if it takes frames with their channels apart."""
        detector = self.detector
        return detector if isinstance(detector, ChannelsDetector) and detector.takes_channels else None

    def decode(self, beg: int, end: int) -> Iterator[Batch]:
        """Yield the frames `[beg, end)` in batches; their conversion goes on in the pool."""
        batch: Batch | None = None
        size = self.detector.batch_size
        for decoded in self._read(beg, end):
            detect = decoded.number % self.detect_every == 0
            yuv = decoded.yuv_tables() if detect and self.device else None
            reduction = self._device_miniatures.reduction_for(decoded, yuv)
            if batch is not None and (
                len(batch.frames) >= size * self.detect_every
                or (detect and len(batch.detected) >= size)
                or (detect and batch.detected and (yuv, reduction) != (batch.yuv, batch.reduction))
            ):
                self._start_conversions(batch)
                yield batch
                batch = None
            batch = batch or Batch(self.ring.acquire())
            self._add(batch, decoded, detect, yuv, reduction)
            if len(batch.unconverted) == self._group_size:
                self._start_conversions(batch)
        if batch is not None:
            self._start_conversions(batch)
            yield batch

    def _read(self, beg: int, end: int) -> Iterator[DecodedFrame]:
        """Yield the frames `[beg, end)`, which are read in groups."""
        frames = read_decoded(self.film, beg, end)
        groups = iter(lambda: list(islice(frames, self._group_size)), [])
        for group in self.profile.timed("decode", groups):
            yield from (decoded for decoded in group if decoded.number >= beg)

    def _add(
        self,
        batch: Batch,
        decoded: DecodedFrame,
        detect: bool,
        yuv: YuvTables | None,
        reduction: Reduction | None,
    ) -> None:
        """Add a frame to a batch."""
        frame, target = Frame(decoded.number), None
        batch.frames.append(frame)
        if detect:
            if batch.slot.has_buffers:
                if not batch.detected:
                    height, width = self.film.display_height, self.film.display_width
                    shape = (plane_bytes(height, width),) if yuv else (height, width, 3)
                    batch.pixels = batch.slot.pixels(*shape)
                    batch.yuv, batch.reduction = yuv, reduction
                assert batch.pixels is not None
                target = batch.pixels[len(batch.detected)]
            batch.detected.append(frame)
        saved = frame.number % self.save_every == 0
        batch.unconverted.append(
            Conversion(
                frame, decoded, detect, saved, reduction is None, target, self.channels_detector is not None
            )
        )

    def _start_conversions(self, batch: Batch) -> None:
        """Hand the frames that were added to a batch over to the pool."""
        if batch.unconverted:
            batch.conversions.append(self.pool.submit(convert, batch.unconverted, self.profile))
            batch.unconverted = []

    def detect(self, batches: Iterator[Batch]) -> Iterator[list[Frame]]:
        """Yield the frames of each batch with their detections.

        While a device works on a batch, the next one is sent there.
        """
        in_flight = self.device.in_flight if self.device else 0
        started: deque[tuple[Batch, Callable[[], list[Detections]]]] = deque()
        for batch in batches:
            for conversion in batch.conversions:
                conversion.result()
            with self.profile.time("detect"):
                started.append((batch, self._start(batch)))
            if len(started) > in_flight:
                yield self._finish(*started.popleft())
        while started:
            yield self._finish(*started.popleft())

    def _start(self, batch: Batch) -> Callable[[], list[Detections]]:
        """Start to detect the faces of a batch, on the CPU when the results are taken."""
        numbers, film = [frame.number for frame in batch.detected], self.film.path
        if self.device is None or batch.pixels is None:
            if self.channels_detector is not None:
                images = [frame.channels or frame.rgb() for frame in batch.detected]
                return partial(run_model, self.channels_detector.detect, images, numbers, film)
            pictures = [frame.rgb() for frame in batch.detected]
            return partial(run_model, self.detector.detect, pictures, numbers, film)
        submit = self.device.submit_batch
        height, width = self.film.display_height, self.film.display_width
        if batch.reduction is not None:
            batch.miniatures = np.empty((len(numbers), MINIATURE_BYTES), np.uint8)
        pixels = batch.pixels[: len(numbers)]
        whole = FrameBatch(pixels, height, width, batch.yuv, batch.reduction, batch.miniatures)
        parts = [whole.part(index, index + 1) for index in range(len(whole))]
        return partial(finish_model, submit(whole), lambda some: submit(some[0])(), parts, numbers, film)

    def _finish(self, batch: Batch, results: Callable[[], list[Detections]]) -> list[Frame]:
        with self.profile.time("detect"):
            for frame, detections in zip(batch.detected, results(), strict=True):
                frame.detections, frame.channels = detections, None
                if frame.number % self.save_every:
                    frame.image = None
            if batch.miniatures is not None:
                for frame, miniature in zip(batch.detected, batch.miniatures, strict=True):
                    frame.miniature = miniature
        self.ring.release(batch.slot)
        return batch.frames
