"""SlowFast 8x8 R50 (Feichtenhofer et al., 2019), pytorchvideo's network: for whole windows and for boxes."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path

import torch
from torch import nn

from facerec.features.slowfast_weights import read_slowfast
from facerec.models.loading import add_counters, assign_state, fold_batch_norms

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports parts of torch that are deprecated
    from pytorchvideo.models.slowfast import create_slowfast, create_slowfast_with_roi_head

FRAMES, ALPHA = 32, 4  # frames of a window; frames of the fast pathway for one of the slow pathway
MEAN, STD = 0.45, 0.225  # of pixel values 0..1
STAGE_DIMENSIONS = (88, 352, 704, 1408, 2304)
DIMENSION, ACTIONS = STAGE_DIMENSIONS[-1], 80
_SLOW = torch.linspace(0, FRAMES - 1, FRAMES // ALPHA).long().tolist()  # PySlowFast's choice of frames


class SlowFast(nn.Module):
    """The network of Kinetics-400 without its classifier; gives the pooled outputs of its stages."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = create_slowfast(head=None).blocks

    def forward(
        self, windows: torch.Tensor, stages: Collection[int] = (len(STAGE_DIMENSIONS) - 1,)
    ) -> list[torch.Tensor]:
        """Return the average output of each of `stages` over time and space.

        As in PySlowFast's head, an output is first averaged over 7x7 places. Averages are float32.

        Args:
            windows: (n, 3, 32, 256, 256), normalised RGB.
            stages: indices into `STAGE_DIMENSIONS`, ascending.

        Returns:
            For each stage (n, dimension); the channels of the slow pathway come first.
        """
        *blocks, pool = self.blocks
        pathways, pooled = split_pathways(windows), []
        for stage, block in enumerate(blocks):
            pathways = block(pathways)
            if stage in stages:
                pooled.append(pool([pathway.float() for pathway in pathways]).mean((2, 3, 4)))
        return pooled


class SlowFastRoI(nn.Module):
    """The network of AVA 2.2: features and action scores of boxes."""

    def __init__(self) -> None:
        super().__init__()
        network = create_slowfast_with_roi_head(model_num_class=ACTIONS)
        self.model, self.detection_head = network.model, network.detection_head

    def forward(self, windows: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute features and action scores of boxes. The head computes in float32, which boxes need.

        Args:
            windows: (n, 3, 32, height, width), normalised RGB.
            boxes: (k, 5): index of the window, x1, y1, x2, y2 in pixels of it.

        Returns:
            Features (k, 2304) and scores (k, 80), 0..1.
        """
        *blocks, pool = self.model.blocks
        pathways, head = split_pathways(windows), self.detection_head
        for block in blocks:
            pathways = block(pathways)
        output = pool([pathway.float() for pathway in pathways]).squeeze(2)
        features = head.pool_spatial(head.roi_layer(output, boxes)).flatten(1)
        return features, head.activation(head.proj(features))


def split_pathways(windows: torch.Tensor) -> list[torch.Tensor]:
    """Return the inputs of the slow and the fast pathway of windows (n, 3, 32, height, width)."""
    return [windows[:, :, _SLOW], windows]


def load_slowfast(path: Path) -> SlowFast:
    """Load the network of Kinetics-400 for inference.

    Raises:
        ModelError: the file is not this network's weights.
    """
    with torch.device("meta"):
        network = SlowFast()
    state = read_slowfast(path, SlowFast.__name__, "blocks.6.proj")
    state = {name: values for name, values in state.items() if not name.startswith("blocks.6.")}
    assign_state(path, add_counters(state, network), network)
    fold_batch_norms(network)
    return network


def load_slowfast_roi(path: Path) -> SlowFastRoI:
    """Load the network of AVA for inference.

    Raises:
        ModelError: the file is not this network's weights.
    """
    with torch.device("meta"):
        network = SlowFastRoI()
    state = read_slowfast(path, SlowFastRoI.__name__, "detection_head.proj")
    state = {f"model.{name}" if name.startswith("blocks.") else name: value for name, value in state.items()}
    assign_state(path, add_counters(state, network), network)
    fold_batch_norms(network)
    return network
