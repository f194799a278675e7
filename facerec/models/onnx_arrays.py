"""Run an ONNX network on images of few sizes in arrays that are used again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image
from facerec.pixels import Channels

SIZES = 4  # sizes of images for which each thread keeps its arrays
Rows = NDArray[np.float32]
FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


@dataclass
class Arrays:
    """The arrays of one thread for one size of images.

    Attributes:
        input: (1, 3, height, width); has what was written last.
        outputs: by the index of a run, (rows, columns) by name of the group.
        bindings: by the index of a run, of input and outputs to the session.
    """

    input: NDArray[np.float32]
    outputs: dict[int, dict[str, Rows]] = field(default_factory=dict)
    bindings: dict[int, Any] = field(default_factory=dict)
    _planes: list[NDArray[np.uint8]] = field(default_factory=list)

    def split(self, image: Image | Channels) -> list[NDArray[np.uint8]]:
        """Return red, green and blue of `image` as planes (height, width), which the next call overwrites."""
        if isinstance(image, Channels):
            return [image.red, image.green, image.blue]
        if not self._planes or self._planes[0].shape != image.shape[:2]:
            self._planes = [np.empty(image.shape[:2], np.uint8) for _ in range(3)]
        cv2.split(image, self._planes)
        return self._planes


class OnnxArrays:
    """Runs a network, in any number of threads; its arrays are in the memory of the CPU.

    Args:
        session: from `onnx_session`, with one input.
        groups: outputs of which the rows are put one after the other into one array. The last dimension of an
            output counts its columns, the others its rows.

    A network in float16 or float64 is run too: its input is converted to its type, its outputs to float32.
    """

    def __init__(self, session: Any, groups: Mapping[str, Sequence[str]]) -> None:
        self._session, self._groups = session, groups
        self._input = session.get_inputs()[0].name
        ends = [*session.get_inputs(), *session.get_outputs()]
        self._in_float32 = all(end.type == "tensor(float)" for end in ends)
        self._type = FLOATS.get(session.get_inputs()[0].type, np.float32)
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

    def run(self, arrays: Arrays, index: int = 0) -> dict[str, Rows]:
        """Run the network on `arrays.input`.

        Args:
            index: of the outputs, where those of several runs are needed at the same time.

        Returns:
            The rows of each group, which the next run with the same `arrays` and `index` overwrites.
        """
        if not self._in_float32:
            return self._join(self._values(arrays))
        if index not in arrays.outputs:
            self._first_run(arrays, index)
        else:
            self._session.run_with_iobinding(arrays.bindings[index])
        return arrays.outputs[index]

    def _first_run(self, arrays: Arrays, index: int) -> None:
        """Run the network and make the arrays for outputs of the shapes that it returned."""
        values = self._values(arrays)
        binding = self._session.io_binding()
        shape, address = arrays.input.shape, arrays.input.ctypes.data
        binding.bind_input(self._input, "cpu", 0, np.float32, shape, address)
        outputs = self._join(values)
        for group, members in self._groups.items():
            begin = 0
            for name in members:
                end = begin + values[name].size // values[name].shape[-1]
                target = outputs[group][begin:end]
                binding.bind_output(name, "cpu", 0, np.float32, values[name].shape, target.ctypes.data)
                begin = end
        arrays.outputs[index], arrays.bindings[index] = outputs, binding

    def _values(self, arrays: Arrays) -> dict[str, NDArray[np.floating[Any]]]:
        """Run the network on `arrays.input`; return new arrays by name of the output."""
        names = [name for group in self._groups.values() for name in group]
        given = {self._input: arrays.input.astype(self._type, copy=False)}
        return dict(zip(names, self._session.run(names, given), strict=True))

    def _join(self, values: Mapping[str, NDArray[np.floating[Any]]]) -> dict[str, Rows]:
        """Put the rows of the outputs of each group one after the other."""
        return {
            group: np.concatenate(
                [values[name].reshape(-1, values[name].shape[-1]) for name in members]
            ).astype(np.float32, copy=False)
            for group, members in self._groups.items()
        }
