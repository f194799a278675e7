"""The sound of a film or sound file: 16 kHz, mono, float32, in blocks, exact for any range of samples.

Sample k is heard k / 16000 seconds after the film's first frame is shown. So the sound of the frames from
time a to time b is that of the samples `sample_at(a)` to `sample_at(b)`, whatever the container's clock.
What is heard before the first frame is left out; where a film has no sound, there is silence. In a file of
sound alone, sample 0 is the first one.

A sample does not depend on the range that is read: reading always decodes from the start of the file, as
most audio decoders and the resampler depend on everything before. It takes seconds for an hour of film.

Mono is the mean of all channels, as in librosa and in the published code of AudioSet.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.video.container import open_audio, packets
from facerec.video.film import Film
from facerec.video.resampling import GaplessSound

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

log = logging.getLogger(__name__)

Samples = NDArray[np.float32]

RATE = 16000  # samples per second
BLOCK = RATE  # samples in a block at most
LOUDEST = 1e30  # sample; sums of louder ones could exceed float32
STORED_RATES = 1000, 768_000  # samples per second; others are errors of a header
# seconds; sound with a time that differs by this from the end of the sound before it is moved to its time.
# Less is the rounding of times in containers. A lost packet leaves a gap of 20 ms (Opus), 21 ms (AAC) or
# more.
TOLERANCE = Fraction(15, 1000)
TOLERANCE_AFTER_DAMAGE = Fraction(2, 1000)
LONGEST_GAP = 3600  # seconds; a longer one in a file without film is taken for an error in its times


def sample_at(seconds: float | Fraction) -> int:
    """Return the number of the sample at a time: the nearest one, halves rounded up."""
    return int((Fraction(seconds) * RATE + Fraction(1, 2)) // 1)


@dataclass(frozen=True)
class Sound:
    """The sound of a file.

    Attributes:
        origin: presentation time of sample 0, in seconds of the container's clock; None: of the first sound.
        timed: whether the times of the packets are used; if not, the sound is taken to have no gaps.
        codec, sample_rate, channels: as stored.
    """

    path: Path
    origin: Fraction | None
    timed: bool
    codec: str
    sample_rate: int
    channels: int


def open_sound(path: Path, film: Film | None = None) -> Sound | None:
    """Find the sound of a file; None if it has no audio stream.

    Of several audio streams, it is the one that the file marks as its default, else the first.

    Args:
        film: the film in the file; its first frame defines time 0. None for a file of sound alone.

    Raises:
        InputError: the file cannot be read, its audio codec has no decoder, or its rate is impossible.
    """
    with open_audio(path) as (_, stream):
        if stream is None:
            return None
        context = stream.codec_context
        if context.sample_rate and not _is_possible(context.sample_rate):
            raise InputError(
                f"{path}: {context.sample_rate} samples of sound per second; its header is damaged"
            )
        timed = film is None or film.seekable
        origin = int(film.pts[0]) * film.time_base if film is not None and film.seekable else None
        return Sound(path, origin, timed, context.name, context.sample_rate, context.channels)


class SoundReading:
    """One pass over the samples `[beg, end)` of a sound; `blocks` may be called once.

    Args:
        beg, end: range of samples; `end` None: to the end of the sound. If the sound ends before `end`,
            silence follows.
    """

    def __init__(self, sound: Sound, beg: int = 0, end: int | None = None) -> None:
        self._sound, self._beg, self._end = sound, beg, end
        self._gaps: list[tuple[int, int]] = []  # ranges of samples without sound, increasing
        self._damage: list[int] = []  # the sample at which each damaged packet was met

    def blocks(self) -> Iterator[Samples]:
        """Yield the samples in blocks of at most `BLOCK`."""
        done = 0
        for samples in chain(self._samples(), self._silence()):
            beg, done = done, done + len(samples)
            end = done if self._end is None else min(done, self._end)
            for cut in range(max(beg, self._beg), end, BLOCK):
                yield samples[cut - beg : min(cut + BLOCK, end) - beg]
            if end == self._end:
                return

    def silent_samples(self, beg: int, end: int) -> int:
        """Count the samples of `[beg, end)`, which were read, for which the file has no sound."""
        return sum(max(0, min(end, last) - max(beg, first)) for first, last in self._gaps)

    def damaged_packets(self, beg: int, end: int) -> int:
        """Count the damaged packets of `[beg, end)`, which was read."""
        return sum(beg <= position < end for position in self._damage)

    def _add_gap(self, beg: int, end: int) -> None:
        if self._gaps and self._gaps[-1][1] >= beg:
            self._gaps[-1] = self._gaps[-1][0], end  # at once: another thread may count them
        else:
            self._gaps.append((beg, end))

    def _silence(self) -> Iterator[Samples]:
        """Yield silence from the end of the sound on, if it is read to a given end."""
        while self._end is not None:
            self._add_gap(self._sound_end, self._end)
            yield np.zeros(BLOCK, np.float32)

    def _samples(self) -> Iterator[Samples]:
        """Yield all samples of the file from 0 on."""
        self._sound_end = 0
        gapless = GaplessSound(RATE, RATE)  # until the first piece says its rate
        origin = self._sound.origin
        for piece, following in pairwise(chain(_decode(self._sound), [None])):
            assert piece is not None
            if piece.rate != gapless.rate:
                yield gapless.finish()
                gapless = GaplessSound(piece.rate, RATE, gapless.end)
            self._damage += [gapless.end] * piece.damaged
            if origin is None and not gapless.end:
                origin = piece.time
            gap = self._gap_before(piece, following, gapless, origin or Fraction(0))
            while gap > 0:
                step = min(gap, gapless.rate)
                beg = gapless.end
                yield gapless.add(np.zeros(step, np.float32))
                self._add_gap(beg, gapless.end)
                gap -= step
            yield gapless.add(piece.samples[-gap:])
            self._sound_end = gapless.end
        yield gapless.finish()

    def _gap_before(
        self, piece: _Piece, following: _Piece | None, gapless: GaplessSound, origin: Fraction
    ) -> int:
        """Return the samples missing between `gapless` and `piece`, at their rate; negative: the overlap.

        Args:
            following: the next piece. If it follows as if `piece` were in time, then the time of `piece` is
                wrong and is ignored.
        """
        if not self._sound.timed or piece.time is None or not len(piece.samples):
            return 0
        expected = origin + Fraction(gapless.start, RATE) + Fraction(gapless.count, gapless.rate)
        late = piece.time - expected
        if gapless.end:  # not the first one
            if abs(late) < (TOLERANCE_AFTER_DAMAGE if piece.damaged else TOLERANCE):
                return 0
            in_time = expected + Fraction(len(piece.samples), piece.rate)
            if following and following.time is not None and abs(following.time - in_time) < TOLERANCE:
                return 0
        if self._end is None and late > LONGEST_GAP:
            return 0
        return round(late * gapless.rate)


@dataclass
class _Piece:
    """What a packet gives.

    Attributes:
        time: presentation time of its first sample, in seconds of the container's clock; None if unknown.
        rate: samples per second.
        samples: mono; may be empty.
        damaged: damaged packets since the piece before.
    """

    time: Fraction | None
    rate: int
    samples: Samples
    damaged: int


def _decode(sound: Sound) -> Iterator[_Piece]:
    """Decode all pieces of a sound, in one thread."""
    with open_audio(sound.path) as (container, stream):
        if stream is None:
            return
        context = stream.codec_context
        context.thread_count = 1
        context.options = {"err_detect": "crccheck+explode"}  # else damage may be heard as noise
        damaged, rate = 0, sound.sample_rate or RATE
        for packet in chain(packets(container, stream), [None]):
            if packet is not None and packet.is_corrupt:
                damaged += 1
            try:
                frames = context.decode(packet)
            except (av.FFmpegError, ValueError, OSError) as error:
                log.debug("%s: sound: %s", sound.path, error)
                damaged += 1
                continue
            for frame in frames:
                if not _is_possible(frame.sample_rate):
                    damaged += 1
                    continue
                time = None if frame.pts is None or not frame.time_base else frame.pts * frame.time_base
                rate = frame.sample_rate
                yield _Piece(time, rate, _mono(frame), damaged)
                damaged = 0
        if damaged:
            yield _Piece(None, rate, np.empty(0, np.float32), damaged)


def _is_possible(rate: int) -> bool:
    return STORED_RATES[0] <= rate <= STORED_RATES[1]


def _mono(frame: AudioFrame) -> Samples:
    """Return the mean of the channels of a frame, integers scaled to -1..1."""
    channels = len(frame.layout.channels)
    stored = frame.to_ndarray()
    values = stored if frame.format.is_planar else stored.reshape(-1, channels).T
    if values.dtype.kind == "u":
        scaled = (values.astype(np.float64) - 128) / 128
    elif values.dtype.kind == "i":
        scaled = values.astype(np.float64) / 2.0 ** (8 * values.itemsize - 1)
    else:
        scaled = values.astype(np.float64)
        if not np.isfinite(scaled).all():
            scaled = np.nan_to_num(scaled, nan=0.0, posinf=1.0, neginf=-1.0)
        scaled = scaled.clip(-LOUDEST, LOUDEST)
    mono: Samples = scaled.mean(axis=0).astype(np.float32)
    return mono
