"""`facerec COMMAND`: entry point of all commands in an installed package.

`facerec extract …` does the same as `python -u ./facerec/extract.py …` in a checkout.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import ast
import difflib
import importlib
import importlib.util
import shutil
import sys
import textwrap
from collections.abc import Sequence

from facerec.support.cli import run_main

# module of each command, in the order of use
COMMANDS = {
    "demo": "facerec.demo.__main__",
    "doctor": "facerec.doctor",
    "fetch_models": "facerec.fetch_models",
    "measure_precision": "facerec.measure_precision",
    "make_film": "facerec.make_film",
    "add_movie": "facerec.add_movie",
    "prepare_actors": "facerec.prepare_actors",
    "extract": "facerec.extract",
    "merge_shards": "facerec.merge_shards",
    "cluster": "facerec.cluster",
    "classify_knn": "facerec.classify_knn",
    "extract_features": "facerec.extract_features",
    "check": "facerec.check",
    "handover": "facerec.handover",
    "contact_sheet": "facerec.contact_sheet",
    "report": "facerec.report",
    "apply_labels": "facerec.apply_labels",
    "export": "facerec.export",
    "evaluate": "facerec.evaluate",
    "learn_from_labels": "facerec.learn_from_labels",
    "forget_actor": "facerec.forget_actor",
    "slurm": "slurm.cli",
}
_USAGE_ERROR = 2  # as in argparse


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first word names, with the remaining words as its arguments.

    Returns:
        The exit status of the command; 2 if the command is missing or unknown.
    """
    command, *words = (sys.argv[1:] if argv is None else argv) or [""]
    if command in ("-h", "--help"):
        sys.stdout.write(overview())
        return 0
    if command == "--version":
        from facerec import __version__

        sys.stdout.write(f"facerec {__version__}\n")
        return 0
    if not command:
        sys.stderr.write(overview())
        return _USAGE_ERROR
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, 1)
        meant = (
            f"did you mean {near[0]}? `facerec --help` lists all commands"
            if near
            else f"valid commands: {', '.join(COMMANDS)}"
        )
        sys.stderr.write(f"facerec: error: unknown command {command!r}; {meant}\n")
        return _USAGE_ERROR
    sys.argv = [f"facerec {command}", *words]
    main = importlib.import_module(COMMANDS[command]).main
    return run_main(main)


def overview() -> str:
    """Return the help text: all commands, each with the first line of its documentation."""
    indent = max(map(len, COMMANDS)) + 4
    width = max(60, shutil.get_terminal_size(fallback=(1000, 0)).columns)
    lines = [
        textwrap.fill(f"{f'  {command}':<{indent}}{_summary(module)}", width, subsequent_indent=" " * indent)
        for command, module in COMMANDS.items()
    ]
    return (
        "usage: facerec COMMAND …\n\n"
        "Find, follow, group and name every actor of a feature film.\n\n"
        + "\n".join(lines)
        + "\n\n`facerec COMMAND --help` explains a command's options.\n"
    )


def _summary(module: str) -> str:
    """Return the first line of a module's docstring without importing the module, which may be slow."""
    spec = importlib.util.find_spec(module)
    source = getattr(spec and spec.loader, "get_source", lambda _: None)(module)
    return (ast.get_docstring(ast.parse(source or "")) or "").partition("\n")[0]


if __name__ == "__main__":
    raise SystemExit(run())
