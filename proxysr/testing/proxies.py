"""Checks of models with proxies; the analyses and the explorer rely on them."""

from __future__ import annotations

import torch
from torch import Tensor

from proxysr.config import ConfigError
from proxysr.data.batches import SessionBatch, batch_of
from proxysr.data.sessions import PAD
from proxysr.kernels.tiles import side_by_side
from proxysr.models.proxy_model import ProxyModel
from proxysr.testing.case import Case, expect, same
from proxysr.testing.planted import N_ITEMS, SESSIONS
from proxysr.testing.scores import padded

LONGEST = max(map(len, SESSIONS))


def disturbed(case: Case, seed: int = 0) -> tuple[ProxyModel, SessionBatch]:
    """The model in double precision with noise on its parameters, and a batch of sessions."""
    model = case.prepared()
    if not isinstance(model, ProxyModel):
        raise TypeError(f"{type(model).__name__} is not a ProxyModel.")
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = 0.3 * torch.randn(parameter.shape, generator=random)
            if parameter.dim() == 2 and len(parameter) == N_ITEMS + 1:
                noise[PAD] = 0
            parameter.add_(noise)
    model.after_step()
    return model.double().eval(), batch_of(SESSIONS)


def close(received: Tensor, expected: Tensor, what: str = "received, beside expected") -> None:
    """Raise unless two tensors are equal up to rounding in double precision."""
    expect(
        received.shape == expected.shape,
        f"{what}: {(*received.shape,)} beside {(*expected.shape,)}",
    )
    same(received, expected, what, rtol=1e-9, atol=1e-9)


def traces_have_their_shapes(case: Case) -> None:
    """trace(batch) is as ProxyTrace says, without a graph; represent mixes proxy_vectors()."""
    model, batch = disturbed(case)
    trace, n, k = model.trace(batch), len(SESSIONS), model.n_proxies
    shapes = {
        "proxy_logits": (n, k), "prior_logits": (n, k), "proxy_weights": (n, k),
        "position_logits": (n, LONGEST, k), "proxy": (n, model.proxy_vectors().shape[1]),
        "short_term": trace.proxy.shape,
    }  # fmt: skip
    for name, shape in shapes.items():
        received = getattr(trace, name).shape
        expect(received == shape, f"{name} {(*received,)} in place of {(*shape,)}")
    expect(len(model.proxy_vectors()) == k > 1, f"{len(model.proxy_vectors())} proxies, K = {k}")
    expect(len(model.items) == N_ITEMS + 1, f"{len(model.items)} rows of items")
    expect("temperature" in dict(model.named_buffers()), "no buffer named temperature")
    expect(not any(x.requires_grad for x in trace if x is not None), "a trace with a graph")
    if model.represents_by_proxies:
        close(model.represent(batch), trace.proxy, "represent, beside trace.proxy")


def logits_are_the_prior_and_the_addends(case: Case) -> None:
    """proxy_logits = prior_logits + position_logits.sum(dim=1), and differ between sessions."""
    model, batch = disturbed(case)
    trace, is_click = model.trace(batch), batch.items != PAD
    sums = trace.prior_logits + trace.position_logits.sum(dim=1)
    close(sums, trace.proxy_logits, "prior and addends, beside the logits")
    expect((trace.position_logits[~is_click] == 0).all(), "addends of the padding")
    expect(trace.position_logits[is_click].any(dim=1).all(), "a click without addends")
    logits = model.weigh(batch_of([[i, i + 1] for i in range(1, N_ITEMS)]))[0]
    expect(len({*logits.argmax(dim=1).tolist()}) > 1, "all sessions are for the same proxy")


def weights_are_the_softmax_at_the_temperature(case: Case) -> None:
    """weigh, trace and choices agree, and the buffer and the argument are one temperature."""
    model, batch = disturbed(case)
    trace, (logits, weights) = model.trace(batch), model.weigh(batch)
    close(trace.proxy_logits, logits, "logits of trace, beside weigh")
    close(trace.proxy_weights, weights, "weights of trace, beside weigh")
    close(weights, torch.softmax(logits / model.temperature, dim=1), "weights, beside the softmax")
    best, choices = weights.max(dim=1), model.choices(batch)
    expect(torch.equal(choices["proxy"], best.indices), "choices are other proxies")
    expect(torch.equal(choices["probability"], best.values), "choices have other probabilities")
    before, softer = model.score(batch), model.score(batch, temperature=20.0)
    close(model.score(batch, temperature=model.temperature), before, "its own, beside none")
    expect(not torch.allclose(before[:, 1:], softer[:, 1:]), "temperature=20.0 changes no score")
    at_20 = model.trace(batch, temperature=20.0)
    soft = at_20.proxy_weights
    close(soft, torch.softmax(at_20.proxy_logits / 20, dim=1), "weights at a temperature of 20")
    close(at_20.position_logits, trace.position_logits, "addends of clicks at 20, beside its own")
    model.temperature.fill_(20.0)
    close(model.score(batch), softer, "scores at 20 in the buffer, beside the argument")
    close(model.weigh(batch)[1], soft, "weights at 20 in the buffer, beside the argument")


