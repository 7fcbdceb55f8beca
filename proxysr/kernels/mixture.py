"""Sums over all items for every proxy at once, without a tensor of queries x items x proxies.

With ``exp(x.e + p.e) = exp(x.e) exp(p.e)``, the sums over items for R queries and K proxies are
one matrix product, (R, V) by (V, K). Items are processed a tile at a time, so memory does not
grow with them. Exponents are relative to the lengths of ``x`` and ``p``, which bound them because
items have length 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from proxysr.kernels import sizes
from proxysr.kernels.tiles import product_tiles

LEAST_SHARE = -1 + 1e-6
"""Biases take no more than all of a normaliser, also where rounding would have it so."""


def log_normalisers(
    queries: Tensor, proxies: Tensor, items: Tensor, log_weights: Tensor | None = None
) -> Tensor:
    """Logarithm (R, K) of the sum over items of ``exp(x.e + p.e)``, each times its weight.

    The plain line, without weights:
    ``((queries @ items.T).exp() @ (proxies @ items.T).exp().T).log()``.

    Parameters
    ----------
    queries : (R, D)
    proxies : (K, D)
    items : (V, D)
        Of length 1.
    log_weights : (V,), optional
    """
    if log_weights is not None:  # one more entry of all vectors, which only queries multiply
        queries, proxies = pad(queries, (0, 1), value=1.0), pad(proxies, (0, 1))
        items = torch.cat([items, log_weights.to(items)[:, None]], dim=1)
    return _LogNormalisers.apply(queries, proxies, items)  # type: ignore[no-any-return,no-untyped-call]


def bias_terms(
    queries: Tensor, proxies: Tensor, clicks: Tensor, bias: Tensor, scale: float
) -> Tensor:
    """What biases of the clicked items add to normalisers (B, L, K), less ``scale + ||p||``.

    Parameters
    ----------
    queries : (B, L, D)
        Of length ``scale``.
    proxies : (K, D)
    clicks : (B, L, D)
        Items of a session.
    bias : (B, L, L)
        After click l, the bias of the item of click u; 0 at all but one of the clicks on an item.
    scale : float
    """
    more = torch.expm1(bias) * torch.exp(queries @ clicks.mT - scale)
    return more @ exponentials(proxies, clicks.flatten(0, 1)).T.view(*clicks.shape[:2], -1)


def with_bias(log_z: Tensor, terms: Tensor, proxies: Tensor, scale: float) -> Tensor:
    """``log_z`` (B, L, K) corrected for biases, whose terms :func:`bias_terms` has."""
    share = terms * torch.exp(scale + torch.linalg.vector_norm(proxies, dim=1) - log_z)
    return log_z + torch.log1p(share.clamp(min=LEAST_SHARE))


@torch.no_grad()
def log_mixture(
    queries: Tensor, items: Tensor, weights: Tensor, by_proxy: Tensor, terms: Tensor
) -> Tensor:
    """Logarithms (tiles, R, width) of mixtures over proxies; see :mod:`proxysr.kernels.tiles`.

    The products with items are used twice: for the normaliser of each proxy, and for the result.
    The plain lines::

        by_query = (queries @ items.T - ||queries||).exp()
        (by_query * ((weights / (by_query @ by_proxy.T + terms)) @ by_proxy)).log()

    Parameters
    ----------
    queries : (R, D)
    items : (V, D)
        The padding first, which is nothing.
    weights : (R, K)
    by_proxy : (K, V)
        ``exp(p.e - ||p||)``.
    terms : (R, K)
        Of :func:`bias_terms`.
    """
    tiles = product_tiles(queries, items)
    length = torch.linalg.vector_norm(queries, dim=1, keepdim=True)
    parts = torch.split(by_proxy, tiles.shape[2], dim=1)
    sums = torch.zeros_like(terms)
    for tile, known in zip(tiles, parts, strict=True):
        tile -= length
        sums.addmm_(tile[:, : known.shape[1]].exp(), known.T)
    share = weights / (sums + terms.maximum(LEAST_SHARE * sums))
    for tile, known in zip(tiles, parts, strict=True):
        tile[:, : known.shape[1]] += (share @ known).log_()
    return tiles


def exponentials(vectors: Tensor, items: Tensor, length: Tensor | None = None) -> Tensor:
    """``exp(x.e - ||x||)`` (R, V) of each vector and item; lengths (R, 1) if they are known."""
    length = torch.linalg.vector_norm(vectors, dim=1, keepdim=True) if length is None else length
    return torch.mm(vectors, items.T).sub_(length).exp_()


class _LogNormalisers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, proxies: Tensor, items: Tensor) -> Tensor:
        sums = queries.new_zeros(len(queries), len(proxies))
        left = torch.linalg.vector_norm(queries, dim=1, keepdim=True)
        right = torch.linalg.vector_norm(proxies, dim=1, keepdim=True)
        n_kept = sizes.KEPT // (items.element_size() * (len(queries) + len(proxies)))
        ctx.kept = []
        for tile in _tiles(items):
            by_query = exponentials(queries, tile, left)  # (R, tile)
            by_proxy = exponentials(proxies, tile, right)  # (K, tile)
            sums.addmm_(by_query, by_proxy.T)
            if (len(ctx.kept) + 1) * sizes.TILE <= n_kept:
                ctx.kept.append((by_query, by_proxy))
        ctx.save_for_backward(queries, proxies, items, sums, left, right)
        log_z: Tensor = sums.log() + left + right.T
        return log_z

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
                by_query = exponentials(queries, tile, left)
                by_proxy = exponentials(proxies, tile, right)
            of_query = (share @ by_proxy).mul_(by_query)  # (R, tile)
            of_proxy = (share.T @ by_query).mul_(by_proxy)  # (K, tile)
            for_queries.addmm_(of_query, tile)
            for_proxies.addmm_(of_proxy, tile)
            part = for_items[index * sizes.TILE : index * sizes.TILE + len(tile)]
            torch.mm(of_query.T, queries, out=part)
            part.addmm_(of_proxy.T, proxies)
        ctx.kept = []
        return for_queries, for_proxies, for_items


def _tiles(items: Tensor) -> Iterator[Tensor]:
    """Views of the items, ``TILE`` rows each."""
    return iter(torch.split(items, sizes.TILE))
