"""Random weights of SlowFast in its published forms."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

State = dict[str, torch.Tensor]
TENSORS = {"weight": "bn_s", "bias": "bn_b", "running_mean": "bn_rm", "running_var": "bn_riv"}


def caffe2_name(name: str) -> str:
    """Return the caffe2 name of a tensor with pytorchvideo's name."""
    parts = name.split(".")
    tensor = parts[-1]
    if "proj" in parts:
        return f"pred_{tensor[0]}"
    number = int(parts[1])
    tensor = TENSORS[tensor] if "norm" in parts[-2] else "w"
    if parts[2] == "multipathway_fusion":
        last = {1: 2, 2: 3, 3: 5}.get(number)
        place = f"res{number + 1}_{last}_branch2c_bn" if last else "pool1"
        return f"t_{place}_subsample_{tensor}"
    fast = "t_" if parts[3] == "1" else ""
    if number == 0:
        return f"{fast}conv1_w" if tensor == "w" else f"{fast}res_conv1_{tensor}"
    branch = "1" if parts[6].startswith("branch1") else "2" + parts[7][-1]
    return f"{fast}res{number + 1}_{parts[5]}_branch{branch}_{tensor}"


def pyslowfast_name(name: str) -> str:
    """Return PySlowFast's name of a tensor with pytorchvideo's name."""
    parts = name.split(".")
    tensor, norm = parts[-1], "norm" in parts[-2]
    if "proj" in parts:
        return f"head.projection.{tensor}"
    stage = f"s{int(parts[1]) + 1}"
    if parts[2] == "multipathway_fusion":
        return f"{stage}_fuse.{'bn' if norm else 'conv_f2s'}.{tensor}"
    place = f"{stage}.pathway{parts[3]}_"
    if parts[1] == "0":
        return f"{place}stem.{'bn' if norm else 'conv'}.{tensor}"
    branch = "branch1" if parts[6].startswith("branch1") else f"branch2.{parts[7][-1]}"
    return f"{place}res{parts[5]}.{branch}{'_bn' if norm else ''}.{tensor}"


def write_caffe2(state: State, path: Path) -> None:
    """Write weights as a pickle of the Model Zoo: protocol 2, with the optimiser's blobs."""
    blobs = {}
    for name, value in state.items():
        if not name.endswith("num_batches_tracked"):
            blob = caffe2_name(name.removeprefix("model."))
            blobs[blob] = value.numpy()
            blobs[f"{blob}_momentum"] = value.numpy()[:1] * 0
    blobs |= {"lr": torch.ones(1).numpy(), "model_iter": torch.ones(1, dtype=torch.long).numpy()}
    path.write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))


def write_pyslowfast(state: State, path: Path) -> None:
    """Write weights as a checkpoint of PySlowFast's training."""
    named = {pyslowfast_name(name.removeprefix("model.")): value for name, value in state.items()}
    torch.save({"epoch": 196, "model_state": named, "cfg": "TRAIN: {}"}, path)


def write_pytorchvideo(state: State, path: Path) -> None:
    """Write weights as a file of pytorchvideo's model zoo."""
    torch.save({"model_state": state}, path)


def parameters(network: nn.Module) -> int:
    """Count the parameters of a network."""
    return sum(parameter.numel() for parameter in network.parameters())
