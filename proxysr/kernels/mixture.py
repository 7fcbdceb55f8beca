"""Sums over all items under every proxy at once, without a tensor of queries x items x proxies.

With ``exp(x.e + p.e) = exp(x.e) exp(p.e)``, the sums over items of R queries under K proxies are
one matrix product, (R, V) by (V, K). Items are taken a tile at a time, so that memory does not
grow with them; exponents are taken relative to the lengths of ``x`` and ``p``, which bound them as
items have length 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

TILE = 2048
"""Items whose exponentials are made at once."""
ROWS = 256
"""Queries whose exponentials are made at once on a CPU where nothing is kept of them: with a tile,
they stay in its cache."""
KEPT = 2**28
"""Bytes of exponentials that are kept from the forward pass for the backward pass; what does not
fit is made again there."""


def log_normalisers(
    queries: Tensor, proxies: Tensor, items: Tensor, by_proxy: Tensor | None = None
) -> Tensor:
    """Logarithm (R, K) of the sum over items of ``exp(x.e + p.e)``.

    The plain line: ``((queries @ items.T).exp() @ (proxies @ items.T).exp().T).log()``.

    Parameters
    ----------
    queries : (R, D)
    proxies : (K, D)
    items : (V, D)
        Of length 1.
    by_proxy : (K, V), optional
        ``exp(p.e - ||p||)``, if it is known already; no gradients then.
    """
    if by_proxy is not None:
        return _sums(queries, proxies, items, by_proxy)
    return _LogNormalisers.apply(queries, proxies, items)  # type: ignore[no-any-return,no-untyped-call]


def with_bias(
    log_z: Tensor, queries: Tensor, proxies: Tensor, clicks: Tensor, bias: Tensor, scale: float
) -> Tensor:
    """The same (B, L, K) where some of the items have a bias: only their terms change.

    Parameters
    ----------
    log_z : (B, L, K)
        Without biases.
    queries : (B, L, D)
        Of length ``scale``.
    proxies : (K, D)
    clicks : (B, L, D)
        Items of a session.
    bias : (B, L, L)
        After click l, that of the item of click u; 0 at all but one of the clicks on an item.
    scale : float
    """
    length = torch.linalg.vector_norm(proxies, dim=1)
    more = torch.expm1(bias) * torch.exp(queries @ clicks.mT - scale)
    share = more @ torch.exp(clicks @ proxies.T - length) * torch.exp(scale + length - log_z)
    return log_z + torch.log1p(share.clamp(min=-1 + 1e-6))


def _sums(queries: Tensor, proxies: Tensor, items: Tensor, by_proxy: Tensor) -> Tensor:
    left = torch.linalg.vector_norm(queries, dim=1, keepdim=True)
    sums = queries.new_zeros(len(queries), len(proxies))
    rows = ROWS if queries.device.type == "cpu" else len(queries)
    for first in range(0, len(queries), rows):
        some = slice(first, first + rows)
        for tile, known in zip(_tiles(items), torch.split(by_proxy, TILE, dim=1), strict=True):
            sums[some].addmm_(_exponentials(queries[some], tile, left[some]), known.T)
    found: Tensor = sums.log() + left + torch.linalg.vector_norm(proxies, dim=1)
    return found


def _exponentials(vectors: Tensor, items: Tensor, length: Tensor) -> Tensor:
    """``exp(x.e - ||x||)`` of each vector and item; lengths (R, 1) are those of the vectors."""
    return torch.addmm(length, vectors, items.T, beta=-1).exp_()


class _LogNormalisers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, proxies: Tensor, items: Tensor) -> Tensor:
        sums = queries.new_zeros(len(queries), len(proxies))
        left = torch.linalg.vector_norm(queries, dim=1, keepdim=True)
        right = torch.linalg.vector_norm(proxies, dim=1, keepdim=True)
        n_kept = KEPT // (items.element_size() * (len(queries) + len(proxies)))
        ctx.kept = []
        for tile in _tiles(items):
            by_query = _exponentials(queries, tile, left)  # (R, tile)
            by_proxy = _exponentials(proxies, tile, right)  # (K, tile)
            sums.addmm_(by_query, by_proxy.T)
            if (len(ctx.kept) + 1) * TILE <= n_kept:
                ctx.kept.append((by_query, by_proxy))
        ctx.save_for_backward(queries, proxies, items, sums, left, right)
        found: Tensor = sums.log() + left + right.T
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        queries, proxies, items, sums, left, right = ctx.saved_tensors
        share = gradient / sums  # (R, K)
        for_queries, for_proxies = torch.zeros_like(queries), torch.zeros_like(proxies)
        for_items = torch.empty_like(items)
        for index, tile in enumerate(_tiles(items)):
            if index < len(ctx.kept):
                by_query, by_proxy = ctx.kept[index]
            else:
                by_query = _exponentials(queries, tile, left)
                by_proxy = _exponentials(proxies, tile, right)
            of_query = (share @ by_proxy).mul_(by_query)  # (R, tile)
            of_proxy = (share.T @ by_query).mul_(by_proxy)  # (K, tile)
            for_queries.addmm_(of_query, tile)
            for_proxies.addmm_(of_proxy, tile)
            part = for_items[index * TILE : index * TILE + len(tile)]
            torch.mm(of_query.T, queries, out=part)
            part.addmm_(of_proxy.T, proxies)
        ctx.kept = []
        return for_queries, for_proxies, for_items


def _tiles(items: Tensor) -> Iterator[Tensor]:
    """Views of the items, ``TILE`` rows each."""
    return iter(torch.split(items, TILE))
