"""Make the demo's film and actor database from photographs that come with scikit-image and matplotlib.

Both portraits are works of the US government and in the public domain: Eileen Collins (NASA, `astronaut` in
scikit-image) and Grace Hopper (US Navy, `grace_hopper.jpg` in matplotlib). The sky is the Hubble deep field
(NASA/ESA), also from scikit-image. The actor database has the portraits unchanged; in the film they move and
are scaled, tilted, relit and blurred.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError

if TYPE_CHECKING:
    from facerec.actors.database import ActorDatabase

FILM = "1-TwoPioneers.mp4"
WIDTH, HEIGHT, FPS = 640, 360, 24
COLLINS, HOPPER = "eileen-collins", "grace-hopper"  # actor ids

# the tables of the actor database
_ACTORS = f"""\
movie_id,movie_name,movie_year,id,name,role,birthday,birthplace
1,Two Pioneers,2026,{COLLINS},Eileen Collins,Astronaut,19.11.1956,"Elmira, New York, USA"
1,Two Pioneers,2026,{HOPPER},Grace Hopper,Rear admiral,09.12.1906,"New York City, New York, USA"
"""
_IMAGES = f"""\
actor_id,movie_id,filename,n_detections
{COLLINS},1,{COLLINS}.png,1
{HOPPER},1,{HOPPER}.jpg,1
"""
_ASPECT_RATIOS = f"""\
filename,display_width,display_height
{FILM},{WIDTH},{HEIGHT}
"""

Picture = NDArray[np.float32]  # (height, width, 3) RGB, 0..1


def photographs() -> dict[str, Path]:
    """Return the paths of the photographs in the installed packages, by actor id and for the `sky`.

    Raises:
        InputError: a package was installed without its sample data.
    """
    import matplotlib
    import skimage.data

    found = {
        COLLINS: Path(skimage.data.__file__).parent / "astronaut.png",
        HOPPER: Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg",
        "sky": Path(skimage.data.__file__).parent / "hubble_deep_field.jpg",
    }
    for path in found.values():
        if not path.is_file():
            raise InputError(f"{path}: this photograph is missing; reinstall scikit-image and matplotlib")
    return found


def write_tables(database: ActorDatabase) -> None:
    """Write the cast, the list of its pictures and the film's display size into a new actor database."""
    database.folder.mkdir()
    database.actors.write_text(_ACTORS, encoding="utf-8")
    database.images.write_text(_IMAGES, encoding="utf-8")
    database.aspect_ratios.write_text(_ASPECT_RATIOS, encoding="utf-8")


