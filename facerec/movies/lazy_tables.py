"""The tables of `Movie`, each computed when it is first used."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facerec.errors import ContractError
from facerec.folder.frame_records import QualityRecord
from facerec.folder.names import parse_tag
from facerec.folder.readers import read_faces
from facerec.folder.records import Trajectory
from facerec.movies import tables
from facerec.movies.reading import MovieRecords
from facerec.people.loading import trajectory_of_face
from facerec.people.quality import saved_face_quality
from facerec.settings import VectorSettings
from facerec.support.jsonl import read_lines


class LazyTables:
    """Tables with the columns that the properties of `Movie` document; callers must not change them."""

    def __init__(self, records: MovieRecords) -> None:
        self._records, self._folder, self._times = records, records.folder, records.times

    @cached_property
    def trajectories(self) -> pd.DataFrame:
        r = self._records
        saved = [(frame, *box) for _, frame, box in map(parse_tag, self._tags)]
        index = trajectory_of_face(saved, r.trajectories)
        n_faces = np.bincount(index[index >= 0], minlength=len(r.trajectories))
        return tables.trajectories_table(
            r.trajectories, r.clusters, r.identities, n_faces.tolist(), r.cuts, r.times
        )

    @cached_property
    def boxes(self) -> pd.DataFrame:
        return tables.boxes_table(self._records.trajectories, self._times)

    def box_chunks(self, rows: int) -> Iterator[pd.DataFrame]:
        """Yield the table `boxes` in parts of about `rows` rows, a trajectory in one part."""
        part: list[Trajectory] = []
        size = 0
        for record in self._records.trajectories:
            part.append(record)
            size += len(record.boxes)
            if size >= rows:
                yield tables.boxes_table(part, self._times)
                part, size = [], 0
        if part:
            yield tables.boxes_table(part, self._times)

    @property
    def faces(self) -> pd.DataFrame:
        return self._saved[0]

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(m, d) float32, in the order of `faces`; read-only."""
        return self._saved[1]

    @cached_property
    def shots(self) -> pd.DataFrame:
        return tables.shots_table(self._records.cuts, self._times)

    @cached_property
    def people(self) -> pd.DataFrame:
        height = self._records.display_size[1]
        return tables.people_table(
            self.trajectories, self._records.identities, self._records.cast, height, self._times
        )

    @cached_property
    def presence(self) -> pd.DataFrame:
        return tables.presence_table(self.trajectories, self.people, self._times)

    @cached_property
    def co_presence(self) -> pd.DataFrame:
        return tables.co_presence_table(self.presence, self.people, self._times)

    @cached_property
    def tags(self) -> frozenset[str]:
        """The tags of all saved faces."""
        return frozenset(self._tags)

    @cached_property
    def _tags(self) -> list[str]:
        """The tags in the order of the faces, without reading their embeddings."""
        tags = []
        for line, record in read_lines(self._folder.quality, QualityRecord.from_json):
            try:
                _, frame, _ = parse_tag(record.tag)
            except ValueError as error:
                raise ContractError(self._folder.quality, str(error), line) from None
            if frame >= self._times.frame_count:
                rule = f"frame {frame} of a film of {self._times.frame_count} frames"
                raise ContractError(self._folder.quality, rule, line)
            tags.append(record.tag)
        return tags

    @cached_property
    def _saved(self) -> tuple[pd.DataFrame, NDArray[np.float32]]:
        """The table of faces, and their embeddings."""
        faces = list(read_faces(self._folder))
        if faces and faces[-1][0].frame >= self._times.frame_count:  # they are sorted
            rule = f"frame {faces[-1][0].frame} of a film of {self._times.frame_count} frames"
            raise ContractError(self._folder.features, rule, len(faces))
        embeddings = np.array([face.embedding for face, _ in faces], np.float32)
        embeddings = embeddings.reshape(len(faces), -1 if faces else 0)
        embeddings.setflags(write=False)
        index = trajectory_of_face([(face.frame, *face.box) for face, _ in faces], self._records.trajectories)
        quality = saved_face_quality(faces, VectorSettings())
        return tables.faces_table(faces, index, embeddings, quality, self._times), embeddings
