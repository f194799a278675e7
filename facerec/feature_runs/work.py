"""One result of the engine, from the request to the hand-over."""

from __future__ import annotations

from facerec.errors import FacerecError
from facerec.feature_runs.clips import ClipFrames, ClipWindows
from facerec.feature_runs.rows import Rows
from facerec.feature_runs.sources import ClipRequest, Finished


class Work:
    """The features of one clip by one extractor, while they are computed.

    Attributes:
        clip: the frames that are needed, see `ClipWindows` and `ClipFrames`; None for sound.
        queued: windows put into batches, counted by the reading thread.
        computed: windows computed, counted by the computing thread.
        ended: all frames of the clip were read.
        error: why there are no features.
    """

    def __init__(self, request: ClipRequest, feature: str, rows: Rows, finished: Finished) -> None:
        self.request, self.feature, self.rows = request, feature, rows
        self.clip: ClipWindows | ClipFrames | None = None
        self.queued = self.computed = 0
        self.ended = False
        self.error: FacerecError | None = None
        self._finished: Finished | None = finished

    def finish(self) -> None:
        """Hand over the result, once."""
        if self._finished is not None:
            finished, self._finished = self._finished, None
            finished(self.request, self.feature, self.error or self.rows)
            self.rows.close()

    def drop(self) -> None:
        """Give up; the result is not handed over."""
        self._finished = None
        self.rows.close()
