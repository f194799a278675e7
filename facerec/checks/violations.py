"""What is collected while a data folder is checked, and what its plan leads one to expect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facerec.errors import ContractError
from facerec.folder.plan import Plan

_KEPT = 1000  # deviations that are kept; of more, only the number


class Deviations:
    """What was found wrong: all of it counted, the first thousand kept."""

    def __init__(self) -> None:
        self.kept: list[ContractError] = []
        self.count = 0

    def add(self, path: Path, rule: str, line: int | None = None) -> None:
        self.take(ContractError(path, rule, line))

    def take(self, error: ContractError) -> None:
        self.count += 1
        if len(self.kept) < _KEPT:
            self.kept.append(error)


@dataclass(frozen=True)
class Expected:
    """What the plan says of every record; None where nothing is known."""

    frame_count: int | None = None
    size: tuple[int, int] | None = None
    save_every: int | None = None
    pictures: bool = True

    @classmethod
    def by(cls, plan: Plan | None) -> Expected:
        if plan is None:
            return cls()
        size, every = plan.video.get("display_size"), plan.settings.get("save_every")
        return cls(
            plan.frame_count,
            (size[0], size[1]) if isinstance(size, list) and len(size) == 2 else None,
            every if isinstance(every, int) and every > 0 else None,
            plan.settings.get("images") is not False,
        )

    def rules(self, end: int, size: tuple[int, int]) -> Iterator[str]:
        """The rules that a record which ends before frame `end` breaks."""
        if self.frame_count is not None and end > self.frame_count:
            yield f"frame {end - 1} of a film of {self.frame_count} frames"
        if self.size and size != self.size:
            yield f"w, h is {size[0]}, {size[1]} where the film is shown at {self.size[0]}, {self.size[1]}"
