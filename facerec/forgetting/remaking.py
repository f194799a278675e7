"""The commands that make pages, sheets and exports again that were deleted because they showed a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from facerec.folder.layout import MovieFolder
from facerec.support.shell import stage_command


def remaking_commands(
    deleted: Mapping[Path, Sequence[Path]], actor_db: Path, shown: Mapping[Path, str]
) -> Iterator[str]:
    """Yield one command line for each kind of file, for all movies of which such a file was deleted.

    A contact sheet is made of one movie at a time.

    Args:
        deleted: deleted files by the movie folder that they were in.
        shown: how the user gave each folder.
    """
    folders_of: dict[tuple[str, ...], list[str]] = {}
    for path, files in deleted.items():
        folder = MovieFolder(path)
        for command in dict.fromkeys(filter(None, (_command_of(folder, file) for file in files))):
            folders_of.setdefault(command, []).append(shown[path])
    for (stage, *options), folders in folders_of.items():
        groups = [[path] for path in folders] if stage == "contact_sheet" else [folders]
        for group in groups:
            yield stage_command(stage, *options, "--actor-db", str(actor_db), "--path", *group)


def _command_of(folder: MovieFolder, file: Path) -> tuple[str, ...]:
    """Return the stage that made a file, with its options; empty if the name does not say it."""
    known = {
        folder.report: ("report",),
        folder.standalone_report: ("report", "--standalone"),
        folder.contact_sheet: ("contact_sheet",),
    }
    if file in known:
        return known[file]
    written_as = file.name.removeprefix(f"{folder.movie_id}.")  # `screen-time.csv`, see exporting.registry
    return ("export", "--format", written_as) if written_as != file.name else ()
