"""`open_movie`: a finished movie folder as read-only pandas tables."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facerec.actors.database import ActorDatabase
from facerec.errors import InputError
from facerec.folder.documents import DISPLAY_THRESHOLD
from facerec.folder.layout import MovieFolder
from facerec.movies import tables
from facerec.movies.identities import one_line
from facerec.movies.lazy_tables import LazyTables
from facerec.movies.pictures import FrameReader, read_picture
from facerec.movies.reading import MovieRecords, read_records
from facerec.support.text import counted

if TYPE_CHECKING:
    import PIL.Image

ACTOR_DB = Path("actor_db")  # taken where nothing else is given and it exists
CHUNK = 100_000  # rows


def open_movie(
    path: Path | str,
    *,
    actor_db: Path | str = ACTOR_DB,
    labels: Path | str | None = None,
    least: float = DISPLAY_THRESHOLD,
    film: Path | str | None = None,
    anonymous: bool = False,
) -> Movie:
    """Open a finished movie folder, in which all stages have run.

    People are named by `labels` if given, else by the folder's `people.json` if there is one; where these say
    nothing, by the most likely prediction above `least`; else they are `unknown 17`, where 17 is the cluster.

    Args:
        path: the folder, `<out>/<movie_id>-data`.
        actor_db: actor database, for names, roles and identifiers; the folder's manifest has names only.
        labels: the labeling backend's export.
        least: probability that a prediction must exceed, 0..1.
        film: the film, for `Movie.frame`; by default the file that was extracted.
        anonymous: people get numbers in place of names, actor ids and identifiers, and the cast is empty.

    Raises:
        InputError: an argument is unusable, or the labels have no row of the movie.
        ContractError: a file is missing or breaks its rules; the message has file and line.
        StaleError: a stage has not run, or a file is not the one that its stage wrote.
        PlanError: the plan is damaged.
    """
    if not 0 <= least <= 1:
        raise InputError(f"the least probability of a name must be in 0..1, not {least}")
    folder = MovieFolder.existing(path)
    database = ActorDatabase(actor_db)
    if not database.actors.exists() and database.folder != ACTOR_DB:
        raise InputError(f"{database.actors}: no such file; give the actor database that has it")
    own_labels = Path(labels) if labels is not None else None
    records = read_records(folder, database, own_labels, least, anonymously=anonymous)
    return Movie(records, Path(film) if film is not None else None)


class Movie:
    """A movie and its tables, which are read when they are first used; changing one changes no other.

    Times are in seconds of the film's own clock: each frame's presentation time, also where the frame rate
    varies. Frames are numbered from 0; an interval `begin`, `end` includes `begin` and excludes `end`. Boxes
    and heights are in display pixels.

    Attributes:
        movie_id: the movie's id.
        path: the folder.
        film_name: file name of the film.
        title, year: by actors.csv; without it, the title is taken from the film's name.
        least: a prediction names a person if its probability is above this.
        times: presentation time of each frame.
        width, height: display size of the film in pixels.
        stored_size: width and height of a frame as other programs decode it: upright, but with pixels that
            need not be square.
        manifest, plan: provenance, as in the folder's files.
        unnamed: ids of actors whom actors.csv says not to name.
    """

    def __init__(self, records: MovieRecords, film: Path | None) -> None:
        """Use `open_movie`."""
        folder, cast = records.folder, records.cast
        self._records, self._folder, self._film = records, folder, film
        self._tables = LazyTables(records)
        self.path, self.movie_id, self.least = folder.path, folder.movie_id, records.least
        self.manifest, self.plan, self.times = records.manifest, records.plan, records.times
        self.width, self.height = records.display_size
        self.stored_size = records.stored_size
        self.film_name = str(self.plan.film.get("name", ""))
        self.title = one_line(cast.title) or Path(self.film_name).stem.partition("-")[2]
        self.year = one_line(cast.year)
        self.unnamed = frozenset(cast.unnamed)

    def __repr__(self) -> str:
        trajectories = counted(len(self._records.trajectories), "trajectory", "trajectories")
        length = f"{counted(self.frame_count, 'frame')}, {self.times.duration:.1f} s"
        people = counted(len(self._tables.people), "person", "people")
        return f"<Movie {self.movie_id} {self.title!r}: {length}, {trajectories}, {people}>"

    @property
    def frame_count(self) -> int:
        """Number of frames of the film."""
        return self.times.frame_count

    @property
    def frame_rate(self) -> float:
        """Frames per second; the mean if it varies."""
        return float(self.times.frame_rate)

    @property
    def duration_s(self) -> float:
        """Length of the film in seconds."""
        return self.times.duration

    @property
    def trajectories(self) -> pd.DataFrame:
        """One row per face that was followed through a shot, in the order of trajectories.jsonl.

        Columns:
            trajectory: index, equal to the row's.
            begin, end: frames; begin_s, end_s: seconds; seconds: length.
            shot: number of the shot, from 0.
            cluster: id in clusters.json.
            person, name: who it shows, as in `people`; missing where annotators say that it is no face.
            source: `annotator`, `prediction` or `none` (unknown).
            probability: of the predicted name; missing unless `source` is `prediction`.
            n_faces: number of saved faces.
            n_detected: number of boxes that were detected; the others are interpolated.
            mean_height: of the boxes, in pixels.
        """
        return self._tables.trajectories.copy(deep=False)

    @property
    def boxes(self) -> pd.DataFrame:
        """One row per trajectory and frame; a feature film has a million, see also `box_chunks`.

        Columns:
            trajectory: index in `trajectories`.
            frame, time_s: frame and its time in seconds.
            x1, y1, x2, y2: box in display pixels; right and bottom are exclusive.
            detected: False where the box was interpolated.
        """
        return self._tables.boxes.copy(deep=False)

    def box_chunks(self, rows: int = CHUNK) -> Iterator[pd.DataFrame]:
        """Yield the table `boxes` in parts of about `rows` rows, a trajectory in one part."""
        return self._tables.box_chunks(rows)

    @property
    def faces(self) -> pd.DataFrame:
        """One row per saved face, in the order of features.jsonl.

        Columns:
            tag: name of the face, for `picture`.
            trajectory: index in `trajectories`; missing where it belongs to none.
            frame, time_s: frame and its time in seconds.
            x1, y1, x2, y2: box in display pixels.
            quality: 0..1, how much the face says about who it is.
            score: of the detector, 0..1.
            sharpness: variance of the Laplacian, in squared gray levels.
            keypoints: array (5, 2) float32, x and y in display pixels, of left eye, right eye, nose, left and
                right corner of the mouth; left as seen in the picture.
            embedding: array (d,) float32 of length 1; all together: `embeddings`.
        """
        return self._tables.faces.copy(deep=False)

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(m, d) float32, the embeddings of `faces` in the order of its rows, L2-normalised; read-only."""
        return self._tables.embeddings

    @property
    def shots(self) -> pd.DataFrame:
        """One row per shot.

        Columns:
            shot: number from 0.
            begin, end: frames; begin_s, end_s: seconds.
        """
        return self._tables.shots.copy(deep=False)

    @property
    def people(self) -> pd.DataFrame:
        """One row per person, the longest on screen first, `shared` ones last.

        Columns:
            person: id: an actor id; `typed:` and a plain name for a typed name that is no actor's;
                `unknown:17` for an unnamed cluster; `trajectory:8` for one that annotators set apart.
            name: of the actor, as typed, or `unknown 17` with the number of the cluster.
            actor_id: in actors.csv; missing if it is no actor.
            probability: of the name, 0..1, the highest of the person's clusters; missing where it is not a
                prediction.
            source: `annotator` if people named any of the trajectories, else `prediction`, else `none`.
            shared: it is not one person: a page that trajectories too poor to compare share, or a
                trajectory in which annotators saw several people.
            clusters: tuple of ids in clusters.json.
            n_trajectories, n_shots: numbers of trajectories and of shots with the person.
            seconds: time on screen; a frame with two faces of the person counts once.
            share: of the film's length, 0..1.
            mean_height: mean height of the face in pixels, over all boxes.
            face_height: the same as a share of the frame's height, 0..1: a measure of the shot scale.
            first, last: first and last frame on screen.
            first_s, last_s: seconds at which the first begins and the last ends.
            uri: identifiers in authority files, separated by spaces.
        """
        return self._tables.people.copy(deep=False)

    @property
    def presence(self) -> pd.DataFrame:
        """One row for each longest interval inside a shot in which a person is on screen, by time.

        Columns:
            person, name: as in `people`.
            shot: number of the shot.
            begin, end: frames; begin_s, end_s: seconds.
        """
        return self._tables.presence.copy(deep=False)

    @property
    def co_presence(self) -> pd.DataFrame:
        """One row for each two people who are seen in one shot; `shared` ones are left out.

        Columns:
            person_a, name_a, person_b, name_b: as in `people`; a is longer on screen than b.
            shots: number of shots in which both are seen, not always at the same time.
            frames, seconds: how long both are on screen at the same time.
        """
        return self._tables.co_presence.copy(deep=False)

    @property
    def cast(self) -> pd.DataFrame:
        """One row per actor of the movie, in the order of actors.csv, whether or not seen.

        Columns:
            actor_id, name, role: as in actors.csv.
            uri: identifiers in authority files, separated by spaces.
        """
        return tables.cast_table(self._records.cast)

    def picture(self, tag: str) -> PIL.Image.Image:
        """Return the thumbnail of the saved face `tag`, as in `faces`.

        Raises:
            InputError: there is no such face, or it has no thumbnail.
            ContractError: the archive with the thumbnail is damaged.
        """
        return read_picture(self._folder, self.plan, tag, self._tables.tags)

    def frame(self, number: int) -> PIL.Image.Image:
        """Return a frame of the film in display pixels.

        Raises:
            InputError: the film is not there, is another one, or the frame cannot be decoded.
        """
        return self._reader.read(number)

    def frame_at(self, seconds: float) -> int:
        """Return the number of the frame that is on screen at a time.

        Raises:
            InputError: the film has no frame then.
        """
        times = self.times.seconds
        if not times[0] <= seconds < times[-1]:
            raise InputError(f"movie {self.movie_id} lasts from {times[0]:.3f} to {times[-1]:.3f} seconds")
        return int(np.searchsorted(times, seconds, side="right")) - 1

    @cached_property
    def _reader(self) -> FrameReader:
        return FrameReader(self._folder, self.plan, self._film)
