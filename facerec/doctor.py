"""List what this machine has and lacks to run movies, and the command that adds what is missing.

Looks at Python, the packages, the weights of the models, CPUs and memory, GPUs, SLURM, disk space, the films
and the actor database. The exit status is 1 if something is missing without which no movie can be run. No
file is changed.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from facerec.diagnosis.findings import Finding, State, report_lines, summary
from facerec.settings import ExtractSettings
from facerec.support.cli import configure_logging, parser, run_main


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    add = command_line.add_argument
    add("--films", type=Path, default=Path("films"), metavar="DIR", help="folder of the films")
    add("--actor-db", type=Path, default=Path("actor_db"), metavar="DIR", help="the actor database")
    add("--out", type=Path, default=Path("data"), metavar="DIR", help="where movie folders are made")
    add("--detector", default=ExtractSettings.detector, metavar="NAME[:FILE]", help="as for extract.py")
    add("--embedder", default=ExtractSettings.embedder, metavar="NAME[:FILE]", help="as for extract.py")
    return command_line


def diagnose(films: Path, actor_db: Path, out: Path, detector: str, embedder: str) -> Iterator[Finding]:
    """Yield all findings. Models, films and actors are checked only if the packages are there."""
    from facerec.diagnosis import hardware, inputs, software

    yield from software.check_python()
    packages = list(software.check_packages())
    yield from packages
    yield from hardware.check_processors()
    yield from hardware.check_gpus()
    yield from hardware.check_scheduler()
    yield from hardware.check_disk(out)
    if all(finding.state is not State.MISSING for finding in packages):
        yield from software.check_models(detector, embedder)
        yield from inputs.check_films(films, actor_db)
        yield from inputs.check_actor_database(actor_db, films, detector, embedder)


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    findings: list[Finding] = []

    def kept() -> Iterator[Finding]:
        for finding in diagnose(args.films, args.actor_db, args.out, args.detector, args.embedder):
            findings.append(finding)
            yield finding

    for line in report_lines(kept()):  # as they are found: films may take minutes
        print(line, flush=True)  # noqa: T201
    print(summary(findings), flush=True)  # noqa: T201
    return int(any(finding.state is State.MISSING for finding in findings))


if __name__ == "__main__":
    raise SystemExit(run_main(main))
