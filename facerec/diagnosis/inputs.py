"""The films and the actor database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.diagnosis.findings import Finding, found, missing, note
from facerec.errors import FacerecError
from facerec.support.cli import progress
from facerec.support.shell import NEW_MOVIE, add_movie_command, option, prepare_command
from facerec.support.text import counted

if TYPE_CHECKING:
    from facerec.actors.database import ActorDatabase

MOST_FILMS = 200  # that are opened; on a network file system each may take a second
_SHOWN = 5  # names in one line, and films that cannot be read


def check_films(films: Path, actor_db: Path) -> Iterator[Finding]:
    """Check the films: decode the first frame of each, of the first `MOST_FILMS` if there are more."""
    from facerec.folder.film_commands import film_command
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
        other = f"give their folder: {option('--films', 'DIR')}"
        if isinstance(error, OSError) or films.exists():
            yield missing("films", _sentence(error).partition(";")[0], other)
        else:
            fix = f"make it and put films there, named 12345-Title.mp4, or {other}"
            yield missing("films", f"{films}: no such folder", fix)
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
        text = f"{counted(len(broken) - _SHOWN, 'more film')} cannot be read"
        yield missing("films", text, "correct those above, and run this again")
    if unnamed:
        fix = add_movie_command(actor_db, None, "--film", str(unnamed[0]), *NEW_MOVIE)
        yield note("films", f"without a movie id in the name: {_some([file.name for file in unnamed])}", fix)
    for folder in folders:
        command = film_command(folder)
        rate = "; --fps: their frame rate" if " --fps " in command else ""
        text = f"{folder}: is a folder of frames or parts, not a film{rate}"
        yield note("films", text, command)
    if readable:
        yield found(
            "films", f"{len(readable)} in {films} can be read: {_some([film.name for film in readable])}"
        )
    elif not named and not unnamed and not doubled and not folders:
        yield missing("films", f"{films} has no film", "put films there, named 12345-Title.mp4")
    if len(named) > len(opened):
        yield note(
            "films", f"{counted(len(named) - len(opened), 'more film was', 'more films were')} not opened"
        )


def check_actor_database(actor_db: Path, films: Path, detector: str, embedder: str) -> Iterator[Finding]:
    """Check the tables, the pictures and their embeddings, and which movies have a cast."""
    from facerec.actors.database import ActorDatabase
    from facerec.folder.films import films_of_all

    database = ActorDatabase(actor_db)
    if not database.actors.is_file():
        yield missing("actors", f"{database.actors}: no such file", add_movie_command(actor_db))
        return
    try:
        casts = {movie for _, movie, _ in database.read_actors()}
        pictures = list(dict.fromkeys(row["filename"] for _, row in database.read_images()))
        absent = [name for name in pictures if not database.picture(name).is_file()]
    except (FacerecError, OSError) as error:
        yield missing("actors", _sentence(error), "actor_db/README.md describes the tables")
        return
    try:
        uncast = sorted(set(films_of_all(films)) - casts)
    except (FacerecError, OSError):  # check_films says it
        uncast = []
    if not casts:
        fix = add_movie_command(actor_db, uncast[0] if uncast else None)
        yield missing("actors", f"{database.actors}: has no row yet", fix)
        return
    prepare = prepare_command(actor_db, embedder, detector)
    if absent:
        count = f"{len(absent)} of {counted(len(pictures), 'picture')}"
        text = f"{count} not in {database.pictures}: {_some(absent)}"
        fix = f"copy them there, or remove their rows from {database.images.name}; then: {prepare}"
        yield missing("actors", text, fix)
    elif pictures and not database.embeddings.is_file():
        yield missing(
            "actors", f"{database.embeddings}: no such file; the pictures are not embedded", prepare
        )
    else:
        yield _gallery(database, casts, pictures, embedder, prepare)
    if uncast:
        text = f"no cast for movie {_some([str(movie) for movie in uncast])}"
        yield note("actors", text, add_movie_command(actor_db, uncast[0]))


def _gallery(
    database: ActorDatabase, casts: Collection[int], pictures: Sequence[str], embedder: str, prepare: str
) -> Finding:
    """Check the embeddings of the pictures; `prepare` is the command that makes them."""
    try:
        lines = database.read_embeddings() if database.embeddings.exists() else ()
        embedded = {faces.image for _, faces in lines}
        if absent := [name for name in pictures if name not in embedded]:
            count = f"{len(absent)} of {counted(len(pictures), 'picture')}"
            return missing("actors", f"{count} not embedded: {_some(absent)}", prepare)
        gallery = database.gallery()
        database.check_embedder({"kind": embedder.partition(":")[0]}, "a movie would be extracted")
    except (FacerecError, OSError) as error:
        return missing("actors", _sentence(error), prepare)
    people = counted(len(gallery.actors), "person", "people")
    text = f"{database.folder}: a cast for {counted(len(casts), 'movie')}, {people} with pictures"
    if not gallery.actors:
        add = add_movie_command(database.folder, min(casts), "--pictures", "pictures")
        return note("actors", f"{text}: nobody can be named", add)
    return found("actors", text)


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
