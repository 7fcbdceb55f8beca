"""Attention of prefixes over their own clicks, for models that read sessions from the left."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softmax

from proxysr.models.base import Ends
from proxysr.models.softmax import in_groups

Logits = Callable[[Tensor, Tensor], Tensor]
"""Maps the numbers (n,) of prefixes and the keys (n, L, H) of their clicks to logits (n, L)."""


def attend(
    keys: Tensor, values: Tensor, ends: Ends, logits: Logits, *, normalised: bool = True
) -> Tensor:
    """``Σ_{j ≤ t} a_tj x_j`` (R, D) after R clicks t, with ``a_t`` the softmax of the logits.

    Prefixes of similar length are processed together; padded to the longest, most of the
    work would be padding.

    Parameters
    ----------
    keys : (B, L, ...)
        Key of each click; padded on the right.
    values : (B, L, D)
        ``x``.
    ends : int64 (R,) twice
        Row and column of the clicks t.
    logits : callable
    normalised : bool
        If False, the weights ``a`` are the logits themselves.
    """
    row, last = ends

    def weighted_sum(picked: Tensor, width: int) -> Tensor:
        later = torch.arange(width, device=row.device) > last[picked, None]
        weights = logits(picked, keys[:, :width].index_select(0, row[picked]))
        if normalised:
            weights = softmax(weights.masked_fill(later, -torch.inf), dim=1)
        else:
            weights = weights.masked_fill(later, 0)
        return (weights[:, None] @ values[:, :width].index_select(0, row[picked])).squeeze(1)

    return in_groups(weighted_sum, last + 1)
