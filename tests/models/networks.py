"""Networks with random weights, made without the libraries' own slow initialisation."""

from __future__ import annotations

from pathlib import Path

import torch

from facerec.models.base import ModelCard
from facerec.models.weights import WeightFiles

NORMS = ("bn.weight", "bn1.weight", "bn2.weight", "bn3.weight", "downsample.1.weight", "last_bn.weight")


def random_state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return random weights for a network on the meta device; activations neither vanish nor explode."""
    torch.manual_seed(7)
    network = network.to_empty(device="cpu")
    for name, values in network.state_dict().items():
        if name.endswith(("running_var", *NORMS)):
            values.fill_(1)
        elif values.is_floating_point():
            values.normal_(0, 0.3 / max(values[0].numel(), 10) ** 0.5)
    return dict(network.state_dict())


def saved(kind: str, state: dict[str, torch.Tensor], path: Path) -> WeightFiles:
    """Write weights of the model `kind` to `path`."""
    torch.save(state, path)
    return WeightFiles((path,), ModelCard(kind, path.name, "0" * 64, "none"))
