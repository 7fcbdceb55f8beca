"""GRec: learns to fill gaps in a session from the clicks on both sides of them.

Idea
----
In training, the clicks after a target are there, too, and tell much of what the user was after.
Here some clicks of a training session are cut out. An encoder reads the session with its gaps in
both directions; a decoder reads the complete session up to the click before a gap, and says what
was cut out. Both are stacks of dilated convolutions, so that a few layers reach far.

Reference
---------
Fajie Yuan, Xiangnan He, Haochuan Jiang, Guibing Guo, Jian Xiong, Zhezhao Xu, Yilin Xiong: Future
Data Helps Training: Modeling Future Contexts for Session-based Recommendation. WWW 2020.
https://doi.org/10.1145/3366423.3380116

Where the equations are
-----------------------
Choice of the gaps: :meth:`GRec.gaps`; training on them: :meth:`GRec.loss`; encoder, projector
and decoder: :meth:`GRec.states`; residual blocks: :class:`Block`; prediction from the prefix
alone: :meth:`GRec.encode`. The loss of a gap depends on the clicks after it, by way of the encoder,
and never on the click that was cut out; scores depend on the prefix alone, read without a gap.

Differences from the paper
--------------------------
- Gaps are cut where the task has a target: the share ``gap_share`` of a session's targets, at
  least one. Under the *unseen* task a repeated click is never a gap. The first click never is.
- What the paper leaves open (initial values, activation, biases, a table of items each for encoder,
  decoder and softmax) is as in the program. ``tied_items``, ``dropout`` on the embedded clicks, and
  ``output_bias=False`` are ours: on some ten thousands of sessions, three tables are more than
  the gaps can teach.

Differences from the authors' program
-------------------------------------
- Padding is set to zero before every convolution. Theirs pads all sessions to one length with a
  token that is read, and cut out, like an item.
- A gap is filled with a learnt vector of its own; theirs takes the embedding of unknown items.
- It adds a small L2 penalty on all weights; here that is the trainer's ``weight_decay``.
- It shares one draw of initial values among convolutions of equal shape; here each has its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, gelu, pad, relu

from proxysr.config import Share, require
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD
from proxysr.models.base import Ends, Loss
from proxysr.models.softmax import SoftmaxConfig, SoftmaxModel, prefixes


class GRecConfig(SoftmaxConfig):
    """Hyper-parameters of GRec; defaults are those of the authors' program."""

    gap_share: float = 0.5
    """Share γ of a training session's targets that are cut out at a time."""
    dilations: tuple[int, ...] = (1, 4, 1, 4)
    """Dilation of the first convolution of each block; that of its second is twice as wide."""
    kernel_size: int = 3
    """Clicks that a convolution reads; odd, to have as many on both sides."""
    init_std: float = 0.02
    """Standard deviation of all tables and weights at the start; none is larger than twice that."""
    tied_items: bool = False
    """Whether encoder, decoder and softmax have one table of items, or one each."""
    output_bias: bool = True
    """Whether each item has a bias in the softmax."""
    dropout: Share = 0.0
    """Share of the entries of the embedded clicks that is dropped in training."""

    def check(self) -> None:
        """Check ranges."""
        super().check()
        require(0 < self.gap_share <= 1, f"gap_share is in (0, 1]; received {self.gap_share}.")
        require(
            len(self.dilations) > 0 and min(self.dilations) >= 1,
            f"dilations are one or more numbers from 1 on; received {list(self.dilations)}.",
        )
        require(
            self.kernel_size >= 1 and self.kernel_size % 2 == 1,
            f"kernel_size is an odd number from 1 on; received {self.kernel_size}.",
        )


class Block(nn.Module):
    """Two dilated convolutions, each normalised and rectified, added to what they read.

    If ``causal``, a click is read from itself and earlier ones, else from both sides.
    """

    def __init__(self, dim: int, kernel_size: int, dilation: int, *, causal: bool) -> None:
        super().__init__()
        self.dilations = (dilation, 2 * dilation)
        self.kernel_size, self.causal = kernel_size, causal
        # A convolution is a linear map of the clicks it reads, side by side; a matrix product
        # is several times as fast as Conv1d for short sessions on a CPU.
        self.convolutions = nn.ModuleList(nn.Linear(kernel_size * dim, dim) for _ in self.dilations)
        self.norms = nn.ModuleList(nn.LayerNorm(dim, eps=1e-8) for _ in self.dilations)

    def forward(self, x: Tensor, is_click: Tensor) -> Tensor:
        """(B, L, D) from (B, L, D), both zero where ``is_click`` (B, L, 1) is 0."""
        z = x
        for convolve, norm, dilation in zip(
            self.convolutions, self.norms, self.dilations, strict=True
        ):
            z = relu(norm(convolve(self._side_by_side(z, dilation)))) * is_click
        return x + z

    def _side_by_side(self, z: Tensor, dilation: int) -> Tensor:
        """The ``kernel_size`` clicks that each click is read from, (B, L, kernel_size D)."""
        n, reach = z.shape[1], (self.kernel_size - 1) * dilation
        after = 0 if self.causal else reach // 2
        wide = pad(z, (0, 0, reach - after, after))
        return torch.cat([wide[:, i : i + n] for i in range(0, reach + 1, dilation)], dim=2)


