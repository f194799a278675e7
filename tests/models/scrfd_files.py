"""Small ONNX files with the inputs and outputs of SCRFD, which find white squares on black.

At a level of stride s the score of a place is the brightness of the square of 2s pixels around it, less that
of the ring of s pixels around the square: 1 for a white square of exactly this size.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# keypoints x, y around the middle of a face, in halves of its side
POINTS = np.array([[-0.4, -0.3], [0.4, -0.3], [0, 0.1], [-0.3, 0.5], [0.3, 0.5]], np.float32)
KINDS = ("score", "bbox", "kps")


def write_scrfd(
    path: Path,
    *,
    size: tuple[int, int] | None = (640, 640),
    batch: int | str = 1,
    strides: tuple[int, ...] = (8, 16, 32),
    kinds: tuple[str, ...] = KINDS,
    batched: bool = True,
    names: str = "{kind}_{stride}",
    by_stride: bool = False,
    offset: float = 0.0,
    channels: int | str = 3,
    takes: int = TensorProto.FLOAT,
    returns: int = TensorProto.FLOAT,
) -> str:
    """Write such a file and return its spec.

    Args:
        size: height and width of the input; None: any.
        batch: number of frames of the input; a word: any.
        strides: three levels have two anchors in a cell, as in SCRFD, and five have one.
        kinds: of outputs.
        batched: whether the outputs have an axis of frames.
        names: of the outputs.
        by_stride: order the outputs by stride first, not by kind.
        offset: added to the scores.
        channels: of the input; a word: any.
        takes, returns: type of the numbers of the input and of the outputs.
    """
    anchors = 2 if len(strides) == 3 else 1
    nodes: list[onnx.NodeProto] = []

    def constant(name: str, values: object, kind: type = np.float32) -> str:
        tensor = numpy_helper.from_array(np.array(values, kind), name)
        nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def add(op: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    half = constant("half", 0.5)
    pixels = add("Cast", ["x"], "pixels", to=TensorProto.FLOAT)
    grey = add("ReduceMean", [pixels], "grey", axes=[1], keepdims=1)
    light = add("Add", [add("Mul", [grey, half], "halved"), half], "light")
    for s in strides:
        pool = {"strides": [s, s], "count_include_pad": 1}
        inner = add("AveragePool", [light], f"i{s}", kernel_shape=[2 * s] * 2, pads=[s, s, 0, 0], **pool)
        outer = add(
            "AveragePool", [light], f"o{s}", kernel_shape=[4 * s] * 2, pads=[2 * s, 2 * s, s, s], **pool
        )
        four, three = constant(f"4{s}", 4.0), constant(f"3{s}", 3.0)
        ring = add("Div", [add("Sub", [add("Mul", [outer, four], f"m{s}"), inner], f"s{s}"), three], f"r{s}")
        raw = add("Relu", [add("Sub", [inner, ring], f"d{s}")], f"raw{s}")
        raw = add("Add", [raw, constant(f"f{s}", offset)], f"moved{s}")
        if anchors == 2:  # of the other anchor nothing is seen
            nothing = add("Mul", [raw, constant(f"n{s}", 0.0)], f"nothing{s}")
            raw = add("Concat", [raw, nothing], f"both{s}", axis=1)
        last = add("Transpose", [raw], f"last{s}", perm=[0, 2, 3, 1])
        frames = [0] if batched else []
        shape = constant(f"shape{s}", [*frames, -1, 1], np.int64)
        score = add("Reshape", [last, shape], names.format(kind="score", stride=s))
        zero = add("Mul", [score, constant(f"z{s}", 0.0)], f"zero{s}")
        for kind, values in (("bbox", [1.0] * 4), ("kps", POINTS.reshape(-1).tolist())):
            if kind in kinds:
                add("Add", [zero, constant(f"{kind}c{s}", values)], names.format(kind=kind, stride=s))
    for node in nodes:
        for kind, s in ((kind, s) for kind in kinds for s in strides):
            name = names.format(kind=kind, stride=s)
            for ends in (node.input, node.output):
                ends[:] = [f"{name} as float" if end == name else end for end in ends]
    for kind, s in ((kind, s) for kind in kinds for s in strides):
        name = names.format(kind=kind, stride=s)
        add("Cast", [f"{name} as float"], name, to=returns)
    order = (
        [(k, s) for s in strides for k in kinds] if by_stride else [(k, s) for k in kinds for s in strides]
    )
    ends = [helper.make_tensor_value_info(names.format(kind=k, stride=s), returns, None) for k, s in order]
    sides = list(size) if size else ["height", "width"]
    begin = [helper.make_tensor_value_info("x", takes, [batch, channels, *sides])]
    graph = helper.make_graph(nodes, "squares", begin, ends)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return f"scrfd:{path}"


def draw(frame: np.ndarray, side: int, x: int, y: int) -> None:
    """Draw a white square of `side` pixels around x, y."""
    half = side // 2
    frame[max(0, y - half) : y + half, max(0, x - half) : x + half] = 255
