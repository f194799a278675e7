"""Convert the planes of a batch of frames to RGB on the device."""

from __future__ import annotations

import torch
from torch import Tensor


def planes_to_rgb(planes: Tensor, tables: Tensor, height: int, width: int) -> Tensor:
    """Convert 8-bit 4:2:0 planes to RGB, the same bytes as swscale's on the host.

    Args:
        planes: (n, plane_bytes(height, width)) uint8 on the device, as in `FrameBatch`.
        tables: (5, 256) int16 on the device, of `YuvTables`.

    Returns:
        (n, 3, height, width) uint8.
    """
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


def _look_up(table: Tensor, indices: Tensor) -> Tensor:
    return table.index_select(0, indices.flatten().int())