class GRec(SoftmaxModel):
    """The model; see the module's docstring.

    Attributes
    ----------
    items : (V, D)
        Weights of the softmax; unless ``tied_items``, encoder and decoder have tables of their own.
    """

    Config = GRecConfig
    config: GRecConfig
    peeks_in_training = True  # the encoder reads the clicks after a gap
    data_parallel = False  # its loss is a mean over the gaps of a batch, not over its targets

    def __init__(self, n_items: int, config: GRecConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        d = c.embedding_dim
        if not c.tied_items:
            self.encoder_items = nn.Parameter(torch.empty(n_items + 1, d))
            self.decoder_items = nn.Parameter(torch.empty(n_items + 1, d))
        self.gap = nn.Parameter(torch.empty(d))
        self.bias = nn.Parameter(torch.zeros(n_items + 1)) if c.output_bias else None
        self.encoder, self.decoder = (
            nn.ModuleList(
                Block(d, c.kernel_size, dilation, causal=causal) for dilation in c.dilations
            )
            for causal in (False, True)
        )
        self.widen, self.narrow = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.dropout = nn.Dropout(c.dropout)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2 or name == "gap":
                bound = 2 * c.init_std
                nn.init.trunc_normal_(parameter, std=c.init_std, a=-bound, b=bound)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        self.items.data[PAD] = 0

    def states(self, items: Tensor, is_gap: Tensor | None = None) -> Tensor:
        """Vector (B, L, D) at each click, to be compared with the item after it.

        ``items`` (B, L) are padded on the left; the encoder must not see those where ``is_gap``.
        """
        is_click = (items != PAD)[:, :, None].to(self.items.dtype)
        context, clicks = self.embed_twice(items)
        if is_gap is not None:
            context = torch.where(is_gap[:, :, None], self.gap, context)
        context = context * is_click
        for block in self.encoder:
            context = block(context, is_click)
        x = context + clicks
        x = (x + self.narrow(gelu(self.widen(x), approximate="tanh"))) * is_click
        for block in self.decoder:
            x = block(x, is_click)
        return relu(x)

    def embed_twice(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Clicks (B, L) as the encoder and as the decoder knows them, (B, L, D) each."""
        if self.config.tied_items:
            clicks = self.embed(items)
            return self.dropout(clicks), self.dropout(clicks)
        sparse = self.sampler is not None  # with drawn items, no gradient is as large as the table
        return (
            self.dropout(embedding(items, self.encoder_items, sparse=sparse)),
            self.dropout(embedding(items, self.decoder_items, sparse=sparse)),
        )

    @property
    def biases(self) -> Tensor | None:
        """Biases (V,) of the items, if there are any."""
        return self.bias

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """Vectors (R, D) of the sessions as they were after the clicks at ``ends``."""
        if ends is not None:
            batch = prefixes(batch, ends)
        return self.states(batch.items)[:, -1]

    def gaps(self, batch: SessionBatch) -> Ends:
        """Row and column (R,) of the clicks before the gaps, drawn anew at each call."""
        has_target = batch.targets != PAD
        n_gaps = (has_target.sum(dim=1) * self.config.gap_share).round().clamp(min=1)
        drawn = torch.rand(has_target.shape, device=has_target.device)
        place = drawn.masked_fill(~has_target, 2).argsort(dim=1).argsort(dim=1)
        row, column = (has_target & (place < n_gaps[:, None])).nonzero(as_tuple=True)
        return row, column

    def loss(self, batch: SessionBatch) -> Loss:
        """Mean cross-entropy over the gaps."""
        row, column = ends = self.gaps(batch)
        last = batch.targets[:, -1] if batch.last_items is None else batch.last_items
        items = torch.cat([batch.items, last[:, None]], dim=1)
        is_gap = torch.zeros_like(items, dtype=torch.bool)
        is_gap[row, column + 1] = True
        vectors = self.states(items, is_gap)[ends]
        return Loss(self.cross_entropy(vectors, batch.targets[ends]) / len(row), {})
