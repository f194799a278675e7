"""Small models of persons in the formats of the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CELLS = 21  # of an input of 32x32 pixels: 4x4, 2x2 and 1


def yolox_output(*persons: tuple[int, float, float, float, float, float]) -> NDArray[np.float32]:
    """Return the raw output of a YOLOX of 32x32 pixels: (1, 21, 85).

    Args:
        persons: cell, offset x, y and log of width, height in strides, score.
    """
    output = np.zeros((1, CELLS, 85), np.float32)
    for cell, x, y, width, height, score in persons:
        output[0, cell, :6] = x, y, width, height, 1, score
    return output


def write_yolox(
    path: Path, output: NDArray[np.float32], shape: tuple[int | str, ...] = (1, 3, 32, 32)
) -> Path:
    """Write an ONNX file that returns `output` for every picture."""
    return _write(path, output, shape, list(output.shape))


def _write(
    path: Path, output: NDArray[np.float32], shape: tuple[int | str, ...], returned: list[int]
) -> Path:
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "constant"], ["output"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(0, np.float32), "zero"),
        numpy_helper.from_array(output, "constant"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, returned)],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def write_osnet(path: Path, batch: int | str = "batch", scale: float = 1.0) -> Path:
    """Write an embedder of pictures of 256x128 pixels: `scale` times the mean of each channel."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Mul", ["means", "scale"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, 256, 128])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(np.array(scale, np.float32), "scale")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
