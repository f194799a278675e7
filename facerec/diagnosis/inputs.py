"""The films and the actor database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facerec.diagnosis.findings import Finding, found, missing, note
from facerec.errors import FacerecError
from facerec.support.cli import progress
from facerec.support.shell import command_line, launcher_command, prepare_command, stage_command

MOST_FILMS = 200  # that are opened; on a network file system each may take a second
_SHOWN = 5  # names in one line, and films that cannot be read


def check_films(films: Path) -> Iterator[Finding]:
    """Check the films: decode the first frame of each, of the first `MOST_FILMS` if there are more."""
    from facerec.folder.films import (
        files_without_movie_id,
        films_of_all,
        folders_of_films,
        movies_of_several_films,
    )
    from facerec.folder.names import film_movie_id

    try:
        named, unnamed = films_of_all(films), files_without_movie_id(films)
        doubled = movies_of_several_films(films)
        folders = [one for one in folders_of_films(films) if film_movie_id(one) not in {*named, *doubled}]
    except (FacerecError, OSError) as error:
        yield missing("films", _sentence(error), "FILMS=DIR (make), or --films DIR")
        return
    if doubled:
        text = f"several films of movie {_some([str(movie) for movie in doubled])}: none of them can be run"
        yield missing("films", text, f"keep one film of each movie in {films}, the others elsewhere")
    opened = [named[movie] for movie in sorted(named)[:MOST_FILMS]]
    readable: list[Path] = []
    broken: list[str] = []
    with progress("films", len(opened), "films") as advance:
        for film in opened:
            try:
                _decode_first_frame(film)
            except (FacerecError, OSError) as error:
                broken.append(_sentence(error))
            else:
                readable.append(film)
            advance(1)
    for sentence in broken[:_SHOWN]:
        fix = "copy the film again, or convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"
        yield missing("films", sentence, fix)
    if len(broken) > _SHOWN:
        text = f"{len(broken) - _SHOWN} more films cannot be read"
        yield missing("films", text, "correct those above, and run this again")
    if unnamed:
        words = f"--film {command_line(str(unnamed[0]))} --name TITLE --cast FILE"
        fix = launcher_command("add-movie", "MOVIE=12345", f"ADD_ARGS={words}")
        yield note("films", f"without a movie id in the name: {_some([file.name for file in unnamed])}", fix)
    for folder in folders:
        text = f"{folder}: is a folder of frames or parts, not a film"
        yield note("films", text, stage_command("make_film", str(folder)))
    if readable:
        yield found(
            "films", f"{len(readable)} in {films} can be read: {_some([film.name for film in readable])}"
        )
    elif not named and not unnamed and not doubled and not folders:
        yield missing("films", f"{films} has no film", "put films there, named 12345-Title.mp4")
    if len(named) > len(opened):
        yield note("films", f"{len(named) - len(opened)} more films were not opened")


def check_actor_database(actor_db: Path, films: Path, embedder: str) -> Iterator[Finding]:
    """Check the tables, the pictures and their embeddings, and which movies have a cast."""
    from facerec.actors.database import ActorDatabase
    from facerec.folder.films import films_of_all

    database = ActorDatabase(actor_db)
    if not database.actors.is_file():
        fix = launcher_command("add-movie", "MOVIE=12345", "ADD_ARGS=--cast cast.csv --pictures pictures")
        yield missing("actors", f"{database.actors}: no such file", fix)
        return
    try:
        casts = {movie for _, movie, _ in database.read_actors()}
    except (FacerecError, OSError) as error:
        yield missing("actors", _sentence(error), "actor_db/README.md describes the tables")
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
        except (FacerecError, OSError) as error:
            yield missing("actors", _sentence(error), prepare)
        else:
            people = len(set(gallery.actors))
            yield found(
                "actors", f"{actor_db}: a cast for {len(casts)} movies, {people} people with pictures"
            )
    try:
        uncast = sorted(set(films_of_all(films)) - casts)
    except (FacerecError, OSError):  # check_films says it
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


def _sentence(error: Exception) -> str:
    """Return what an error says, with the name of the file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
