"""Count false and missed splits of simulated trajectories of one, two and three stretches.

    python bench/switch_rates.py [--trajectories 2000] [--seed 0]

Distances are in units of the embedder's `same_person`. As on the clips with both pairs of models, the median
distance of two faces of a person is 0.3 to 0.9, and that of two people 1.06 to 1.35. Half of the variance
within a person is pose, which changes slowly in two directions; the rest changes faster in all of them. A
stretch has 4 to 30 saved faces. Prints a Markdown table:

split           trajectories with more parts than stretches
all found       trajectories with every change found within one saved face
faces mixed     share of the faces that lie in a part with more faces of another person
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.support.cli import configure_logging, parser, run_main
from facerec.tracking.identity_switch import split_by_appearance
from facerec.tracking.tracker import Track

DIMENSIONS = 128
WITHIN, BETWEEN = (0.3, 0.9), (1.06, 1.35)  # median distances, in `same_person`
POSE, FAST = 0.9, 0.4  # correlation of the noise of one face with that of the next
FACES = (4, 30)  # of a stretch
SAME_PERSON = 0.1  # small, so that the simulated vectors lie close together on the unit sphere
KINDS = {"A": (0,), "A B": (0, 1), "A B A": (0, 1, 0), "A B C": (0, 1, 2)}


@dataclass
class Rates:
    """Counts over the trajectories of one kind; see the module."""

    trajectories: int = 0
    split: int = 0
    found: int = 0
    faces: int = 0
    mixed: int = 0


def noise(rng: np.random.Generator, faces: int, dimensions: int, correlation: float) -> NDArray[np.float64]:
    """Return (faces, dimensions) noise of unit variance a face, correlated in time."""
    drawn: NDArray[np.float64] = rng.normal(size=(faces, dimensions)) / np.sqrt(dimensions)
    for i in range(1, faces):
        drawn[i] = correlation * drawn[i - 1] + np.sqrt(1 - correlation**2) * drawn[i]
    return drawn


def simulate(
    rng: np.random.Generator, people: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Simulate a trajectory; return its embeddings (m, d) and the stretch (m,) of each face."""
    within = rng.uniform(*WITHIN)
    gap = np.sqrt(rng.uniform(*BETWEEN) ** 2 - within**2)
    means = rng.normal(size=(max(people) + 1, DIMENSIONS)) / np.sqrt(DIMENSIONS) * gap / np.sqrt(2)
    lengths = rng.integers(FACES[0], FACES[1] + 1, len(people))
    parts = []
    for person, length in zip(people, lengths, strict=True):
        pose = noise(rng, length, 2, POSE) @ np.linalg.qr(rng.normal(size=(DIMENSIONS, 2)))[0].T
        varied = (pose + noise(rng, length, DIMENSIONS, FAST)) / np.sqrt(2)
        parts.append(means[person] + varied * within / np.sqrt(2))
    vectors = np.concatenate(parts) * SAME_PERSON
    vectors = np.column_stack([vectors, np.ones(len(vectors))])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, np.repeat(np.arange(len(people)), lengths)


def add(
    rates: Rates, vectors: NDArray[np.float64], stretch: NDArray[np.int64], people: Sequence[int]
) -> None:
    """Split one simulated trajectory and count its errors."""
    faces = len(vectors)
    still = Track(np.arange(faces), np.tile([0.0, 0, 40, 40], (faces, 1)), np.arange(faces))
    parts = split_by_appearance(still, still.frames, vectors, SAME_PERSON)
    starts = np.array([part.frames[0] for part in parts[1:]])
    changes = np.flatnonzero(np.diff(stretch)) + 1
    rates.trajectories += 1
    rates.split += len(parts) > len(people)
    rates.found += all((abs(starts - change) <= 1).any() for change in changes)
    rates.faces += faces
    for part in parts:
        shown = np.bincount([people[stretch[frame]] for frame in part.frames])
        rates.mixed += int(shown.sum() - shown.max())


def measure(trajectories: int, seed: int) -> dict[str, Rates]:
    """Simulate and split that many trajectories of each kind."""
    rng = np.random.default_rng(seed)
    found = {kind: Rates() for kind in KINDS}
    for kind, people in KINDS.items():
        for _ in range(trajectories):
            add(found[kind], *simulate(rng, people), people)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument("--trajectories", type=int, default=2000, metavar="N", help="of each kind")
    made.add_argument("--seed", type=int, default=0)
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    print("| people | trajectories | split | all found | faces mixed |\n|---|---|---|---|---|")  # noqa: T201
    for kind, rates in measure(args.trajectories, args.seed).items():
        shares = rates.split / rates.trajectories, rates.found / rates.trajectories, rates.mixed / rates.faces
        print(f"| {kind} | {rates.trajectories} | " + " | ".join(f"{share:.4f}" for share in shares) + " |")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
