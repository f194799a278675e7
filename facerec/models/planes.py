"""Convert the planes of a batch of frames to RGB and to miniatures on the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from facerec.pixels import Reduction, YuvTables

# Factors that split a coefficient of 14 bits into two whole numbers of at most 8.
_SPLIT = 128


@dataclass(frozen=True)
class _Filters:
    """A `Reduction` of one kind of plane on the device.

    Attributes:
        across: (width of the plane, 2 * width of the miniature's) float32: the coefficients // `_SPLIT`,
            then those % `_SPLIT`.
        down: (height of the miniature's plane, height of the plane) float64.
        range: factor and offset of the conversion to full range.
    """

    across: Tensor
    down: Tensor
    range: tuple[int, int] | None


class Planes:
    """Converts planes on a device, where it keeps the tables for it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._tables: dict[YuvTables, Tensor] = {}
        self._filters: dict[Reduction, tuple[_Filters, _Filters]] = {}

    def _tables_of(self, yuv: YuvTables) -> Tensor:
        """Return tables on the device; copies them when they are first used, which waits for it."""
        if yuv not in self._tables:
            self._tables[yuv] = torch.from_numpy(yuv.tables).to(self._device)
        return self._tables[yuv]

    def _filters_of(self, reduction: Reduction) -> tuple[_Filters, _Filters]:
        """Return the filters of luma and of chroma on the device, as `_tables_of`."""
        if reduction not in self._filters:
            luma, chroma = (self._filters_of_kind(reduction, kind) for kind in (0, 1))
            self._filters[reduction] = luma, chroma
        return self._filters[reduction]

    def _filters_of_kind(self, reduction: Reduction, kind: int) -> _Filters:
        across = torch.from_numpy(reduction.across[kind]).T
        halves = torch.cat([across // _SPLIT, across % _SPLIT], dim=1)
        return _Filters(
            halves.float().to(self._device),
            torch.from_numpy(reduction.down[kind]).double().to(self._device),
            reduction.ranges and reduction.ranges[kind],
        )

    def to_rgb(self, planes: Tensor, yuv: YuvTables, height: int, width: int) -> Tensor:
        """Convert 8-bit 4:2:0 planes to RGB, the same bytes as swscale's on the host.

        Args:
            planes: (n, plane_bytes(height, width)) uint8 on the device, as in `FrameBatch`.

        Returns:
            (n, 3, height, width) uint8.
        """
        tables = self._tables_of(yuv)
        n, luma_bytes = len(planes), height * width
        y, uv = planes[:, :luma_bytes], planes[:, luma_bytes:].view(n, 2, luma_bytes // 4)
        u, v = uv[:, 0], uv[:, 1]
        # blocks of 2x2 pixels, which share the values of their chroma
        luma = _look_up(tables[0], y).view(n, height // 2, 2, width // 2, 2)
        shape = (n, height // 2, 1, width // 2, 1)
        red, blue = _look_up(tables[1], v), _look_up(tables[4], u)
        green = _look_up(tables[2], u) + _look_up(tables[3], v)
        rgb = torch.empty((n, 3, height, width), dtype=torch.uint8, device=planes.device)
        for channel, chroma in enumerate((red, green, blue)):
            rgb[:, channel] = (luma + chroma.view(shape)).clamp_(0, 255).view(n, height, width)
        return rgb

    def to_miniatures(self, planes: Tensor, reduction: Reduction) -> Tensor:
        """Reduce 8-bit 4:2:0 planes to miniatures, the same bytes as swscale's on the host.

        Args:
            planes: (n, bytes of a frame) uint8 on the device, as in `FrameBatch`.

        Returns:
            (n, MINIATURE_BYTES) float32, whole numbers 0..255.
        """
        luma, chroma = self._filters_of(reduction)
        luma_bytes = luma.down.shape[1] * luma.across.shape[0]
        parts = _reduced(planes[:, :luma_bytes], luma), _reduced(planes[:, luma_bytes:], chroma)
        return torch.cat(parts, dim=1)


def _reduced(planes: Tensor, filters: _Filters) -> Tensor:
    """Reduce planes of one kind (n, bytes), one or two in a row; return their pixels (n, …) float32.

    Both products are exact, in whatever order the device adds. Across, in float32: samples and halves of
    coefficients are whole numbers of at most 8 bits, so that even TF32 or bfloat16 holds them, and no sum
    exceeds 255 * 2**14 < 2**24, as the coefficients of a pixel have the sum 2**14. Down, in float64: sums
    of less than 2**53.
    """
    height, width = filters.down.shape[1], filters.across.shape[0]
    halves = planes.float().view(-1, width) @ filters.across
    high, low = halves.int().chunk(2, dim=1)
    lines = (high * _SPLIT + low) >> 7
    if filters.range is not None:
        factor, offset = filters.range
        lines = (lines * factor + offset >> 14).clamp_(max=2**15 - 1)
    sums = filters.down @ lines.view(-1, height, lines.shape[1]).double()
    return ((sums + 2**18) / 2**19).floor().clamp_(0, 255).float().view(len(planes), -1)


def _look_up(table: Tensor, indices: Tensor) -> Tensor:
    return table.index_select(0, indices.flatten().int())
