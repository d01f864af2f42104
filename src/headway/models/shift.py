"""The one place where targets are shifted."""

from torch import Tensor

from headway.nn.packing import Packing

__all__ = ["shift_right"]


def shift_right(target_ids: Tensor, packing: Packing, start_id: int | None) -> Tensor:
    """The decoder's input while it learns to generate the target: a start token, then all but the target's last.

    *Shape:* (tokens,) → (tokens,)

    Args:
        target_ids: Ids of the targets.
        packing: Where they start.
        start_id: The start token; none: each target's own last token.
    """
    shifted = target_ids.roll(1)
    firsts = packing.offsets[:-1].long()
    if start_id is None:
        return shifted.index_copy(0, firsts, target_ids.index_select(0, packing.lasts()))
    shifted[firsts] = start_id
    return shifted