def write_gallery(folder: Path) -> None:
    """Copy the two portraits into an actor database's folder of pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for actor, path in photographs().items():
        if actor != "sky":
            shutil.copyfile(path, folder / f"{actor}{path.suffix}")


@dataclass(frozen=True)
class Shot:
    """One shot of the demo film.

    Attributes:
        frames: length in frames.
        cast: ids of the actors that it shows.
        view: renders the picture at a time 0..1 of the shot.
    """

    frames: int
    cast: frozenset[str]
    view: Callable[[float], Picture]


def demo_shots() -> list[Shot]:
    """Return the shots of the film in order, separated by hard cuts."""
    pictures = {name: _read(path) for name, path in photographs().items()}
    collins, hopper, sky = pictures[COLLINS], pictures[HOPPER], pictures["sky"]

    def opening(t: float) -> Picture:
        return _camera(sky, _between((340, 330), (480, 400), t), 520 - 60 * t)

    def collins_alone(t: float) -> Picture:  # the camera pans from the shuttle to her face
        pan = _ease(min(1.0, t / 0.6))
        seen = _camera(collins, _between((400, 128), (232, 122), pan), 215 + 165 * pan)
        return _relit(seen, gain=0.85 + 0.2 * pan, tint=(1.04, 1.0, 0.94))

    def hopper_alone(t: float) -> Picture:  # the camera pulls back while light moves across her face
        seen = _camera(hopper, _between((268, 232), (262, 222), t), 330 + 150 * _ease(t), tilt=3 - 6 * t)
        return _relit(seen, gain=0.95, slope=0.55 - 1.1 * t)

    def together(t: float) -> Picture:
        left = _relit(_camera(hopper, (394 + 8 * math.sin(5 * t), 236 - 12 * t), 512), gain=0.82, slope=-0.15)
        right = _camera(collins, (152 - 8 * t, 108 + 6 * math.sin(6 * t)), 310 - 24 * t)
        right = _relit(right, gain=0.84, tint=(0.94, 1.0, 1.06), slope=0.15)
        across = np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :, None]
        return _mix(left, right, np.clip((across - 0.46) / 0.08, 0, 1))

    def cutaway(t: float) -> Picture:
        return _camera(collins, _between((412, 96), (412, 150), t), 180)

    def dusk(t: float) -> Picture:  # closer and darker, from blurred to sharp
        seen = _camera(collins, _between((218, 118), (236, 116), t), 250 - 40 * t, tilt=-4 + 8 * t)
        return _relit(_blurred(seen, 2.4 * (1 - t)), gain=0.62 + 0.1 * t, tint=(1.12, 0.98, 0.8), slope=-0.35)

    def last_look(t: float) -> Picture:  # mirrored, in faded colours
        seen = _camera(hopper[:, ::-1], _between((250, 262), (262, 250), t), 505)
        grey = np.repeat(seen.mean(axis=2, keepdims=True), 3, axis=2)
        return _relit(_mix(seen, grey, 0.7), gain=1.05, tint=(1.08, 1.0, 0.86))

    nobody, one, other = frozenset[str](), frozenset({COLLINS}), frozenset({HOPPER})
    return [
        Shot(30, nobody, opening),
        Shot(72, one, collins_alone),
        Shot(66, other, hopper_alone),
        Shot(78, one | other, together),
        Shot(24, nobody, cutaway),
        Shot(42, one, dusk),
        Shot(36, other, last_look),
    ]


def cut_frames(shots: Sequence[Shot]) -> list[int]:
    """Return the first frame of each shot but the first."""
    return list(accumulate(shot.frames for shot in shots))[:-1]


def write_film(path: Path, shots: Sequence[Shot]) -> None:
    """Render the shots and encode them as H.264, 640x360 pixels at 24 frames per second."""
    import av

    with av.open(str(path), "w") as film:
        options = {"crf": "19", "preset": "veryfast", "threads": "2"}
        stream = film.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, picture in enumerate(_render(shots)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


def _render(shots: Sequence[Shot]) -> Iterator[NDArray[np.uint8]]:
    """Yield every frame, (height, width, 3) RGB."""
    for shot in shots:
        for i in range(shot.frames):
            picture = shot.view(i / (shot.frames - 1))
            yield np.asarray(np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _read(path: Path) -> Picture:
    """Read a photograph."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"{path}: is not a picture; reinstall the package that it belongs to")
    return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.float32) / np.float32(255)


def _camera(picture: Picture, centre: tuple[float, float], width: float, tilt: float = 0.0) -> Picture:
    """Crop `width` pixels around `centre` (x, y), tilted by degrees, and scale them to the film's size."""
    matrix = cv2.getRotationMatrix2D(centre, tilt, WIDTH / width)
    matrix[:, 2] += (WIDTH / 2 - centre[0], HEIGHT / 2 - centre[1])
    seen = cv2.warpAffine(
        picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(seen, dtype=np.float32)


def _relit(
    picture: Picture, gain: float, tint: tuple[float, float, float] = (1, 1, 1), slope: float = 0.0
) -> Picture:
    """Change brightness and tint; light comes from the right if slope > 0, from the left if slope < 0."""
    across = 1 + slope * np.linspace(-1, 1, WIDTH, dtype=np.float32)[None, :, None]
    return np.asarray(picture * across * (gain * np.array(tint, dtype=np.float32)), dtype=np.float32)


def _blurred(picture: Picture, sigma: float) -> Picture:
    """Blur with a Gaussian of `sigma` pixels."""
    return picture if sigma < 0.2 else np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.float32)


def _mix(a: Picture, b: Picture, share: NDArray[np.float32] | float) -> Picture:
    """Blend two pictures; `share` 0..1 is that of `b`."""
    return np.asarray(a * (1 - share) + b * share, dtype=np.float32)


def _between(a: tuple[float, float], b: tuple[float, float], t: float) -> tuple[float, float]:
    """Interpolate between two points."""
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def _ease(t: float) -> float:
    """Map 0..1 to 0..1 with zero speed at both ends."""
    return t * t * (3 - 2 * t)
