"""Findings of the diagnosis, and how they are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from facerec.support.text import counted


class State(Enum):
    """How a finding is shown; `MISSING` makes the diagnosis fail."""

    OK = "ok"
    NOTE = "note"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    Attributes:
        subject: what was checked, as `models`; findings of one subject are shown together.
        text: what was found.
        fix: the command that changes it, or another remedy; empty if nothing needs to be done.
    """

    subject: str
    state: State
    text: str
    fix: str = ""


def found(subject: str, text: str) -> Finding:
    """Return a finding of something that is there."""
    return Finding(subject, State.OK, text)


def note(subject: str, text: str, fix: str = "") -> Finding:
    """Return a finding of something that is not needed by everybody."""
    return Finding(subject, State.NOTE, text, fix)


def missing(subject: str, text: str, fix: str) -> Finding:
    """Return a finding of something without which a movie cannot be run."""
    return Finding(subject, State.MISSING, text, fix)


def report_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield the report: a line for each finding, and under it, indented, what to do."""
    for subject, group in groupby(findings, key=lambda finding: finding.subject):
        for number, finding in enumerate(group):
            label = "" if number else subject
            yield f"{label:<10} {finding.state.value:<8} {finding.text}"
            if finding.fix:
                yield f"{'':<10} {'':<8} → {finding.fix}"


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line of the report."""
    count = Counter(finding.state for finding in findings)
    result = f"{count[State.MISSING]} missing" if count[State.MISSING] else "nothing is missing"
    return f"{result}, {counted(count[State.NOTE], 'note')}, {count[State.OK]} ok"
