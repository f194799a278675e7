"""Opens files of weights that may be anything, so that what is wrong with one is said in one line."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facerec.errors import ModelError

if TYPE_CHECKING:
    import torch


def load_state(path: Path, network: torch.nn.Module, ignored: tuple[str, ...] = ()) -> None:
    """Load a PyTorch state dict into `network`, which may be on the meta device, and set it to inference.

    Reads tensors only (`weights_only`): a file cannot run code.

    Args:
        ignored: first parts of keys that the file may hold in excess.

    Raises:
        ModelError: the file is no state dict, or that of another network.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file of any kind may be here, and torch fails in as many ways
        raise ModelError(f"{path}: no PyTorch weights file ({_first_line(error)})") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelError(f"{path}: holds no table of tensors, so no weights of {type(network).__name__}")
    state = {key: value for key, value in state.items() if not key.startswith(ignored or ("\0",))}
    wanted = network.state_dict()
    wrong = sorted(wanted.keys() ^ state.keys()) or sorted(
        key for key, value in wanted.items() if state[key].shape != value.shape
    )
    if wrong:
        raise ModelError(
            f"{path}: weights of another network than {type(network).__name__} "
            f"({len(wrong)} tensors missing, unknown or of another shape, the first {wrong[0]!r})"
        )
    network.load_state_dict(state, assign=True)
    network.requires_grad_(False)
    network.eval()


def check_onnx(
    path: Path, session: Any, inputs: int, outputs: int
) -> tuple[list[int | str | None], list[str]]:
    """Check what an ONNX model takes and gives.

    Args:
        session: of `onnx_session`, over `path`.
        inputs: number of inputs it must have, the first an image tensor (n, 3, height, width).
        outputs: number of outputs it must have.

    Returns:
        The shape of its first input and the names of its outputs.

    Raises:
        ModelError: it is another model.
    """
    found_in, found_out = session.get_inputs(), session.get_outputs()
    shape = list(found_in[0].shape) if found_in else []
    if len(found_in) != inputs or len(found_out) != outputs or len(shape) != 4 or shape[1] not in (3, "3"):
        raise ModelError(
            f"{path}: another model ({len(found_in)} inputs, the first of shape {shape}, "
            f"{len(found_out)} outputs; expected {inputs}, [n, 3, height, width] and {outputs})"
        )
    return shape, [output.name for output in found_out]


def onnx_session(path: Path, threads: int) -> Any:
    """An onnxruntime session over `path` on `threads` CPU threads.

    All weights must be in the file itself: those that it names beside it would not count into its hash.

    Raises:
        ModelError: it is no ONNX file, or has weights elsewhere.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other stages need the cores
    options.log_severity_level = 3
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen classes for a file that is not one of its
        if "xternal data" in str(error):
            rule = "has weights in another file, which its hash would not cover; save it as one file"
            raise ModelError(f"{path}: {rule}") from error
        raise ModelError(f"{path}: no ONNX file that can be run ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]


def fold_batch_norms(network: torch.nn.Module) -> None:
    """Put each batch normalisation that directly follows a convolution into that one's weights, in place.

    For networks that apply their layers in the order in which they declare them; inference only.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in list(network.modules()):
        for (first, conv), (second, norm) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, first, fuse_conv_bn_eval(conv, norm))
                setattr(module, second, nn.Identity())
