"""Faster vision transformers of open_clip for inference on CPUs: the same blocks with packed weights.

If a picture's vector is its first token, the last block computes only that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from facerec.models.fused import PackedLinear, can_fuse

QUICK_GELU = 1.702  # open_clip's QuickGELU is x * sigmoid(1.702 * x)


def pack_vision_transformer(network: Any) -> bool:
    """Replace the blocks of the network for pictures, in place, if it is a vision transformer of open_clip.

    Args:
        network: on the CPU, in the precision of its use, for inference.

    Returns:
        Whether it did. A picture's vector then has the same bits in a batch of any size.
    """
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

    visual = network.visual
    if type(visual) is not VisionTransformer or visual.output_tokens or not visual.transformer.batch_first:
        return False
    blocks = visual.transformer.resblocks
    if not all(type(block) is ResidualAttentionBlock for block in blocks):
        return False
    if not can_fuse(visual.conv1.weight.dtype):
        return False
    takes_first = visual.pool_type == "tok" and visual.attn_pool is None
    for k, block in enumerate(blocks):
        blocks[k] = PackedBlock(block, first_only=takes_first and k == len(blocks) - 1)
    if visual.proj is not None:
        projection = PackedLinear(visual.proj.T, None)
        visual.proj = None
        network.visual = nn.Sequential(visual, projection)
    return True


class PackedBlock(nn.Module):
    """A block of attention to all tokens and two linear layers.

    Args:
        block: open_clip's `ResidualAttentionBlock`.
        first_only: return only the first token.
    """

    def __init__(self, block: Any, first_only: bool) -> None:
        super().__init__()
        self._norms = nn.ModuleList((block.ln_1, block.ln_2))
        self._scales = nn.ModuleList((block.ls_1, block.ls_2))
        attention = block.attn
        self._heads, width = attention.num_heads, attention.embed_dim
        weight, bias = attention.in_proj_weight, attention.in_proj_bias
        self._query = PackedLinear(weight[:width], bias[:width]) if first_only else None
        rest = slice(width, None) if first_only else slice(None)
        self._inputs = PackedLinear(weight[rest], bias[rest])
        self._output = PackedLinear(attention.out_proj.weight, attention.out_proj.bias)
        self._mlp = _pack_mlp(block.mlp)

    def forward(self, rows: Tensor, attn_mask: None = None) -> Tensor:
        """Map (n, tokens, width) to the same shape, or to (n, 1, width)."""
        normed = self._norms[0](rows)
        inputs = self._inputs(normed)
        if self._query is None:
            query, key, value = inputs.chunk(3, -1)
        else:
            rows = rows[:, :1]
            query = self._query(normed[:, :1].contiguous())
            key, value = inputs.chunk(2, -1)
        mixed = scaled_dot_product_attention(self._split(query), self._split(key), self._split(value))
        rows = rows + self._scales[0](self._output(mixed.transpose(1, 2).flatten(2)))
        result: Tensor = rows + self._scales[1](self._mlp(self._norms[1](rows)))
        return result

    def _split(self, rows: Tensor) -> Tensor:
        """Split (n, tokens, width) to (n, heads, tokens, width of a head)."""
        return rows.view(*rows.shape[:2], self._heads, -1).transpose(1, 2)


def _pack_mlp(mlp: Any) -> nn.Module:
    """Pack the two linear layers of a block, the first with its activation if possible."""
    from open_clip.transformer import QuickGELU

    first, last, activation = mlp.c_fc, mlp.c_proj, mlp.gelu
    if type(activation) is QuickGELU and first.weight.dtype == torch.float32:
        # q(x) = swish(1.702 * x) / 1.702; half precision would round the weights once more
        return nn.Sequential(
            PackedLinear(first.weight * QUICK_GELU, first.bias * QUICK_GELU, "swish"),
            PackedLinear(last.weight / QUICK_GELU, last.bias),
        )
    if type(activation) is nn.GELU:
        fused = PackedLinear(first.weight, first.bias, f"gelu {activation.approximate}")
        return nn.Sequential(fused, PackedLinear(last.weight, last.bias))
    return nn.Sequential(
        PackedLinear(first.weight, first.bias), activation, PackedLinear(last.weight, last.bias)
    )
