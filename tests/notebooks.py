"""Notebooks kept as Markdown: `python` blocks are cells, the `text` block after a cell is what it shows.

    python -m tests.notebooks docs/notebook.md DIR

runs the cells of a page in the folder DIR and writes what they show into the page.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_CELL = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.M | re.S)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def cells(page: str) -> list[tuple[str, str]]:
    """Return code and what is shown of each cell of a page."""
    return [(match["code"], match["shown"] or "") for match in _CELL.finditer(page)]


def run(page: str, folder: Path) -> Iterator[str]:
    """Run the cells of a page one after the other in `folder`; yields what each shows.

    As in a notebook, a cell shows what it prints and the value of its last line.
    """
    names: dict[str, object] = {"__name__": "notebook"}
    with contextlib.chdir(folder):
        for code, _ in cells(page):
            printed = io.StringIO()
            body = ast.parse(code).body
            last = body.pop() if isinstance(body[-1], ast.Expr) else None
            with contextlib.redirect_stdout(printed):
                exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
                if last is not None:
                    value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
                    if value is not None:
                        print(value)  # noqa: T201
            yield "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())


def differences(expected: str, shown: str, tolerance: float = 0.05) -> str:
    """Return the first line that differs, "" for none; numbers may differ by a share of `tolerance`."""
    lines, other = expected.splitlines(), shown.splitlines()
    if len(lines) != len(other):
        return f"{len(lines)} lines instead of {len(other)}:\n{shown}"
    for one, two in zip(lines, other, strict=True):
        numbers = zip(map(float, _NUMBER.findall(one)), map(float, _NUMBER.findall(two)), strict=False)
        words = [re.sub(r"[\s#-]+", " ", _NUMBER.sub("#", line)) for line in (one, two)]
        if words[0] != words[1] or any(abs(a - b) > tolerance * max(abs(a), 1) for a, b in numbers):
            return f"{one!r} is in the page, but shown is {two!r}"
    return ""


def main() -> None:
    path, folder = Path(sys.argv[1]).absolute(), Path(sys.argv[2])
    page = path.read_text(encoding="utf-8")
    outputs = run(page, folder)

    def filled(match: re.Match[str]) -> str:
        shown = next(outputs)
        return f"```python\n{match['code']}```\n" + (f"\n```text\n{shown}```\n" if shown else "")

    path.write_text(_CELL.sub(filled, page), encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "110")
    main()
