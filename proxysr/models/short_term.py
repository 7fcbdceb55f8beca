"""The short-term interest of a session: self-attention read at one click (equation 5)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softmax


class ShortTermEncoder(nn.Module):
    """Equation 5: causal self-attention, then two layers at the clicks that are asked for.

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

    def forward(
        self, clicks: Tensor, is_click: Tensor, ends: tuple[Tensor, ...] | None = None
    ) -> Tensor:
        """Short-term interest (R, D) after R clicks.

        Parameters
        ----------
        clicks : (B, L, D)
            Item plus position embeddings ``X``.
        is_click : bool (B, L)
            False at the padding.
        ends : int64 (R,) twice, optional
            Row and column of the R clicks; the last one of each row if left out.
        """
        x = self.dropout(clicks)
        keys = at_clicks(lambda some: relu(self.key(some)), x, is_click)
        if ends is None:
            latest, queries = x[:, -1:], relu(self.query(x[:, -1:]))
        else:
            latest, queries = x, at_clicks(lambda some: relu(self.query(some)), x, is_click)
        length = x.shape[1]
        may_see = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        # A padded query sees itself, so that its unused row stays finite.
        itself = torch.eye(length, dtype=torch.bool, device=x.device)
        may_see = ((may_see & is_click[:, None]) | itself)[:, -latest.shape[1] :]
        logits = (queries @ keys.mT / x.shape[-1] ** 0.5).masked_fill(~may_see, -torch.inf)
        z = softmax(logits, dim=-1) @ x + latest
        z = z[:, 0] if ends is None else z[ends]
        return self.out(relu(self.hidden(z)))  # type: ignore[no-any-return]


def at_clicks(f: Callable[[Tensor], Tensor], x: Tensor, is_click: Tensor) -> Tensor:
    """``f`` of the clicks of ``x`` (B, L, D), zero at the padding.

    Sessions of one batch differ in length; the padding would be most of the work.
    """
    where = is_click.nonzero(as_tuple=True)
    values = f(x[where])
    return values.new_zeros(*is_click.shape, values.shape[-1]).index_put(where, values)
