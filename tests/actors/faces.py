"""Random embeddings around given directions."""

from __future__ import annotations

import numpy as np

SAME = 0.6


def faces(rng: np.random.Generator, centre: int, count: int, spread: float) -> np.ndarray:
    """`count` unit vectors around the axis `centre` of 32-d space, about `spread` from it."""
    noise = rng.normal(size=(count, 32))
    vectors = np.eye(32)[centre] + spread * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
