"""The network of RetinaFace and its anchors, the boxes that its outputs correct."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from facerec.errors import ModelError

STEPS = (8, 16, 32)  # pixels between the anchors of the three levels
ANCHORS = ((16, 32), (64, 128), (256, 512))  # sides of the anchors, in pixels


def anchors(height: int, width: int) -> Tensor:
    """Compute the anchors of an input of `height` x `width` pixels.

    Returns:
        (p, 4) centre x, y, width and height, as fractions of the input's width and height.
    """
    levels = []
    for step, sides in zip(STEPS, ANCHORS, strict=True):
        rows, columns = -(-height // step), -(-width // step)
        y, x, side = torch.meshgrid(
            (torch.arange(rows) + 0.5) * step,
            (torch.arange(columns) + 0.5) * step,
            torch.tensor(sides, dtype=torch.float32),
            indexing="ij",
        )
        levels.append(
            torch.stack([x / width, y / height, side / width, side / height], dim=-1).reshape(-1, 4)
        )
    return torch.cat(levels)


def blank_network() -> torch.nn.Module:
    """Build the network without weights, on the meta device.

    Raises:
        ModelError: retinaface-pytorch is not installed, as after a plain `pip install` of facerec.
    """
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # torchvision's, about a renamed argument
        try:
            from retinaface.network import RetinaFace as Network
        except ModuleNotFoundError as error:
            raise ModelError(
                f"--detector retinaface needs a package that is not installed ({error}); run `make env`, or "
                "`pip install --no-deps retinaface-pytorch` (its declared dependencies are outdated)"
            ) from error
        network: torch.nn.Module = Network(
            name="Resnet50",
            pretrained=False,
            return_layers={"layer2": 1, "layer3": 2, "layer4": 3},
            in_channels=256,
            out_channels=256,
        )
    return network
