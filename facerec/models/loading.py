"""Load untrusted weights files; an unusable file gives a one-line error."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facerec.errors import ModelError
from facerec.support.shell import option

if TYPE_CHECKING:
    import torch

# If 1, ONNX models on a GPU run in TensorRT. Not by default: it chooses algorithms by timing them everywhere,
# so that shards of one film could differ in their last bits, and takes minutes to prepare a network.
TENSORRT = "FACEREC_TENSORRT"
# what an error of ONNX Runtime begins with: a number, and often the place in its source
_ONNX_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : (\S+\.(cc|h):\d+ .*?\) (?=[A-Z]))?")


def load_state(
    path: Path, network: torch.nn.Module, ignored: tuple[str, ...] = (), *, checkpoint: bool = False
) -> None:
    """Load a PyTorch state dict into `network` and switch it to inference.

    Reads tensors only (`weights_only`), so a file cannot run code.

    Args:
        network: may be on the meta device.
        ignored: prefixes of keys that the file may have in addition.
        checkpoint: the file may be a checkpoint of a training, see `_unwrap`.

    Raises:
        ModelError: the file is not a state dict, is one of another network, or has NaN or infinite numbers.
    """
    state = read_state(path, type(network).__name__, checkpoint=checkpoint)
    state = {key: value for key, value in state.items() if not key.startswith(ignored or ("\0",))}
    if checkpoint:
        state = add_counters(state, network)
    assign_state(path, state, network)


def read_state(path: Path, network: str, *, checkpoint: bool = False) -> dict[str, torch.Tensor]:
    """Read the tensors of a PyTorch weights file by name.

    Args:
        network: its name, for messages.
        checkpoint: as in `load_state`.

    Raises:
        ModelError: the file is not a table of tensors.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for files of other kinds
        raise ModelError(f"{path}: not a PyTorch weights file ({_first_line(error)})") from error
    if checkpoint:
        state = _unwrap(state)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelError(f"{path}: contains no table of tensors, so it cannot be weights of {network}")
    return state


def assign_state(path: Path, state: dict[str, torch.Tensor], network: torch.nn.Module) -> None:
    """Give the tensors of the file `path` to `network` and switch it to inference.

    Args:
        state: with the names of the network's own tensors.
        network: may be on the meta device.

    Raises:
        ModelError: tensors are missing, unknown, of another shape, or have NaN or infinite numbers.
    """
    expected = network.state_dict()
    wrong = sorted(expected.keys() ^ state.keys()) or sorted(
        key for key, value in expected.items() if state[key].shape != value.shape
    )
    if wrong:
        raise ModelError(
            f"{path}: weights of another network than {type(network).__name__} "
            f"({len(wrong)} tensors missing, unknown or of another shape, for example {wrong[0]!r})"
        )
    # some activations turn NaN into 0, so that not all of these would show in the network's output
    damaged = [key for key, value in state.items() if not all_finite(value)]
    if damaged:
        raise ModelError(f"{path}: damaged: its tensor {damaged[0]!r} has NaN or infinite numbers")
    network.load_state_dict(state, assign=True)
    network.requires_grad_(False)
    network.eval()


def all_finite(tensor: torch.Tensor) -> bool:
    """Whether a tensor has neither NaN nor infinite numbers; their sum, which is fast, shows it mostly."""
    return bool(tensor.sum().isfinite() or tensor.isfinite().all())


