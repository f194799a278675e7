"""Encode the frames of a source into one film, in segments that a stopped run need not encode again.

H.264 without B-frames, closed groups of at most `GOP` frames, a constant frame rate: OpenCV, which the
labeling backend uses, finds each frame by its number. A segment is an independent film of `SEGMENT` frames in
a hidden folder beside the result. The segments are joined without encoding again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import av

from facerec.errors import InputError, StaleError
from facerec.folder.plan import format_ranges
from facerec.masters.joining import join_segments
from facerec.masters.sources import Source
from facerec.support.atomic import remove_stale_temporaries, temporary_name
from facerec.support.limits import cpu_threads
from facerec.support.locks import locked_within
from facerec.support.signals import StopRequest
from facerec.video.held_frames import held_frames_tags

GOP = 48  # frames from one key frame to the next
SEGMENT = 10 * GOP
CRF = 14  # x264's quality, at which people see no difference
_BT709, _LIMITED = 1, 1  # of FFmpeg: colour space, primaries and transfer of Rec. 709; 16 to 235


def encode_film(
    source: Source, staged: Path, out: Path, crf: int, stop: StopRequest, advance: Callable[[int], None]
) -> str:
    """Encode a source into the file `staged`, a temporary name of `out`.

    The frames that show the one before are recorded beside each segment, and in a tag of the film.

    Args:
        advance: called with the number of frames that were encoded, or found from an earlier run.

    Returns:
        These frames, as in `3,7-9`; empty for none.

    Raises:
        InputError: a frame is missing, damaged or of another size.
        StaleError: another process makes the same film.
        Interrupted: `stop` was requested; the segments stay.
    """
    with _work_folder(out) as folder:
        segments = []
        held: list[int] = []
        for beg in range(0, source.frame_count, SEGMENT):
            end = min(beg + SEGMENT, source.frame_count)
            path = folder / f"{beg:08d}-{_fingerprint(source, beg, end, crf)}.mp4"
            segments.append((path, end - beg))
            record = path.with_suffix(".held.json")
            if path.exists() and record.exists():
                held += json.loads(record.read_bytes())
                advance(end - beg)
                continue
            partial = folder / temporary_name(path.name)
            try:
                _encode(source, partial, beg, end, crf, stop, advance)
                here = sorted(number for number in source.held if beg <= number < end)
                record.write_text(json.dumps(here))
                partial.rename(path)
                held += here
            finally:
                partial.unlink(missing_ok=True)
        ranges = format_ranges(held)
        join_segments(segments, staged, out.suffix, source.rate, held_frames_tags(ranges))
        return ranges


def _fingerprint(source: Source, beg: int, end: int, crf: int) -> str:
    """Return what names a segment: another one for other files or settings."""
    text = json.dumps(
        [source.identity(beg, end), str(source.rate), source.size, str(source.sample_aspect), crf]
    )
    return sha256(text.encode()).hexdigest()[:16]


def remove_segments(out: Path) -> None:
    """Remove the segments of a film that is finished."""
    shutil.rmtree(_folder(out), ignore_errors=True)


def _folder(out: Path) -> Path:
    return out.with_name(f".{out.name}.segments")


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """Make and lock the folder of the segments."""
    folder = _folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    with locked_within(folder / "lock", 0, lambda: None) as free:
        if not free:
            raise StaleError(f"{out}: another process is making this film; wait for it, or end it")
        remove_stale_temporaries(folder)
        yield folder


def _encode(
    source: Source,
    path: Path,
    beg: int,
    end: int,
    crf: int,
    stop: StopRequest,
    advance: Callable[[int], None],
) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=source.rate)
        context = stream.codec_context
        _configure(context, source, crf)
        for number, image in enumerate(source.images(beg, end)):
            stop.check()
            if image.shape[1::-1] != source.size:
                raise InputError(
                    f"frame {beg + number} has {image.shape[1]}x{image.shape[0]} pixels, the first one "
                    f"{source.size[0]}x{source.size[1]}; all frames of a film must have one size"
                )
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format=context.pix_fmt, dst_colorspace="ITU709", interpolation="AREA"
            )
            frame.pts, frame.time_base = number, 1 / source.rate
            container.mux(stream.encode(frame))
            advance(1)
        container.mux(stream.encode(None))


def _configure(context: Any, source: Source, crf: int) -> None:
    context.width, context.height = width, height = source.size
    # chroma for every pixel where a side is odd
    context.pix_fmt = "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"
    context.time_base = 1 / source.rate
    context.sample_aspect_ratio = source.sample_aspect
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED
    context.gop_size, context.max_b_frames, context.thread_count = GOP, 0, cpu_threads()
    context.options = {"preset": "fast", "crf": str(crf), "x264-params": f"keyint={GOP}:open-gop=0"}
