"""Random weights for networks that cannot be downloaded: activations stay near 1 at any depth."""

from __future__ import annotations

import torch
from torch import nn


def random_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return random tensors with the names and shapes of the network's own; the same in every run."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, value in network.state_dict().items():
        random = torch.rand(value.shape, generator=generator)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = random + 0.5
        elif value.ndim > 1:
            bound = (6 / value[0].numel()) ** 0.5
            state[name] = (2 * random - 1) * bound
        elif name.endswith("weight"):
            state[name] = random / 2 + 0.5
        else:
            state[name] = random / 5 - 0.1
    return state
