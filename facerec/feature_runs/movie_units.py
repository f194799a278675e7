"""The units of work of a movie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from facerec.errors import FacerecError
from facerec.feature_runs.claims import claim_name
from facerec.feature_runs.rows import Rows
from facerec.feature_runs.sources import ClipRequest, Engine
from facerec.feature_runs.spans import FILM, Span, shot_name

if TYPE_CHECKING:
    from facerec.feature_runs.movie_source import MovieSource


class MovieUnit:
    """A run of shots, or all sound of a movie; see `sources.Unit`.

    Args:
        span: its shots; None for all sound.
    """

    def __init__(self, movie: MovieSource, name: str, span: Span | None) -> None:
        self._movie, self._name, self._span = movie, name, span
        kinds = ("sound",) if span is None else ("windows", "frames")
        self.features = [name for name, feature in movie.features.items() if feature.kind in kinds]
        self.key = claim_name(f"{name}.{'+'.join(sorted(self.features))}")
        self.label = f"movie {movie.folder.movie_id} {name}"
        self._shots = range(len(movie.inputs.shots)) if span is None else span.shots

    def is_done(self) -> bool:
        """Whether all shots, and the part of the film, are there or failed in this run."""
        return not any(any(self._missing(name)) for name in self.features)

    def _missing(self, name: str) -> tuple[tuple[int, ...], bool]:
        return self._movie.missing(name, self._shots), self._movie.lacks_part(name, self._name)

    def run(self, engine: Engine, advance: Callable[[int], None]) -> None:
        """Compute the outputs that are missing; decodes the film once if all lack the same."""
        groups: dict[tuple[tuple[int, ...], bool], list[str]] = {}
        for name in self.features:
            groups.setdefault(self._missing(name), []).append(name)
        for (shots, film), names in groups.items():
            if shots or film:
                self._compute(engine, shots, film, names, advance)

    def _compute(
        self,
        engine: Engine,
        shots: Sequence[int],
        film: bool,
        names: Sequence[str],
        advance: Callable[[int], None],
    ) -> None:
        """Compute `names` for `shots` and, if `film`, this unit's part of the film."""
        movie = self._movie
        clips = [ClipRequest(shot_name(shot), *movie.inputs.shots[shot]) for shot in shots]
        if film:
            owned = None if self._span is None else (self._span.beg, self._span.end)
            clips.append(ClipRequest(FILM, 0, movie.inputs.film.frame_count, owned))
        contributed: set[str] = set()

        def finished(clip: ClipRequest, feature: str, rows: Rows | FacerecError) -> None:
            if clip.owned is not None:
                movie.write_part(feature, self._name, rows)
                contributed.add(feature)
            else:
                movie.take(clip.name, feature, clip.beg, clip.end, rows)

        engine.compute(movie.footage, clips, names, finished, advance)
        engine.flush()
        for name in names:
            if film and self._span is not None and name not in contributed:
                movie.write_part(name, self._name, None)
