#!/usr/bin/env python3
"""Measure how well one distance tells pairs of faces of one person from pairs of two people.

    python bench/pairs.py --faces work/*-data --truth truth --actor-db work/actor_db

The faces are the portraits of the actor database and the trajectories with known people of the movie
folders, all of one embedder, if their quality is at least --min-quality; all pairs count.

Prints a Markdown table, one row per threshold, as a share of the embedder's `same_person`: pairs of two
people that are accepted, pairs of one person that are rejected, and balanced accuracy, the mean of the shares
of both kinds that are told right. The last two rows are the best by that accuracy, and the strictest that
rejects no more pairs than `same_person` itself; `Embedder.verification_threshold` follows the latter.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.clusters import add_faces
from bench.real_faces import Floats, known_faces
from facerec.actors.database import ActorDatabase
from facerec.models.base import VERIFICATION_SHARE
from facerec.support.cli import configure_logging, parser, run_main

SHARES = (0.8, 0.85, 0.9, VERIFICATION_SHARE, 0.95, 1.0, 1.05)


@dataclass(frozen=True)
class Pairs:
    """Sorted distances of pairs of one person, and of pairs of two people."""

    same: Floats
    different: Floats

    def false_accepts(self, threshold: float) -> int:
        return int(np.searchsorted(self.different, threshold))

    def false_rejects(self, threshold: float) -> int:
        return len(self.same) - int(np.searchsorted(self.same, threshold))

    def accuracy(self, threshold: float) -> float:
        """Compute the balanced accuracy, 0..1."""
        accepted = self.false_accepts(threshold) / len(self.different)
        return 1 - (self.false_rejects(threshold) / len(self.same) + accepted) / 2

    def auc(self) -> float:
        """Compute the chance that a pair of one person is nearer than one of two people; ties count half."""
        nearer = np.searchsorted(self.different, self.same)
        ties = np.searchsorted(self.different, self.same, "right") - nearer
        return 1 - float((nearer + ties / 2).mean()) / len(self.different)

    def best(self) -> float:
        """Return the threshold of the highest balanced accuracy; the middle of the first such gap."""
        every = np.unique(np.concatenate([self.same, self.different]))
        middles = (every[:-1] + every[1:]) / 2
        return float(max(middles, key=self.accuracy))

    def strictest(self) -> float:
        """Return the least threshold that rejects no more pairs of one person than 1 does."""
        kept = self.same[self.same < 1]
        return float(np.nextafter(kept.max(initial=0), 2))


def measure_pairs(vectors: Floats, people: Sequence[str], same_person: float) -> Pairs:
    """Measure the distances of all pairs of embeddings (n, d) of `people` (n), as shares of `same_person`."""
    i, j = np.triu_indices(len(vectors), 1)
    shares = np.linalg.norm(vectors[i] - vectors[j], axis=1) / same_person
    same = np.array(people)[i] == np.array(people)[j]
    return Pairs(np.sort(shares[same]), np.sort(shares[~same]))


def pairs_table(pairs: Pairs, same_person: float) -> list[str]:
    """Format the errors at `SHARES`, at the best threshold and at the strictest as a Markdown table."""
    rows = [(f"{share:.2f}", share) for share in SHARES]
    rows += [("best", pairs.best()), ("strictest", pairs.strictest())]
    lines = ["| share of `same_person` | distance | false accepts | false rejects | balanced accuracy |",
             "|---|---|---|---|---|"]  # fmt: skip
    for label, share in rows:
        label = label if label == f"{share:.2f}" else f"{label}: {share:.3f}"
        accepts = f"{pairs.false_accepts(share)} of {len(pairs.different)}"
        rejects = f"{pairs.false_rejects(share)} of {len(pairs.same)}"
        cells = f"{share * same_person:.3f} | {accepts} | {rejects} | {pairs.accuracy(share):.3f}"
        lines.append(f"| {label} | {cells} |")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    add_faces(made)
    made.add_argument("--min-quality", type=float, default=0.3, metavar="QUALITY",
                      help="least quality of a trajectory, 0..1")  # fmt: skip
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    seen, same_person = known_faces(args.faces, args.truth, ActorDatabase(args.actor_db))
    chosen = [(who, v) for who, own in seen.items() for v, quality in own if quality >= args.min_quality]
    pairs = measure_pairs(np.array([v for _, v in chosen]), [who for who, _ in chosen], same_person)
    print("\n".join(pairs_table(pairs, same_person)))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
