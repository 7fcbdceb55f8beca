"""The short-term interest of a session: self-attention read at its last click (equation 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softmax


class ShortTermEncoder(nn.Module):
    """Self-attention over the clicks, read at its last query (equation 5); causal.

    Parameters
    ----------
    dim : int
    dropout : float
    """

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.hidden = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, clicks: Tensor, is_click: Tensor, *, last_only: bool) -> Tensor:
        """Short-term interest after each click (B, L, D), or after the last one (B, 1, D).

        Parameters
        ----------
        clicks : (B, L, D)
            Item plus position embeddings ``X``.
        is_click : bool (B, L)
            False at the padding.
        last_only : bool
        """
        length = clicks.shape[1]
        x = self.dropout(clicks)
        ends = x[:, -1:] if last_only else x
        may_see = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        # A padded query sees itself, so that its unused row stays finite.
        may_see = (may_see & is_click[:, None]) | torch.eye(
            length, dtype=torch.bool, device=x.device
        )
        logits = relu(self.query(ends)) @ relu(self.key(x)).mT / x.shape[-1] ** 0.5
        logits = logits.masked_fill(~may_see[:, -ends.shape[1] :], -torch.inf)
        z = softmax(logits, dim=-1) @ x + ends
        return self.out(relu(self.hidden(z)))  # type: ignore[no-any-return]
