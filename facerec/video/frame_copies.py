"""Copy decoded frames, so that what a decoder does with damage does not depend on how long they are kept.

A decoder that conceals damage leaves parts of a frame as they were in its memory, which held a frame that it
gave out before and that nobody keeps any more. If it gives out copies, its memory is its own.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame


class FrameCopier:
    """Copies frames with all their attributes, by FFmpeg's filter for it."""

    def __init__(self) -> None:
        self._graphs: dict[tuple[int, int, str, Fraction], Graph] = {}

    def copy(self, frame: VideoFrame) -> VideoFrame:
        """Return a copy that shares no memory with the frame."""
        time_base = frame.time_base or Fraction(1)
        form = frame.width, frame.height, frame.format.name, time_base
        if form not in self._graphs:
            graph = av.filter.Graph()
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=time_base
            )
            graph.link_nodes(source, graph.add("copy"), graph.add("buffersink")).configure()
            self._graphs[form] = graph
        self._graphs[form].push(frame)
        copied = self._graphs[form].pull()
        assert isinstance(copied, av.VideoFrame)
        return copied
