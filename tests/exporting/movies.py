"""A movie with a known cast for the tests of the formats, and a name that no format expects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

import facerec
from facerec.actors.database import ACTOR_COLUMNS
from facerec.exporting.registry import FORMATS
from tests.movie_folder import Shown, movie_folder

# at 25 frames a second, cuts at 20 and 50: Ada alone, Ada with an unknown person, that person alone
SHOWN = (Shown(0, 0, 20), Shown(1, 10, 20, x=100, height=180), Shown(0, 20, 30), Shown(1, 60, 70, x=100))
CUTS = (20, 50)
URI = "http://www.wikidata.org/entity/Q7259 http://viaf.org/viaf/9875"
HOSTILE = "O'\"Neil, <b>&amp;</b> ]]> =1+1;\t\u202eabc 你好 \x0b\ufffe"
WRITTEN = "O'\"Neil, <b>&amp;</b> ]]> =1+1; \u202eabc 你好  \ufffe"  # on one line, without control characters


def exported(movies: Sequence[facerec.Movie], name: str, suffix: str) -> bytes:
    return b"".join(FORMATS[name].export(movies, suffix))


def open_with_name(parent: Path, name: str, movie_id: int = 7, **changes: Any) -> facerec.Movie:
    """A movie in which actor nm1 has a name and identifiers."""
    cells = [str(movie_id), f"Film {movie_id}", "1999", "nm1", name, "Role", "1970", "Rome", URI]
    row = pd.DataFrame([cells], columns=[*ACTOR_COLUMNS, "uri"])
    database = parent / f"actors{movie_id}"
    database.mkdir(parents=True)
    row.to_csv(database / "actors.csv", index=False)
    folder = movie_folder(parent, SHOWN, {0: {"nm1": 0.9}}, movie_id=movie_id, cuts=CUTS, **changes)
    return facerec.open_movie(folder.path, actor_db=database)
