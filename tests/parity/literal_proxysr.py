"""ProxySR as the paper writes it: one session, one position, one item at a time, in float64.

Slow on purpose. The loops follow equations 1-10; the options that the paper leaves
open are read from the same config, so that each of them has its literal twin.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from proxysr.data.batches import SessionBatch
from proxysr.models import ProxySR


def clicks_of(batch: SessionBatch, row: int) -> list[int]:
    return [int(item) for item in batch.items[row] if item != 0]


def select(model: ProxySR, clicks: list[int], user: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Equations 1-3, 6, 10: logits, weights, proxy, normal."""
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
    weights = torch.stack([e / sum(exponentials) for e in exponentials])
    mixed = sum(weights[k] * model.proxies[k] for k in range(c.n_proxies))
    length = sum(weights[k] * model.proxies[k].norm() for k in range(c.n_proxies))
    normal = sum(weights[k] * model.normals[k] for k in range(c.n_proxies))
    return logits, weights, length / mixed.norm() * mixed, normal / normal.norm()


def short_term(model: ProxySR, prefix: list[int]) -> Tensor:
    """Equations 4-5 for one prefix."""
    c, n, encoder = model.config, len(prefix), model.encoder
    positions = [j if c.short_term_positions == "start" else n - 1 - j for j in range(n)]
    x = [
        model.items[i] + model.short_term_positions[p]
        for i, p in zip(prefix, positions, strict=True)
    ]
    query = torch.relu(encoder.query.weight @ x[-1])
    logits = [
        query @ torch.relu(encoder.key.weight @ x_j) / math.sqrt(c.embedding_dim) for x_j in x
    ]
    attention = torch.softmax(torch.stack(logits), dim=0)
    z = sum(attention[j] * x[j] for j in range(n)) + x[-1]
    hidden = torch.relu(encoder.hidden.weight @ z + encoder.hidden.bias)
    return encoder.out.weight @ hidden + encoder.out.bias


def distance(proxy: Tensor, normal: Tensor, interest: Tensor, item: Tensor) -> Tensor:
    """Equations 6-7."""
    on_plane = interest - (normal @ interest) * normal
    item_on_plane = item - (normal @ item) * normal
    return ((proxy + on_plane - item_on_plane) ** 2).sum()


def loss(model: ProxySR, batch: SessionBatch) -> dict[str, Tensor]:
    """Equations 8-9 with the reductions and negatives that the config names."""
    c = model.config
    hinges, distances, angles = [], [], []
    for row in range(len(batch.items)):
        clicks = clicks_of(batch, row)
        whole = clicks if c.proxy_from == "inputs" else [*clicks, int(batch.last_items[row])]
        _, _, proxy, normal = select(model, whole, int(batch.users[row]))
        angles.append((normal @ proxy).abs() / proxy.norm())
        targets = batch.targets[row][batch.items[row] != 0]
        for t in range(len(clicks)):
            target = int(targets[t])
            if target == 0:
                continue
            interest = short_term(model, clicks[: t + 1])
            positive = distance(proxy, normal, interest, model.items[target])
            terms = [
                torch.relu(c.margin + positive - distance(proxy, normal, interest, model.items[i]))
                for i in range(1, model.n_items + 1)
                if c.target_is_negative or i != target
            ]
            if c.negatives == "hardest":
                terms = sorted(terms, key=lambda term: -term.item())[: c.n_negatives]
            hinges.append(sum(terms) / (len(terms) if c.reduction == "mean" else 1))
            distances.append(positive)
    n_positions = len(hinges) if c.reduction == "mean" else 1
    n_sessions = len(angles) if c.reduction == "mean" else 1
    parts = {
        "hinge": sum(hinges) / n_positions,
        "dist": sum(distances) / n_positions,
        "orthog": sum(angles) / n_sessions,
    }
    total = parts["hinge"] + c.lambda_dist * parts["dist"] + c.lambda_orthog * parts["orthog"]
    if c.constraints == "penalty":
        tables = (model.items, model.proxies, model.proxy_positions, model.short_term_positions)
        outside = sum(torch.relu((row**2).sum() - 1) for table in tables for row in table)
        off_sphere = sum(((row**2).sum() - 1) ** 2 for row in model.normals)
        parts["norm"] = outside + off_sphere
        total = total + c.lambda_norm * parts["norm"]
    return {"total": total, **parts}
