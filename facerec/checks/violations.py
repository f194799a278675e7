"""Violations and warnings that checks collect, and the values that the plan prescribes for every record."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from facerec.errors import ContractError, FacerecError
from facerec.folder.plan import Plan

MAX_KEPT = 1000  # violations kept in memory; beyond that only their number is


class Violations:
    """Broken rules of one folder: all are counted and judged, the first `MAX_KEPT` of each kind are kept.

    Args:
        read_files: files and folders that the labeling backend reads: it refuses a violation in them.
        read_folders: folders of which the labeling backend reads every file.

    Attributes:
        count: how many violations were found in all.
        fatal_count: how many of them lie in a file that the labeling backend reads.
        warnings: sentences about what breaks no rule but should be known before the folder is handed over.
    """

    def __init__(self, read_files: Collection[Path] = (), read_folders: Collection[Path] = ()) -> None:
        self.count = 0
        self.fatal_count = 0
        self.warnings: list[str] = []
        self._read_files, self._read_folders = frozenset(read_files), frozenset(read_folders)
        self._fatal: list[ContractError] = []
        self._others: list[ContractError] = []

    @property
    def kept(self) -> list[ContractError]:
        """At most `MAX_KEPT` violations: first those in files that the backend reads, each kind as found."""
        return (self._fatal + self._others)[:MAX_KEPT]

    def add(self, path: Path, rule: str, line: int | None = None, fatal: bool | None = None) -> None:
        """Report that `path`, at its 1-based `line`, breaks a rule.

        Args:
            fatal: whether the labeling backend refuses it; None: if it reads `path`.
        """
        self.add_error(ContractError(path, rule, line), fatal)

    def add_error(self, error: ContractError, fatal: bool | None = None) -> None:
        """Report an error that a reader raised; `fatal` as in `add`."""
        if fatal is None:
            fatal = error.path in self._read_files or not self._read_folders.isdisjoint(error.path.parents)
        self.count += 1
        self.fatal_count += fatal
        kept = self._fatal if fatal else self._others
        if len(kept) < MAX_KEPT:
            kept.append(error)

    def add_failure(self, path: Path, error: FacerecError) -> None:
        """Report that `path` cannot be used; its name, or its folder's, is not repeated in the rule."""
        self.add(path, str(error).removeprefix(f"{path}: ").removeprefix(f"{path.parent}: "))

    def warn(self, path: Path, message: str) -> None:
        """Report what breaks no rule but should be known, of the file `path`."""
        self.warnings.append(f"{path}: {message}")


@dataclass(frozen=True)
class Expected:
    """Values that the plan prescribes for every record; None if there is no plan.

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
        every = plan.settings.get("save_every")
        return cls(
            plan.frame_count,
            plan.display_size,
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
