"""The utilisation of a GPU while something runs, read from NVIDIA's management library (NVML)."""

from __future__ import annotations

import ctypes
import threading
from types import TracebackType
from typing import Any

INTERVAL_S = 0.05


class _Rates(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


def open_library() -> Any:
    """Load and initialise NVML; None where it is missing or has no GPU."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    return library if library.nvmlInit_v2() == 0 else None


class Utilisation:
    """Samples the utilisation of a GPU in a block.

    Args:
        uuid: of the GPU, `GPU-…`; empty for none.

    Attributes:
        percent: the mean share of the time in which a kernel ran; None if it cannot be read (CPU, MIG).
    """

    def __init__(self, uuid: str, library: Any = None) -> None:
        self._library: Any = library or (open_library() if uuid else None)
        self._handle = ctypes.c_void_p()
        self._stop = threading.Event()
        self._samples: list[int] = []
        handle = ctypes.byref(self._handle)
        if self._library and self._library.nvmlDeviceGetHandleByUUID(uuid.encode(), handle) != 0:
            self._library = None
        self._thread = threading.Thread(target=self._sample, daemon=True)

    @property
    def percent(self) -> float | None:
        """The mean of the samples so far."""
        return round(sum(self._samples) / len(self._samples), 1) if self._samples else None

    def _sample(self) -> None:
        rates = _Rates()
        while not self._stop.wait(INTERVAL_S):
            if self._library.nvmlDeviceGetUtilizationRates(self._handle, ctypes.byref(rates)) == 0:
                self._samples.append(rates.gpu)

    def __enter__(self) -> Utilisation:
        if self._library is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
