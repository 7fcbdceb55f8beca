"""ProxySR as the paper writes it: one session, one position, one item at a time, in float64.

Slow on purpose. The loops follow equations 1-10; the options that the paper leaves
open, and the ablations of its Table 5, are read from the same config, so that each of them has
its literal twin. What an ablation leaves out is None here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from proxysr.data.batches import SessionBatch
from proxysr.models import ProxySR
from proxysr.models.proxysr import ShortTermEncoder


def clicks_of(batch: SessionBatch, row: int) -> list[int]:
    return [int(item) for item in batch.items[row] if item != 0]


def weigh(model: ProxySR, clicks: list[int], user: int) -> tuple[Tensor, Tensor]:
    """Equations 1, 3 and 10: logits and weights."""
    c, n = model.config, len(clicks)
    logits = torch.zeros(c.n_proxies, dtype=torch.float64)
    for j, item in enumerate(clicks):
        position = j if c.proxy_positions == "start" else n - 1 - j
        x = model.items[item] + model.proxy_positions[position]
        hidden = model.w1.T @ x
        hidden = torch.where(hidden > 0, hidden, 0.1 * hidden)
        logits = logits + model.w2.T @ hidden / n
    if model.user_bias is not None and 0 <= user < c.n_users:
        logits = logits + model.user_bias[user]
    exponentials = [torch.exp((a - logits.max()) / model.temperature) for a in logits]
    return logits, torch.stack([e / sum(exponentials) for e in exponentials])


def proxy_and_normal(
    model: ProxySR, clicks: list[int], user: int
) -> tuple[Tensor | None, Tensor | None]:
    """Equations 2 and 6: ``p`` and ``v`` of one session."""
    c, proxy, normal = model.config, None, None
    if c.expressed_by != "short-term" and c.proxy_by == "encoding":
        proxy = attend(model, model.proxy_encoder, model.proxy_positions, c.proxy_positions, clicks)
    elif c.expressed_by != "short-term":
        _, weights = weigh(model, clicks, user)
        mixed = sum(weights[k] * model.proxies[k] for k in range(c.n_proxies))
        length = sum(weights[k] * model.proxies[k].norm() for k in range(c.n_proxies))
        proxy = length / mixed.norm() * mixed
    if c.projection:
        _, weights = weigh(model, clicks, user)
        mixed = sum(weights[k] * model.normals[k] for k in range(c.n_proxies))
        normal = mixed / mixed.norm()
    return proxy, normal


def short_term(model: ProxySR, prefix: list[int]) -> Tensor | None:
    """Equation 4 for one prefix."""
    c = model.config
    if c.expressed_by == "proxy":
        return None
    return attend(model, model.encoder, model.short_term_positions, c.short_term_positions, prefix)


def attend(
    model: ProxySR, encoder: ShortTermEncoder, table: Tensor, count_from: str, clicks: list[int]
) -> Tensor:
    """Equation 5."""
    n = len(clicks)
    positions = [j if count_from == "start" else n - 1 - j for j in range(n)]
    x = [model.items[i] + table[p] for i, p in zip(clicks, positions, strict=True)]
    query = torch.relu(encoder.query.weight @ x[-1])
    logits = [query @ torch.relu(encoder.key.weight @ x_j) / math.sqrt(len(x_j)) for x_j in x]
    attention = torch.softmax(torch.stack(logits), dim=0)
    z = sum(attention[j] * x[j] for j in range(n)) + x[-1]
    hidden = torch.relu(encoder.hidden.weight @ z + encoder.hidden.bias)
    return encoder.out.weight @ hidden + encoder.out.bias


def on_plane(vector: Tensor, normal: Tensor | None) -> Tensor:
    """Equation 6."""
    return vector if normal is None else vector - (normal @ vector) * normal


def expressed(proxy: Tensor | None, normal: Tensor | None, interest: Tensor | None) -> Tensor:
    """What a session is expressed by in equation 7: ``p + s_perp``, or one of them."""
    parts = [] if proxy is None else [proxy]
    return sum(parts if interest is None else [*parts, on_plane(interest, normal)])


def distance(session: Tensor, normal: Tensor | None, item: Tensor) -> Tensor:
    """Equation 7."""
    return ((session - on_plane(item, normal)) ** 2).sum()


def similarity(model: ProxySR, session: Tensor, normal: Tensor | None, item: Tensor) -> Tensor:
    """What items are ranked by."""
    if model.config.similarity == "dot":
        return session @ on_plane(item, normal)
    return -distance(session, normal, item)


def loss(model: ProxySR, batch: SessionBatch, drawn: set[int] | None = None) -> dict[str, Tensor]:
    """Equations 8-9 with the reductions and negatives that the config names.

    Negatives are all items, or those that are drawn.
    """
    items = range(1, model.n_items + 1) if drawn is None else sorted(drawn)
    c = model.config
    hinges, distances, angles = [], [], []
    for row in range(len(batch.items)):
        clicks = clicks_of(batch, row)
        whole = clicks if c.proxy_from == "inputs" else [*clicks, int(batch.last_items[row])]
        proxy, normal = proxy_and_normal(model, whole, int(batch.users[row]))
        if proxy is not None and normal is not None:
            angles.append((normal @ proxy).abs() / proxy.norm())
        targets = batch.targets[row][batch.items[row] != 0]
        for t in range(len(clicks)):
            target = int(targets[t])
            if target == 0:
                continue
            session = expressed(proxy, normal, short_term(model, clicks[: t + 1]))
            positive = similarity(model, session, normal, model.items[target])
            terms = [
                torch.relu(c.margin + similarity(model, session, normal, model.items[i]) - positive)
                for i in items
                if c.target_is_negative or i != target
            ]
            if c.negatives == "hardest":
                terms = sorted(terms, key=lambda term: -term.item())[: c.n_negatives]
            hinges.append(sum(terms) / (len(terms) if c.reduction == "mean" else 1))
            distances.append(
                distance(session, normal, model.items[target])
                if c.similarity == "distance"
                else -positive
            )
    n_positions = len(hinges) if c.reduction == "mean" else 1
    n_sessions = len(batch.items) if c.reduction == "mean" else 1
    parts = {
        "hinge": sum(hinges) / n_positions,
        "dist": sum(distances) / n_positions,
        "orthog": sum(angles, torch.zeros((), dtype=torch.float64)) / n_sessions,
    }
    total = parts["hinge"] + c.lambda_dist * parts["dist"] + c.lambda_orthog * parts["orthog"]
    if c.constraints == "penalty":
        names = ("items", "proxies", "proxy_positions", "short_term_positions")
        tables = [model.get_parameter(name) for name in names if hasattr(model, name)]
        parts["norm"] = sum(torch.relu((row**2).sum() - 1) for table in tables for row in table)
        if c.projection:
            parts["norm"] = parts["norm"] + sum(((v**2).sum() - 1) ** 2 for v in model.normals)
        total = total + c.lambda_norm * parts["norm"]
    return {"total": total, **parts}
