"""Which keys a query sees: all of them, none that come later, or those near it."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["EVERYWHERE", "AttentionPattern"]


@dataclass(frozen=True)
class AttentionPattern:
    """A rule over positions. Query i is at key i, or `offset` later where its sequence's first keys are cached."""

    causal: bool = False
    """No query sees a later key."""

    window: int | None = None
    """No query sees a key further away than this; none: distance does not matter."""

    def sees_all(self, num_queries: int, num_keys: int) -> bool:
        """Whether the rule hides nothing from these queries, the last of which is at the last key."""
        hides_later = self.causal and num_queries > 1
        return not hides_later and (self.window is None or self.window >= num_keys - 1)

    def span(self, position: int, num_keys: int) -> tuple[int, int]:
        """The keys that one query at `position` sees, from the first up to but without the second."""
        reach = num_keys if self.window is None else self.window
        return max(0, position - reach), position + 1 if self.causal else min(num_keys, position + reach + 1)

    def mask(self, num_queries: int, num_keys: int, device: torch.device | str = "cpu", offset: int = 0) -> Tensor:
        """Which keys each query sees; query 0 is at key `offset`.

        *Shape:* (num_queries, num_keys), bool, True = attend
        """
        queries = torch.arange(offset, offset + num_queries, device=device)[:, None]
        return self.visible(torch.arange(num_keys, device=device) - queries)

    def visible(self, distance: Tensor) -> Tensor:
        """Which distances, key − query, the rule leaves visible. *Shape:* any → the same, bool."""
        visible = torch.ones(distance.shape, dtype=torch.bool, device=distance.device)
        if self.causal:
            visible &= distance <= 0
        if self.window is not None:
            visible &= distance.abs() <= self.window
        return visible


EVERYWHERE = AttentionPattern()
