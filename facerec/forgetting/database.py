"""Remove a person from the actor database."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import orjson

from facerec.actors.database import ActorDatabase
from facerec.actors.provenance import origins_bytes, read_origins
from facerec.forgetting.subject import Subject
from facerec.support.atomic import write_changed
from facerec.support.csv_tables import replace_rows


def forget_in_database(database: ActorDatabase, subject: Subject) -> list[str]:
    """Remove the person's pictures, embeddings, learnt faces and rows; returns the names of changed files.

    Proposals for stills go too, everybody's: their faces are not all known, and they can be made again. The
    row of `actors.csv` goes last: until then the same command finds the person again.
    """
    changed = []
    if database.stills.is_dir():
        changed = [str(path.relative_to(database.folder)) for path in database.stills.rglob("*.*")]
        shutil.rmtree(database.stills)
    for name in subject.pictures:
        path = database.picture(name)
        if path.is_file() or path.is_symlink():
            path.unlink()
            changed.append(f"{database.pictures.name}/{name}")
    pictures = set(subject.pictures)
    files: dict[Path, bytes] = {}
    if database.embeddings.exists():
        lines = database.embeddings.read_bytes().splitlines(keepends=True)
        embeddings = b"".join(line for line in lines if _image(line) not in pictures)
        files[database.embeddings] = embeddings
        if (meta := database.read_meta()) is not None:
            known = meta.get("pictures")
            if isinstance(known, dict):
                meta["pictures"] = {name: digest for name, digest in known.items() if name not in pictures}
            if "embeddings_sha256" in meta:
                meta["embeddings_sha256"] = sha256(embeddings).hexdigest()
            files[database.embeddings_meta] = orjson.dumps(meta, option=orjson.OPT_INDENT_2) + b"\n"
    if database.origins.exists():
        origins = read_origins(database).values()
        kept = [one for one in origins if one.actor_id != subject.actor_id]
        if len(kept) < len(origins):
            files[database.origins] = origins_bytes(kept)
    if database.images.exists():
        table = replace_rows(database.images.read_bytes().decode(), "filename", pictures, ())
        files[database.images] = table.encode()
    changed += _write(files)
    if not database.actors.exists():
        return changed
    table = replace_rows(database.actors.read_bytes().decode(), "id", {subject.actor_id}, ())
    return changed + _write({database.actors: table.encode()})


def _image(line: bytes) -> str:
    """Return the picture of a line of embeddings; empty for a blank line."""
    return str(json.loads(line)["image"]) if line.strip() else ""


def _write(files: dict[Path, bytes]) -> list[str]:
    return [path.name for path in write_changed(files)]
