"""What the user should know about a film before it is labeled, with the command that makes a better copy."""

from __future__ import annotations

from fractions import Fraction

from facerec.support.shell import command_line
from facerec.video.film import Film
from facerec.video.held_frames import held_frames
from facerec.video.opencv_check import opencv_decodes, opencv_seek_mismatches, video_codec
from facerec.video.stereo import SIDE_BY_SIDE, stereo_layout

_BACKEND = "OpenCV, with which the labeling backend reads films,"


def film_notes(film: Film) -> tuple[str, ...]:
    """Return notes on what was lost of a film, is slow, or is not shown by the labeling backend as it is.

    The notes are a part of the fingerprint of the film's plan: other words would make it another plan.
    """
    notes = list(film.losses)
    if frames := held_frames(film):
        notes.append(
            f"frames that were missing or damaged in its source, which show the frame before them: {frames}"
        )
    if not film.seekable:
        notes.append(
            "its frames cannot be found by time, so every shard decodes it from its start: give few shards, "
            f"or use a copy that keeps every frame, {_copy_command(film)}"
        )
    if other := opencv_seek_mismatches(film):
        notes.append(_opencv_note(film, other[0]))
    if layout := stereo_layout(film):
        notes.append(
            f"a 3D film with the pictures of both eyes {layout}: every person is found twice. Use a copy "
            f"with the pictures of one eye, {_one_eye_command(film, layout)}"
        )
    return tuple(notes)


def _opencv_note(film: Film, frame: int) -> str:
    """Return why OpenCV does not show `frame` as it is, and what to do."""
    if not opencv_decodes(film):
        return (
            f"{_BACKEND} cannot decode its video ({video_codec(film)}): its full-frame view would be empty. "
            f"Convert it, {_copy_command(film)}, and use that film everywhere"
        )
    if film.mirrored:
        return (
            f"its display matrix mirrors it, but {_BACKEND} does not: its full-frame view would not match "
            f"the boxes. Mirror the pixels, {_copy_command(film)}, and use that film everywhere"
        )
    return (
        "seeking by frame number in OpenCV, as the labeling backend does, shows other frames than these "
        f"or none (for one, at frame {frame}): its full-frame view would not match the boxes. Make "
        f"the rate constant, {_copy_command(film)}, and use that film everywhere"
    )


def _copy_command(film: Film) -> str:
    """Return the command that copies all frames of a film to one with a constant frame rate."""
    rate = Fraction(film.frame_rate).limit_denominator(1001)
    words = ["-vf", f"setpts=N/({rate})/TB", "-r", str(rate), "-fps_mode", "passthrough", "-crf", "16"]
    return command_line("ffmpeg", "-i", str(film.path.absolute()), *words, f"./{film.path.stem}-cfr.mp4")


def _one_eye_command(film: Film, layout: str) -> str:
    """Return the command that keeps the left or upper half of each frame."""
    ratio = film.display_width / film.display_height
    if layout == SIDE_BY_SIDE:
        half = "stereo3d=sbsl:ml" if ratio > 2.5 else "stereo3d=sbs2l:ml"  # sbs2l: squeezed to half the width
    else:
        half = "stereo3d=abl:ml" if ratio < 1.2 else "stereo3d=ab2l:ml"
    words = ["-vf", half, "-fps_mode", "passthrough", "-crf", "16"]
    return command_line("ffmpeg", "-i", str(film.path.absolute()), *words, f"./{film.path.stem}-2d.mp4")
