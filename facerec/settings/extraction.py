"""Settings of extraction, and the version of its results."""

from __future__ import annotations

from dataclasses import dataclass

from facerec.errors import InputError

# Version of the code that computes shards and the embeddings of actors. Raise it with a change that alters
# any of their bytes, not with every release: an unfinished film of another version is refused, and the
# pictures of actors are embedded again.
RESULTS_VERSION = 2


@dataclass(frozen=True)
class ExtractSettings:
    """Settings of `extract.py`; all shards of a folder must have the same.

    Attributes:
        detector, embedder: model specs, `NAME` or `NAME:FILE`.
        save_every: save and embed the faces of frames with a number that is a multiple of this. Lower: more
            thumbnails and embeddings per trajectory, more time.
        min_face_size: minimum shorter side of a saved face's box, in display pixels. Higher: fewer, better
            faces, less time.
        min_box_size: minimum shorter side of any box, in display pixels; `smallest_box(min_face_size)`. A
            face between the two sizes is followed but not saved: it belongs to a trajectory that is larger
            at another time.
        face_threshold: smallest detection score, 0 to 1; None: the detector's default. Higher: fewer
            false faces, more missed ones.
        images: whether thumbnails are saved.
        precision: float32, float16 or bfloat16, in which RetinaFace and FaceNet compute; all other models
            compute in float32. On a GPU the last two are several times as fast, with nearly the same results.
        detect_every: run the detector on frames with a number that is a multiple of this; boxes of the frames
            between are interpolated. Higher: less time, less exact boxes, short appearances are missed.
        tiles: whether frames larger than the detector's input are also searched in overlapping tiles, for
            detectors with an input of fixed size: finds faces of `min_face_size` in films of 1080 and 2160
            lines, and takes a multiple of the time.
    """

    detector: str = "retinaface"
    embedder: str = "facenet"
    save_every: int = 5
    min_face_size: int = 20
    min_box_size: int = 10
    face_threshold: float | None = None
    images: bool = True
    precision: str = "float32"
    detect_every: int = 1
    tiles: bool = False


def smallest_box(min_face_size: int) -> int:
    """Return the `min_box_size` for a minimum size of faces, both in display pixels.

    Half of it: the detectors find such faces without a finer scale of the frames, so at no cost. Not below 8
    pixels, where most boxes are no faces.
    """
    return min(min_face_size, max(8, min_face_size // 2))


AUTO = "auto"  # a value that follows from the film or the device


def face_size(text: str, frame: tuple[int, int]) -> int:
    """Return a minimum size of faces in display pixels.

    Args:
        text: pixels (`20`), a share of the frame's shorter side, mostly its height (`2%`), or `auto`: 20
            pixels in frames of up to 1080 lines, and the same share of larger ones.
        frame: width and height of the frame in display pixels.

    Raises:
        InputError: `text` is none of these, or less than a pixel.
    """
    if text == AUTO:
        return max(ExtractSettings.min_face_size, round(min(frame) * ExtractSettings.min_face_size / 1080))
    number, percent = text.removesuffix("%"), text.endswith("%")
    try:
        value = float(number) if percent else int(number)
    except ValueError:
        value = float("nan")
    if percent and 0 < value <= 100:
        return max(1, round(min(frame) * value / 100))
    if not percent and value >= 1:
        return int(value)
    raise InputError(
        f"--min-face-size {text}: must be at least 1 pixel, as in 20, or a share of the height, as in 2%"
    )
