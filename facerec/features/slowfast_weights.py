"""The published forms of SlowFast's weights.

Three are read: pytorchvideo's model zoo (`.pyth`), the caffe2 pickles of PySlowFast's Model Zoo (`.pkl`, the
tensors under `blobs`), and checkpoints of PySlowFast's training. A pickle is read without running its code.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facerec.models.loading import read_state

_BLOB = re.compile(
    r"(?P<fast>t_)?(?P<layer>(res_)?conv1|(?P<fusion>pool1_subsample)|pred|"
    r"res(?P<stage>[2-5])_(?P<block>\d+)_branch(?P<branch>1|2[abc])(?P<stage_fusion>_bn_subsample)?)"
    r"_(?P<tensor>w|b|bn_s|bn_b|bn_rm|bn_riv)"
)
_BLOB_TENSORS = {
    "w": "weight",
    "b": "bias",
    "bn_s": "weight",
    "bn_b": "bias",
    "bn_rm": "running_mean",
    "bn_riv": "running_var",
}
_PYSLOWFAST = re.compile(
    r"(?P<layer>head\.projection|s(?P<stage>[1-5])(?:(?P<fusion>_fuse)\.(?:conv_f2s|bn)|"
    r"\.pathway(?P<pathway>[01])_(?:stem\.(?:conv|bn)|"
    r"res(?P<block>\d+)\.branch(?P<branch>1|2\.[abc])(?:_bn)?)))"
    r"\.(?P<tensor>weight|bias|running_mean|running_var|num_batches_tracked)"
)
_ARRAY_PARTS = {
    ("multiarray", "_reconstruct"),
    ("multiarray", "scalar"),
    ("numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


def read_slowfast(path: Path, network: str, head: str) -> dict[str, torch.Tensor]:
    """Read SlowFast's weights in one of their published forms.

    Args:
        network: its name, for the message.
        head: name of the last linear layer in pytorchvideo's network.

    Returns:
        The tensors by pytorchvideo's names; those of the stages begin with `blocks.`, or `model.blocks.` if
        the file has them so.

    Raises:
        ModelError: the file has no table of tensors.
    """
    blobs = _read_blobs(path)
    if blobs is not None:  # others are momenta, the learning rate and the like
        named = {_name_of_blob(blob, head): torch.from_numpy(values) for blob, values in blobs.items()}
        return {name: values for name, values in named.items() if name is not None}
    state = read_state(path, network, checkpoint=True)
    return {_pytorchvideo_name(name, head): values for name, values in state.items()}


class _ArraysOnly(pickle.Unpickler):
    """Reads dictionaries, numbers, text and NumPy arrays; anything else is an error."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):  # Python 3 writes bytes so in old protocols
            return super().find_class(module, name)
        if module.partition(".")[0] == "numpy" and (module.rpartition(".")[2], name) in _ARRAY_PARTS:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name} is not part of an array")


def _read_blobs(path: Path) -> dict[str, np.ndarray[Any, Any]] | None:
    """Read the arrays under `blobs` of a caffe2 pickle; return None if the file is no such pickle."""
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()
    except Exception:  # a damaged pickle raises any type; the file may also be PyTorch's
        return None
    blobs = content.get("blobs") if isinstance(content, dict) else None
    if not isinstance(blobs, dict):
        return None
    return {
        str(name): np.array(values)
        for name, values in blobs.items()
        if isinstance(values, np.ndarray) and values.dtype.kind == "f"
    }


def _name_of_blob(blob: str, head: str) -> str | None:
    """Return pytorchvideo's name of a caffe2 blob; None if it is none of the network's tensors."""
    match = _BLOB.fullmatch(blob)
    if match is None:
        return None
    return _name(
        head if match["layer"] == "pred" else None,
        stage=int(match["stage"] or 1),
        fusion=bool(match["fusion"] or match["stage_fusion"]),
        pathway=1 if match["fast"] else 0,
        block=match["block"],
        branch=match["branch"],
        norm=match["tensor"].startswith("bn_"),
        tensor=_BLOB_TENSORS[match["tensor"]],
    )


def _pytorchvideo_name(name: str, head: str) -> str:
    """Return pytorchvideo's name of a tensor that may have PySlowFast's."""
    match = _PYSLOWFAST.fullmatch(name)
    if match is None:
        return name
    return _name(
        head if match["stage"] is None else None,
        stage=int(match["stage"] or 0),
        fusion=bool(match["fusion"]),
        pathway=int(match["pathway"] or 0),
        block=match["block"],
        branch=match["branch"],
        norm=match["layer"].endswith("bn"),
        tensor=match["tensor"],
    )


def _name(
    head: str | None,
    *,
    stage: int,
    fusion: bool,
    pathway: int,
    block: str | None,
    branch: str | None,
    norm: bool,
    tensor: str,
) -> str:
    """Build pytorchvideo's name of a tensor.

    Args:
        head: the last linear layer, if it is one of this layer.
        stage: 1 (the stem) to 5.
        fusion: whether it belongs to the connection from the fast to the slow pathway.
        pathway: 0 is slow, 1 fast.
        block, branch: of a residual block; the branch is `1` or ends with `a`, `b` or `c`.
        norm: whether it belongs to a batch normalisation.
    """
    kind = "norm" if norm else "conv"
    if head is not None:
        return f"{head}.{tensor}"
    if fusion:
        return f"blocks.{stage - 1}.multipathway_fusion.{'norm' if norm else 'conv_fast_to_slow'}.{tensor}"
    place = f"blocks.{stage - 1}.multipathway_blocks.{pathway}"
    if block is None or branch is None:
        return f"{place}.{kind}.{tensor}"
    layer = f"branch1_{kind}" if branch == "1" else f"branch2.{kind}_{branch[-1]}"
    return f"{place}.res_blocks.{block}.{layer}.{tensor}"