def add_counters(state: dict[str, torch.Tensor], network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Add the counters that batch normalisations have since torch 0.4.1; inference ignores them."""
    import torch

    counters = {key for key in network.state_dict() if key.endswith(".num_batches_tracked")}
    return {**{key: torch.tensor(0) for key in counters - state.keys()}, **state}


def _unwrap(state: Any) -> Any:
    """Return the tensors of a training's checkpoint: in `state_dict`, names without the prefix `module.`."""
    if isinstance(state, dict):
        for key in ("state_dict", "model_state"):
            if isinstance(state.get(key), dict):
                state = state[key]
                break
        if state and all(isinstance(key, str) and key.startswith("module.") for key in state):
            state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def check_onnx(
    path: Path, session: Any, inputs: int, outputs: int | None = None
) -> tuple[list[int | str | None], list[str]]:
    """Check the inputs and outputs of an ONNX model.

    Args:
        session: from `onnx_session(path, …)`.
        inputs: required number of inputs; the first must be an image tensor (n, 3, height, width).
        outputs: required number of outputs; None for any.

    Returns:
        The shape of the first input and the names of the outputs.

    Raises:
        ModelError: the model has others.
    """
    found_in, found_out = session.get_inputs(), session.get_outputs()
    shape = list(found_in[0].shape) if found_in else []
    # a channel axis of any length is tried, unless the channels are the last axis
    channels_first = len(shape) == 4 and (shape[1] == 3 or (not isinstance(shape[1], int) and shape[3] != 3))
    wrong_outputs = outputs is not None and len(found_out) != outputs
    if len(found_in) != inputs or wrong_outputs or not channels_first:
        expected = "" if outputs is None else f", {outputs} outputs"
        raise ModelError(
            f"{path}: another kind of model ({len(found_in)} inputs, the first of shape {shape}, "
            f"{len(found_out)} outputs; expected: {inputs} inputs, [n, 3, height, width]{expected})"
        )
    return shape, [output.name for output in found_out]


def onnx_session(path: Path, threads: int, device: str = "cpu") -> Any:
    """Open an ONNX file for inference.

    All weights must be in the file itself: the recorded hash would not cover external ones.

    Args:
        threads: of the CPU.
        device: `cpu` or `cuda:i`; a GPU needs ONNX Runtime's CUDA provider.

    Raises:
        ModelError: it is not an ONNX file, has external weights, or the GPU cannot be used.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other stages need the cores
    options.log_severity_level = 3
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    providers: list[Any] = ["CPUExecutionProvider"]
    if device != "cpu":
        options.use_deterministic_compute = True
        # neither algorithms chosen by timing them nor products rounded to TF32
        exact = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
        providers.insert(
            0, ("CUDAExecutionProvider", {"device_id": device.partition(":")[2] or "0", **exact})
        )
        if os.environ.get(TENSORRT) == "1":
            if "TensorrtExecutionProvider" not in onnxruntime.get_available_providers():
                raise ModelError(
                    f"{TENSORRT}=1, but this ONNX Runtime has no TensorRT provider: leave it out"
                )
            providers.insert(0, ("TensorrtExecutionProvider", {"device_id": device.partition(":")[2] or "0"}))
        onnxruntime.preload_dlls()  # of the CUDA packages that torch brings
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=providers)
    except Exception as error:  # onnxruntime raises a dozen types for unusable files
        if "xternal data" in str(error):
            rule = "has weights in another file, which the recorded hash would not cover; save it as one file"
            raise ModelError(f"{path}: {rule}") from error
        raise ModelError(f"{path}: not a usable ONNX file ({_first_line(error)})") from error
    if device != "cpu" and "CUDAExecutionProvider" not in session.get_providers():
        # it only logs that a library is missing, and goes on with the CPU
        raise ModelError(
            f"device {device} was requested, but ONNX Runtime cannot use it for {path.name}: its CUDA "
            "provider or a library of CUDA is missing (package onnxruntime-gpu); use "
            f"{option('--device', 'cpu')}"
        )
    return session


def fold_batch_norms(network: torch.nn.Module) -> None:
    """Fold each batch normalisation that follows a convolution into its weights, in place; for inference.

    Args:
        network: applies its layers in the order in which it declares them.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in list(network.modules()):
        for (first, conv), (second, norm) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d | nn.Conv3d) and isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(module, first, fuse_conv_bn_eval(conv, norm))
                setattr(module, second, nn.Identity())


def _first_line(error: Exception) -> str:
    """Return why torch cannot read a file; its unpickler names opcodes, and advises to trust the file."""
    text = str(error).strip()
    if text.isdigit() or text.startswith("Weights only load failed"):
        return "it is no table of tensors"
    text = _ONNX_PREFIX.sub("", text) or type(error).__name__
    return text.splitlines()[0][:120]
