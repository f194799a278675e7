"""One process at work on the features of a movie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facerec.feature_runs.engine import FeatureEngine
from facerec.feature_runs.loading import Feature
from facerec.feature_runs.movie_inputs import MovieInputs
from facerec.feature_runs.movie_source import MovieSource
from facerec.feature_runs.rows import OutputFormat
from facerec.feature_runs.run_log import RunLog
from facerec.feature_runs.worker import Worker
from facerec.folder.layout import MovieFolder


def run_movie(
    folder: MovieFolder,
    inputs: MovieInputs,
    features: Sequence[Feature],
    format: OutputFormat,
    *,
    shards: Sequence[int],
    n: int,
    threads: int,
    fresh: bool,
) -> dict[str, Any]:
    """Compute features of a movie's shots and film, those of some of `n` shards.

    Args:
        inputs: as `read_inputs` returns them.
        format: of the features' vectors, as in their descriptions.
        threads: of the film's decoder; 0 for `cpu_threads()`.
        fresh: discard features that were made with other options or inputs.

    Returns:
        The numbers of items by result, see `MovieSource.finish`.

    Raises:
        StaleError: there are features that were made with other options or inputs.
    """
    source = MovieSource(folder, inputs, features, threads, fresh)
    with source.claims:
        source.begin()
        run_log = RunLog(source.outputs.path)
        engine = FeatureEngine(
            {feature.name: feature.extractor for feature in features}, format, source.outputs.parts.parent
        )
        try:
            Worker(engine, source.claims, source.outputs.index, run_log).run(source.units_of(shards, n))
            return source.finish()
        finally:
            run_log.close()
