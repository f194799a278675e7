"""Run an ONNX network on images of few sizes in arrays that are used again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZES = 4  # sizes of images for which each thread keeps its arrays
Rows = NDArray[np.float32]


@dataclass
class Arrays:
    """The arrays of one thread for one size of images.

    Attributes:
        input: (1, 3, height, width); has what was written last.
        outputs: (rows, columns) by name of the group; None before the first run.
    """

    input: NDArray[np.float32]
    outputs: dict[str, Rows] | None = None
    binding: Any = None


class OnnxArrays:
    """Runs a network, in any number of threads; its arrays are in the memory of the CPU.

    Args:
        session: from `onnx_session`, with one input.
        groups: outputs of which the rows are put one after the other into one array. The last dimension of an
            output counts its columns, the others its rows.
    """

    def __init__(self, session: Any, groups: Mapping[str, Sequence[str]]) -> None:
        self._session, self._groups = session, groups
        self._input = session.get_inputs()[0].name
        self._of_thread = threading.local()

    def arrays(self, height: int, width: int) -> Arrays:
        """Return this thread's arrays for images of a size; write the image into `input`, then `run`."""
        known: OrderedDict[tuple[int, int], Arrays] = self._of_thread.__dict__.setdefault(
            "arrays", OrderedDict()
        )
        if (height, width) not in known:
            known[height, width] = Arrays(np.zeros((1, 3, height, width), np.float32))
            if len(known) > SIZES:
                known.popitem(last=False)
        known.move_to_end((height, width))
        return known[height, width]

    def run(self, arrays: Arrays) -> dict[str, Rows]:
        """Run the network on `arrays.input`; return `arrays.outputs`, which the next run overwrites."""
        if arrays.outputs is None:
            self._first_run(arrays)
        else:
            self._session.run_with_iobinding(arrays.binding)
        assert arrays.outputs is not None
        return arrays.outputs

    def _first_run(self, arrays: Arrays) -> None:
        """Run the network and make the arrays for outputs of the shapes that it returned."""
        names = [name for group in self._groups.values() for name in group]
        values = dict(zip(names, self._session.run(names, {self._input: arrays.input}), strict=True))
        binding = self._session.io_binding()
        shape, address = arrays.input.shape, arrays.input.ctypes.data
        binding.bind_input(self._input, "cpu", 0, np.float32, shape, address)
        outputs = {}
        for group, members in self._groups.items():
            parts = [values[name].reshape(-1, values[name].shape[-1]) for name in members]
            outputs[group] = rows = np.ascontiguousarray(np.concatenate(parts), np.float32)
            begin = 0
            for name, part in zip(members, parts, strict=True):
                target = rows[begin : begin + len(part)]
                binding.bind_output(name, "cpu", 0, np.float32, values[name].shape, target.ctypes.data)
                begin += len(part)
        arrays.outputs, arrays.binding = outputs, binding
