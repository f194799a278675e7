"""SlowFast 8x8 R50 (Feichtenhofer et al., 2019) trained on Kinetics-400, around single frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from PIL.Image import Resampling

from facerec.errors import ModelError
from facerec.features.base import FEATURES, Arrays, Clip, Options, Window
from facerec.features.pictures import resize
from facerec.features.slowfast_network import FRAMES, MEAN, STAGE_DIMENSIONS, STD, load_slowfast
from facerec.features.window_network import WindowNetwork
from facerec.geometry import Image
from facerec.models.device import Placement

if TYPE_CHECKING:
    from facerec.models.weights import WeightFiles

SIZE = 256  # pixels


class SlowFastR50:
    """A window of 32 frames around every `step`-th frame (default 1), resized to 256x256.

    Around frame k these are frames k - 16 to k + 15; where the clip has not these, its first or last frame is
    repeated. A `window` of 64 frames gives every second of frames k - 32 to k + 31, and so on. The resizing
    ignores the aspect ratio. `reduce` takes one window instead, of 32 frames spread evenly over the clip.

    `layers` chooses stages of the network, 0 to 4, also by their dimensions 88, 352, 704, 1408 and 2304: the
    arrays are then `layer_0` to `layer_4`. Without it, `features` is the last stage's output.

    Raises:
        ModelError: the file is not this network's weights, or an option is not valid.
    """

    name = "slowfast_r50"

    def __init__(self, files: Sequence[WeightFiles], placement: Placement, options: Options) -> None:
        self.cards = tuple(file.card for file in files)
        self._step = 1 if options.step is None else options.step
        if self._step < 1:
            raise ModelError(f"the step of {self.name} must be at least 1 frame, not {self._step}")
        window = FRAMES if options.window is None else options.window
        if window < FRAMES or window % FRAMES:
            raise ModelError(
                f"the window of {self.name} must be a multiple of {FRAMES} frames, not {window:g}"
            )
        self._stride = int(window) // FRAMES
        self._reduce = bool(options.reduce)
        if self._reduce and not (options.step is None and options.window is None):
            raise ModelError(f"{self.name} with reduce takes one window of the whole clip: no step or window")
        self._stages: tuple[int, ...] = (len(STAGE_DIMENSIONS) - 1,)
        self.arrays: tuple[str, ...] = (FEATURES,)
        if options.layers is not None:
            self._stages = _stages(options.layers)
            self.arrays = tuple(f"layer_{stage}" for stage in self._stages)
        self.settings: dict[str, Any] = {
            "window": None if self._reduce else FRAMES * self._stride,
            "step": None if self._reduce else self._step,
            "size": SIZE,
            "layers": None if options.layers is None else [STAGE_DIMENSIONS[stage] for stage in self._stages],
            "precision": placement.precision,
        }
        mean, std = ((value * 255,) * 3 for value in (MEAN, STD))
        network = load_slowfast(files[0].paths[0])
        self._network = WindowNetwork(network, self.cards[0], placement, 8, mean, std)
        self.batch_size = self._network.batch_size

    def windows(self, clip: Clip) -> Iterator[Window]:
        """Yield the windows around the frames."""
        last = len(clip) - 1
        if self._reduce:
            frames = tuple(k * last // (FRAMES - 1) for k in range(FRAMES))
            yield Window(frames, float(clip.times[frames[FRAMES // 2]]), padded=len(clip) < FRAMES)
            return
        for centre in range(0, len(clip), self._step):
            beg, end = (centre + side * FRAMES // 2 * self._stride for side in (-1, 1))
            frames = tuple(min(max(frame, 0), last) for frame in range(beg, end, self._stride))
            yield Window(frames, float(clip.times[centre]), padded=len(clip) < end - beg)

    def prepare(self, picture: Image) -> NDArray[Any]:
        """Resize a frame to 256x256."""
        return resize(picture, SIZE, SIZE, Resampling.BILINEAR)

    def forward(self, windows: Sequence[Sequence[NDArray[Any]]]) -> list[Arrays]:
        """Compute the features of windows of 32 prepared frames: rows (2304,), or of the layers, float32."""
        return self._network.apply(
            windows, self.arrays, lambda batch: self._network.network(batch, self._stages)
        )


def _stages(layers: Sequence[int]) -> tuple[int, ...]:
    """Return the stages with the numbers or dimensions `layers`."""
    stages = {dimension: stage for stage, dimension in enumerate(STAGE_DIMENSIONS)}
    stages |= {stage: stage for stage in range(len(STAGE_DIMENSIONS))}
    valid = f"0 to {len(STAGE_DIMENSIONS) - 1}, or {', '.join(map(str, STAGE_DIMENSIONS))}"
    if not layers:
        raise ModelError(f"no layers of slowfast_r50 are chosen; its layers are {valid}")
    for layer in layers:
        if layer not in stages:
            raise ModelError(f"slowfast_r50 has no layer {layer}; its layers are {valid}")
    return tuple(sorted({stages[layer] for layer in layers}))