def a_forced_proxy_takes_all_weight(case: Case) -> None:
    """force_proxy=k, for all or one a row, acts as if the clicks had chosen it for certain."""
    model, batch = disturbed(case)
    logits, k = model.weigh(batch)[0], model.n_proxies
    for proxy in (0, k - 1):
        forced = model.trace(batch, force_proxy=proxy)
        expect((forced.proxy_weights == torch.eye(k)[proxy]).all(), f"not all weight on {proxy}")
        close(forced.proxy_logits, logits, "logits of a forced proxy, beside none")
        if model.represents_by_proxies:
            own = model.proxy_vectors()[proxy].detach().expand(len(SESSIONS), -1)
            close(forced.proxy, own, f"trace.proxy, beside proxy vector {proxy}")
    certain = model.trace(batch, temperature=1e-6).proxy_logits.argmax(dim=1)
    forced_scores = model.score(batch, force_proxy=certain)
    close(forced_scores, model.score(batch, temperature=1e-6), "forced, beside chosen for certain")
    first, second = (model.score(batch, force_proxy=proxy)[:, 1:] for proxy in (0, 1))
    expect(not torch.allclose(first, second), "scores are the same under proxies 0 and 1")


def given_weights_replace_the_models(case: Case) -> None:
    """force_proxy may be weights (B, K), in trace, score and answer."""
    model, batch = disturbed(case)
    own, before, k = model.weigh(batch)[1], model.score(batch), model.n_proxies
    close(model.score(batch, force_proxy=own), before, "own weights given, beside none")
    alone, last = torch.eye(k)[[k - 1] * len(own)].to(own), model.score(batch, force_proxy=k - 1)
    close(model.score(batch, force_proxy=alone), last, "all weight on one, beside its number")
    others = own.flip(0)
    expected = model.score(batch, force_proxy=others)
    weights = model.trace(batch, force_proxy=others).proxy_weights
    expect(torch.equal(weights, others), "trace has other weights than those given")
    expect(not torch.allclose(expected[:, 1:], before[:, 1:]), "weights change no score")
    received = model.answer(batch, force_proxy=others)
    tiles = side_by_side(received.tiles, N_ITEMS + 1)[:, 1:]
    close(tiles.diff(), expected[:, 1:].diff(), "differences of scores of answer, beside score")
    expect(torch.equal(received.choices["proxy"], others.argmax(dim=1)), "answer chooses others")


def the_path_is_what_each_prefix_is_weighed_by(case: Case) -> None:
    """path(batch) has the weights after each click, 0 at the padding."""
    model, batch = disturbed(case)
    expected = torch.zeros(len(SESSIONS), LONGEST, model.n_proxies).double()
    for row, clicks in enumerate(SESSIONS):
        for n in range(len(clicks)):
            column = LONGEST - len(clicks) + n
            expected[row, column] = model.weigh(batch_of([clicks[: n + 1]]))[1][0]
    close(model.path(batch), expected, "path, beside each prefix alone")


def traces_depend_on_the_read_clicks_alone(case: Case) -> None:
    """Company, padding, and clicks before the latest max_length change nothing in a trace."""
    model, batch = disturbed(case)
    clicks = [1 + i % N_ITEMS for i in range(model.max_length + 5)]
    pairs = [(batch, batch_of([own]), [row]) for row, own in enumerate(SESSIONS)]
    pairs.append((padded(batch), batch, [*range(len(SESSIONS))]))
    pairs.append((batch_of([clicks]), batch_of([clicks[-model.max_length :]]), [0]))
    for more, less, rows in pairs:
        received, expected = model.trace(more)._asdict(), model.trace(less)._asdict()
        received["path"], expected["path"] = model.path(more), model.path(less)
        for name, value in expected.items():
            if value is not None:
                other = received[name][rows]
                if name in ("position_logits", "path", "posterior"):
                    n = other.shape[1] - value.shape[1]
                    expect(not other[:, :n].any(), f"{name} of the padding is not 0")
                    other = other[:, n:]
                close(other, value, f"{name} with padding, company or older clicks, beside without")


def replaced_addends_are_those_of_the_edited_session(case: Case) -> None:
    """Replaced is exact where a click stays as it is, and for the last click."""
    model, _ = disturbed(case)
    clicks, own, items = [4, 2, 7, 30, 11], torch.arange(5), torch.arange(1, N_ITEMS + 1)
    for batch in (batch_of([clicks]), padded(batch_of([clicks]))):
        trace, n = model.trace(batch), batch.items.shape[1]
        received = model.replaced(batch, torch.tensor(clicks))
        expect(received.shape == (5, n, model.n_proxies), f"shape {(*received.shape,)}")
        kept = trace.position_logits[0, n - 5 :]
        close(received[own, n - 5 + own], kept, "each click by its own item, beside the trace")
        expect(not received[:, : n - 5].any(), "addends of the padding")
        others = trace.proxy_logits[0] - trace.position_logits[0, -1]
        edited = batch_of([[*clicks[:-1], item] for item in range(1, N_ITEMS + 1)])
        last = others + model.replaced(batch, items)[:, -1]
        close(last, model.weigh(edited)[0], "the last click replaced, beside the edited session")


CHECKS = [
    traces_have_their_shapes, logits_are_the_prior_and_the_addends,
    weights_are_the_softmax_at_the_temperature, a_forced_proxy_takes_all_weight,
    given_weights_replace_the_models, the_path_is_what_each_prefix_is_weighed_by,
    traces_depend_on_the_read_clicks_alone, replaced_addends_are_those_of_the_edited_session,
]  # fmt: skip


def without_proxies_none_is_forced(case: Case) -> None:
    """A variant that chooses nothing refuses force_proxy and temperature, and has no choices."""
    model, batch = disturbed(case)
    expect(model.choices(batch) == {}, "choices of a model that chooses nothing")
    for option in ({"force_proxy": 0}, {"temperature": 1.0}):
        try:
            model.score(batch, **option)
        except ConfigError:
            continue
        expect(False, f"no ConfigError when asked for {option}")
