"""The films and the actor database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facerec.diagnosis.findings import Finding, found, missing, note
from facerec.errors import FacerecError
from facerec.support.shell import command_line, launcher_command, prepare_command

_SHOWN = 5  # names in one line


def check_films(films: Path) -> Iterator[Finding]:
    """Look for films, open each, and decode its first frame."""
    from facerec.folder.films import files_without_movie_id, films_of_all

    try:
        named, unnamed = films_of_all(films), files_without_movie_id(films)
    except FacerecError as error:
        yield missing("films", str(error), "FILMS=DIR (make), or --films DIR")
        return
    readable = []
    for film in named.values():
        try:
            _decode_first_frame(film)
        except FacerecError as error:
            yield missing(
                "films", str(error), "copy the film again, or convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"
            )
        else:
            readable.append(film)
    if unnamed:
        first = unnamed[0]
        words = [f"--film {command_line(str(first))} --name TITLE --cast FILE"]
        fix = launcher_command("add-movie", "MOVIE=12345", f"ADD_ARGS={words[0]}")
        yield note("films", f"without a movie id in the name: {_some([file.name for file in unnamed])}", fix)
    if readable:
        yield found(
            "films", f"{len(readable)} in {films} can be read: {_some([film.name for film in readable])}"
        )
    elif not named and not unnamed:
        yield missing("films", f"{films} has no film", "put films there, named 12345-Title.mp4")


def check_actor_database(actor_db: Path, films: Path, embedder: str) -> Iterator[Finding]:
    """Look at the tables, the pictures and their embeddings, and which movies have a cast."""
    from facerec.actors.database import ActorDatabase
    from facerec.folder.films import films_of_all

    database = ActorDatabase(actor_db)
    if not database.actors.is_file():
        fix = launcher_command("add-movie", "MOVIE=12345", "ADD_ARGS=--cast cast.csv --pictures pictures")
        yield missing("actors", f"{database.actors}: no such file", fix)
        return
    try:
        casts = {movie for _, movie, _ in database.read_actors()}
    except FacerecError as error:
        yield missing("actors", str(error), "actor_db/README.md describes the tables")
        return
    prepare = prepare_command(actor_db, embedder.partition(":")[0])
    if not database.embeddings.is_file():
        yield missing(
            "actors", f"{database.embeddings}: no such file; the pictures are not embedded", prepare
        )
    else:
        try:
            gallery = database.gallery()
            database.check_embedder({"kind": embedder.partition(":")[0]}, "a movie would be extracted")
        except FacerecError as error:
            yield missing("actors", str(error), prepare)
        else:
            people = len(set(gallery.actors))
            yield found(
                "actors", f"{actor_db}: a cast for {len(casts)} movies, {people} people with pictures"
            )
    try:
        uncast = sorted(set(films_of_all(films)) - casts)
    except FacerecError:  # check_films says it
        return
    if uncast:
        fix = launcher_command(
            "add-movie", f"MOVIE={uncast[0]}", "ADD_ARGS=--cast cast.csv --pictures pictures"
        )
        yield note("actors", f"no cast for movie {_some([str(movie) for movie in uncast])}", fix)


def _decode_first_frame(film: Path) -> None:
    """Decode one frame of a film; raises InputError if there is none."""
    from av import FFmpegError

    from facerec.errors import InputError
    from facerec.video.container import open_video

    with open_video(film) as (container, stream):
        try:
            if next(container.decode(stream), None) is None:
                raise InputError(f"{film}: no frame can be decoded")
        except FFmpegError as error:
            raise InputError(f"{film}: no frame can be decoded ({error.strerror})") from error


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
