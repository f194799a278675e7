"""dlib's face recognition ResNet (King, "High quality face recognition with deep metric learning", 2017).

Runs on the CPU; an embedding has 128 components. dlib aligns a face by landmarks that it finds in a box of
its own detector; in the boxes of other detectors they are often wrong. Aligning the detector's keypoints to
their typical places in dlib's crops separates people better: the area under the ROC curve, on portraits and
films in which half the faces are profiles, is 0.91 instead of 0.74 with MTCNN's boxes and 0.89 instead of
0.81 with YuNet's.

dlib holds Python's global lock while it computes, 70 ms for each face, which would block all other stages.
It therefore runs in worker processes, started as needed.
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
from facerec.models.base import VERIFICATION_SHARE, check_finite, normalize_rows
from facerec.models.device import Placement, parallel_map
from facerec.models.weights import WeightFiles

# Keypoints x, y: medians of both detectors' in crops of dlib.get_face_chip(padding=0.25), made symmetric.
TEMPLATE = np.array([[48.7, 44.2], [101.3, 44.2], [75.0, 78.7], [54.2, 110.4], [95.8, 110.4]])


class DlibResNet:
    """An `Embedder` that runs dlib in worker processes.

    Args:
        found: the network's file.
        placement: ignored; the network runs on the CPU, one crop at a time.

    Raises:
        ModelError: the file is not dlib's network.
    """

    dimension = dlib_worker.DIMENSION
    # dlib documents 0.6 for its vectors without normalisation, of mean length 1.39.
    same_person = 0.43
    verification_threshold = VERIFICATION_SHARE * same_person

    def __init__(self, found: WeightFiles, placement: Placement) -> None:
        self.card = found.card
        self._path = found.paths[0]
        self._idle = [_Worker(self._path)]
        self._lock = threading.Lock()

    def crop(self, frame: Image, box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Image:
        """Align a face to the template, (150, 150, 3) RGB; `box` is not used."""
        return align(frame, keypoints, TEMPLATE, (dlib_worker.SIZE, dlib_worker.SIZE))

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Embed crops; return (n, 128) float32 unit vectors.

        Raises:
            ModelError: a worker process died.
            NonFiniteError: a vector has NaN or infinite numbers.
        """
        vectors = np.array(parallel_map(self._embed, crops), np.float32).reshape(-1, self.dimension)
        check_finite(self.card, "float32", embeddings=vectors)
        return normalize_rows(vectors)

    def _embed(self, crop: Image) -> NDArray[np.float64]:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        worker = worker or _Worker(self._path)
        vector = worker.embed(crop)
        with self._lock:
            self._idle.append(worker)
        return vector


class _Worker:
    """A process that embeds one crop at a time; it ends when this object is collected.

    Raises:
        ModelError: the file at `path` is not dlib's network.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        command = [sys.executable, "-I", "-u", dlib_worker.__file__, str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stop = weakref.finalize(self, _stop, self._process)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        greeting = self._out.readline().decode(errors="replace").strip()
        if greeting != "ready":
            self._stop()
            raise ModelError(
                f"{path}: not dlib's face recognition network ({greeting[:120] or 'dlib failed'})"
            )

    def embed(self, crop: Image) -> NDArray[np.float64]:
        """Return dlib's (128,) vector of a (150, 150, 3) crop, not normalised."""
        answer = b""
        with suppress(BrokenPipeError):
            self._in.write(np.ascontiguousarray(crop).tobytes())
            self._in.flush()
            answer = self._out.read(8 * dlib_worker.DIMENSION)
        if len(answer) < 8 * dlib_worker.DIMENSION:
            self._stop()
            status = self._process.returncode
            raise ModelError(
                f"{self._path}: dlib's worker process ended with status {status}; if the machine ran out of "
                "memory, request more memory or fewer CPU threads"
            )
        return np.frombuffer(answer, np.float64)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Close a worker's input, which makes it exit, and wait for its end."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
    process.wait()
