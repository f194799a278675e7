"""dlib's face recognition ResNet (King, "High quality face recognition with deep metric learning", 2017).

128 numbers a face, on the CPU. dlib turns a face by landmarks that it finds in a box of its own
detector; in another detector's box they are often off. Placing the keypoints where they lie in dlib's
well-turned crops tells people apart better: area under the ROC curve, on portraits and films in which
half the faces are profiles, 0.91 against 0.74 with MTCNN's boxes and 0.89 against 0.81 with YuNet's.

dlib holds Python's lock while it computes, 70 ms a face, and all other stages would stand still meanwhile.
So it does that in processes of its own, as many as are ever wanted at once.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError
from facerec.geometry import Image
from facerec.models import dlib_worker
from facerec.models.align import align
from facerec.models.base import normalize_rows
from facerec.models.device import Placement, parallel_map
from facerec.models.weights import WeightFiles

# Medians of both detectors' keypoints in crops by dlib.get_face_chip(padding=0.25), made symmetric.
TEMPLATE = np.array([[48.7, 44.2], [101.3, 44.2], [75.0, 78.7], [54.2, 110.4], [95.8, 110.4]])


class DlibResNet:
    """An `Embedder`.

    Args:
        found: the network's file.
        placement: not of interest; the network runs on the CPU, a crop at a time.

    Raises:
        ModelError: the file is something else.
    """

    dimension = dlib_worker.DIMENSION
    # dlib's documentation says 0.6, of vectors that it leaves at their lengths: 1.39 on average.
    same_person = 0.43

    def __init__(self, found: WeightFiles, placement: Placement) -> None:
        self.card = found.card
        self._path = found.paths[0]
        self._idle = [_Worker(self._path)]
        self._lock = threading.Lock()

    def crop(self, frame: Image, box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Image:
        """Cut a face out of `frame`, upright, (150, 150, 3) RGB; `box` is not used."""
        return align(frame, keypoints, TEMPLATE, (dlib_worker.SIZE, dlib_worker.SIZE))

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """(n, 128) float32 unit vectors.

        Raises:
            ModelError: a process of dlib's was killed.
        """
        vectors = np.array(parallel_map(self._embed, crops), np.float32)
        return normalize_rows(vectors.reshape(-1, self.dimension))

    def _embed(self, crop: Image) -> NDArray[np.float64]:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        worker = worker or _Worker(self._path)
        vector = worker.embed(crop)
        with self._lock:
            self._idle.append(worker)
        return vector


class _Worker:
    """A process that embeds one crop at a time; it ends with this object.

    Raises:
        ModelError: the file at `path` is not dlib's network.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        command = [sys.executable, "-I", "-u", dlib_worker.__file__, str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._end = weakref.finalize(self, _end, self._process)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        said = self._out.readline().decode(errors="replace").strip()
        if said != "ready":
            self._end()
            raise ModelError(f"{path}: not dlib's face recognition network ({said[:120] or 'dlib failed'})")

    def embed(self, crop: Image) -> NDArray[np.float64]:
        """The (128,) vector of a (150, 150, 3) crop, as dlib gives it."""
        answer = b""
        with suppress(BrokenPipeError):
            self._in.write(np.ascontiguousarray(crop).tobytes())
            self._in.flush()
            answer = self._out.read(8 * dlib_worker.DIMENSION)
        if len(answer) < 8 * dlib_worker.DIMENSION:
            self._end()
            status = self._process.returncode
            raise ModelError(
                f"{self._path}: the process in which dlib embeds ended with status {status}; if the machine "
                "ran out of memory, ask for more, or for fewer threads"
            )
        return np.frombuffer(answer, np.float64)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close a worker's input, which ends it, and wait until it has."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
    process.wait()
