"""A small ONNX file with the input and output of an ArcFace embedder."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper


def write_embedder(path: Path) -> str:
    """Write a network that embeds a crop as its mean colour; return its spec."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    begin = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 112, 112])]
    end = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])]
    graph = helper.make_graph(nodes, "colour", begin, end)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return f"arcface:{path}"
