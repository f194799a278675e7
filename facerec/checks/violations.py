"""The violations that checks collect, and the values that the plan prescribes for every record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facerec.errors import ContractError, FacerecError
from facerec.folder.plan import Plan

MAX_KEPT = 1000  # violations kept in memory; beyond that only their number is


class Violations:
    """Broken rules of one folder: all are counted, the first `MAX_KEPT` are kept.

    Attributes:
        kept: in the order in which they were found.
        count: how many were found in all.
    """

    def __init__(self) -> None:
        self.kept: list[ContractError] = []
        self.count = 0

    def add(self, path: Path, rule: str, line: int | None = None) -> None:
        """Report that `path`, at its 1-based `line`, breaks a rule."""
        self.add_error(ContractError(path, rule, line))

    def add_error(self, error: ContractError) -> None:
        """Report an error that a reader raised."""
        self.count += 1
        if len(self.kept) < MAX_KEPT:
            self.kept.append(error)

    def add_failure(self, path: Path, error: FacerecError) -> None:
        """Report that `path` cannot be used; its name, or its folder's, is not repeated in the rule."""
        self.add(path, str(error).removeprefix(f"{path}: ").removeprefix(f"{path.parent}: "))


@dataclass(frozen=True)
class Expected:
    """Values that the plan prescribes for every record; None where there is no plan.

    Attributes:
        frame_count: decoded frames of the film.
        size: display width and height in pixels.
        save_every: faces are saved only in frames with a number that is a multiple of it.
        pictures: thumbnails are saved.
    """

    frame_count: int | None = None
    size: tuple[int, int] | None = None
    save_every: int | None = None
    pictures: bool = True

    @classmethod
    def from_plan(cls, plan: Plan | None) -> Expected:
        """Take the values from a plan, which may have been edited by hand."""
        if plan is None:
            return cls()
        size, every = plan.video.get("display_size"), plan.settings.get("save_every")
        return cls(
            plan.frame_count,
            (size[0], size[1]) if isinstance(size, list) and len(size) == 2 else None,
            every if isinstance(every, int) and every > 0 else None,
            plan.settings.get("images") is not False,
        )

    def broken_rules(self, end: int, size: tuple[int, int]) -> Iterator[str]:
        """Yield the rules that a record breaks which ends before frame `end` and has `size` (w, h)."""
        if self.frame_count is not None and end > self.frame_count:
            yield f"frame {end - 1} in a film of {self.frame_count} frames"
        if self.size and size != self.size:
            width, height = self.size
            yield f"w, h is {size[0]}, {size[1]}, but the film's display size is {width}, {height}"
