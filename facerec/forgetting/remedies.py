"""How the user removes what still refers to a forgotten person."""

from __future__ import annotations

from facerec.actors.database import ActorDatabase
from facerec.forgetting.traces import Trace
from facerec.models.packs import models_to_prepare
from facerec.support.shell import command_line, prepare_command


def remedy(trace: Trace, database: ActorDatabase) -> str:
    """Return what to do about a trace, as a clause; empty if its phrase says it."""
    if trace.what.startswith("it cannot be searched"):
        return ""
    if trace.what.startswith("its name"):
        return "rename or delete it"
    if trace.what.startswith("it has '") and trace.path.parent == database.pictures:
        command = command_line("exiftool", "-all=", "-overwrite_original", str(trace.path))
        detector, embedder = models_to_prepare(database.read_meta())
        prepare = prepare_command(database.folder, embedder, detector)
        return f"remove the text that is stored in the picture: {command}; then: {prepare}"
    if trace.what.startswith("it has '"):
        return "remove these words from it, or delete it"
    return "delete it"
