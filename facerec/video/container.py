"""Containers: open a film or sound file safely and read the packets of one of its streams."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import av

from facerec.errors import InputError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from facerec.video.identity import HashedFile

    Stream = TypeVar("Stream", VideoStream, AudioStream)

log = logging.getLogger(__name__)

# Containers of single films. Excluded are playlists and lists of files (hls, dash, concat, sdp), which could
# make a film file read other files or hosts, and formats of still images and text.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,vc1,"
    "flv,live_flv,asf,ogg,mxf,gxf,lxf,dv,nut,rm,wtv,swf,mjpeg,yuv4mpegpipe,dirac,h263,h261,nsv,nuv,roq,bink,smk,vob"
)
# Containers of sound alone, in addition.
SOUND_FORMATS = "wav,w64,aiff,au,caf,flac,mp3,aac,ac3,eac3,dts,truehd,ape,wv,tta,amr,voc"
# Consecutive unreadable packets after which the film is considered to end: as many, and more in large files.
# Demuxers search for the next packet in blocks of 64 KiB or more.
DEMUX_RETRIES = 16
BLOCK = 1 << 14  # bytes


@contextmanager
def open_video(path: Path, file: HashedFile | None = None) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a film and its first video stream that is not a cover picture.

    Args:
        file: read the film through this open file.

    Raises:
        InputError: the file is not a film, has no video stream, or may not be read.
    """
    with _opened(path, FORMATS, file) as container:
        for stream in container.streams.video:
            if not stream.disposition & av.stream.Disposition.attached_pic:
                break
        else:
            raise InputError(f"{path}: has no video stream, perhaps only sound; is it the right file?")
        if stream.codec_context is None:
            raise InputError(f"{path}: no decoder for its video codec")
        _discard_others(container, stream)
        yield container, stream


@contextmanager
def open_audio(path: Path) -> Iterator[tuple[InputContainer, AudioStream | None]]:
    """Open a film or sound file and its audio stream; None if it has none.

    Of several, the one that the file marks as its default, else the first.

    Raises:
        InputError: the file is not a film or sound file, or may not be read; the codec has no decoder.
    """
    with _opened(path, f"{FORMATS},{SOUND_FORMATS}") as container:
        streams = list(container.streams.audio)
        marked = [stream for stream in streams if stream.disposition & av.stream.Disposition.default]
        stream = next(iter(marked or streams), None)
        if stream is not None and stream.codec_context is None:
            raise InputError(f"{path}: no decoder for its audio codec")
        _discard_others(container, stream)
        yield container, stream


@contextmanager
def _opened(path: Path, formats: str, file: HashedFile | None = None) -> Iterator[InputContainer]:
    """Open a file of one of the containers `formats`; raise InputError if that is not possible."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a film")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: is empty (0 bytes); copy the film again")
        container = av.open(
            file or "file:" + os.path.abspath(path),
            mode="r",
            options={"format_whitelist": formats, "protocol_whitelist": "file"},
            metadata_errors="ignore",
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such film") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to read it; check `ls -l` and ask its owner") from None
    except (av.FFmpegError, ValueError) as error:
        log.debug("%s: %s", path, error)
        raise InputError(f"{path}: {_unreadable_reason(path)}") from None
    with container:
        yield container


def declared_frames(path: Path) -> int | None:
    """Return the number of frames by the header of a film, which may be wrong; None if it says nothing.

    Raises:
        InputError: as `open_video`.
    """
    with open_video(path) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate
        by_time = round(container.duration * rate / av.time_base) if container.duration and rate else None
        return stream.frames or by_time


def _discard_others(container: InputContainer, stream: VideoStream | AudioStream | None) -> None:
    for other in container.streams:
        if other is not stream:
            other.discard = av.stream.Discard.all


def _unreadable_reason(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "its index (the moov atom) is missing or broken and nothing can be read; copy the film again"
    return "not a readable film; is it a video file?"


def packets(
    container: InputContainer, stream: Stream, damage: list[int] | None = None
) -> Iterator[Packet[Stream]]:
    """Read the stream's packets with data; skip unreadable ones.

    Args:
        damage: gets, for each place where data cannot be read, the number of packets before it.
    """
    failures = count = 0
    limit = DEMUX_RETRIES + max(0, container.size) // BLOCK
    while failures <= limit:
        try:
            for packet in container.demux(stream):
                if failures and damage is not None and packet.size:
                    damage.append(count)
                failures = 0
                if packet.size:  # a decoder takes an empty packet for the end of the film
                    count += 1
                    yield packet
            return
        except IndexError:  # PyAV's at the end of a damaged transport stream with late streams
            return
        except (av.FFmpegError, ValueError, OSError):
            failures += 1
