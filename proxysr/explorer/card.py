"""The card: what the sessions of a proxy, or of any selection, have in common."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import pandas as pd

from proxysr.analysis.items import top_items
from proxysr.analysis.profiles import length_profile, nearest_proxies, time_profile
from proxysr.explorer.live import Live
from proxysr.explorer.markup import bar, button, clip, columns, head, quiet, section, table, tile
from proxysr.explorer.scene import Scene
from proxysr.explorer.state import NONE, Rows, State, Store

N_ITEMS = 8
N_NEAR = 4
N_PROXIES = 16
SIGNIFICANT = 0.01


class CardPanel(widgets.VBox):  # type: ignore[misc]
    """Counts, items with lift, times, lengths and neighbours of what is chosen.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.scene = store.scene
        actions = {
            "proxy": lambda value: store.choose_proxy(int(value)),
            "all": lambda _: store.choose_all(),
        }
        self.card = Live(actions)
        super().__init__([self.card])
        self.add_class("px-panel")
        self.add_class("px-card")
        store.follow(self._draw, "proxy", "listed")

    def _draw(self, state: State) -> None:
        self.card.html = card(self.scene, state)


def card(scene: Scene, state: State) -> str:
    """The card's HTML."""
    if state.chosen is None and len(state.listed) == len(scene.table):
        return overview(scene)
    rows = state.listed
    if state.proxy != NONE:
        kicker, title = f"Proxy {state.proxy}", short(scene, state.proxy)
    else:
        kicker, title = "Selection", sentence(scene, state)
    top = head(kicker, title, button("all", "", "Show all sessions", style="px-link"))
    if len(rows) == 0:
        return top + _nothing(state)
    body = tiles(scene, rows, state.proxy) + _items(scene, rows)
    body += f'<div class="px-two">{_times(scene, rows)}{_lengths(scene, rows)}</div>'
    body += _near(scene, state.proxy) if state.proxy != NONE else _proxies(scene, rows)
    return top + body


def sentence(scene: Scene, state: State) -> str:
    """Which sessions are listed."""
    n, why = len(state.listed), "" if state.chosen is None else f" that {state.chosen.why}"
    out = 0 if state.chosen is None else len(state.chosen.rows) - n
    of = f"{n:,} session{'' if n == 1 else 's'}{why}"
    if state.chosen is None and n < len(scene.table):
        out = len(scene.table) - n
    return of + (f"; {out:,} more are filtered away" if out else "")


def short(scene: Scene, proxy: int) -> str:
    """A proxy by the items that set it apart, without its number."""
    return str(scene.view.proxy_label(proxy)).partition(" · ")[2]


def linked(scene: Scene, proxy: int) -> tuple[str, str]:
    """Two cells: a proxy's number, to be pressed, and the items that set it apart."""
    number = button("proxy", proxy, str(proxy), style="px-link", title=f"Look at proxy {proxy}")
    return number, clip(short(scene, proxy))


def overview(scene: Scene) -> str:
    """The card while nothing is chosen: the whole, and the largest proxies to go on from."""
    table_ = scene.proxies
    used = int((table_["n_sessions"] > 0).sum())
    numbers = [
        tile(f"{len(scene.table):,}", "sessions"),
        tile(f"{used:,} of {scene.n_proxies:,}", "proxies chosen"),
        tile(f"{scene.table['probability'].mean():.2f}", "mean probability",
             "Weight of the chosen proxy, between 0 and 1"),
    ]  # fmt: skip
    if scene.users is not None:
        numbers.insert(1, tile(f"{int(scene.users.max(initial=-1)) + 1:,}", "users"))
    rows = np.arange(len(scene.table))
    return (
        head("All sessions", "Which sessions choose which proxy?")
        + f'<div class="px-tiles">{"".join(numbers)}</div>'
        + _proxies(scene, rows)
        + quiet("Press a proxy here, or click or outline sessions on the map.")
    )


def tiles(scene: Scene, rows: Rows, proxy: int) -> str:
    """The numbers at the top of the card."""
    some = scene.table.iloc[rows]
    numbers = [
        tile(f"{len(rows):,}", f"sessions ({len(rows) / len(scene.table):.0%})"),
        tile(f"{some['probability'].mean():.2f}", "probability",
             "Mean weight of the chosen proxy, between 0 and 1"),
        tile(f"{some['entropy'].mean():.2f}", "entropy",
             "Of the choice, in nats: 0 is certain"),
        tile(f"{some['n_clicks'].median():,.0f}", "clicks (med.)"),
    ]  # fmt: skip
    if scene.users is not None:
        users = scene.users[rows]
        numbers.insert(1, tile(f"{len(np.unique(users[users >= 0])):,}", "users"))
    return f'<div class="px-tiles">{"".join(numbers)}</div>'


def _nothing(state: State) -> str:
    if state.proxy != NONE and state.chosen is not None and len(state.chosen.rows) == 0:
        return quiet("No session chose this proxy. Choose another one.")
    return quiet("No session is left. Widen the filters, or choose other sessions.")


def _items(scene: Scene, rows: Rows) -> str:
    found = top_items(scene.sessions, rows, scene.items, k=N_ITEMS, counts=scene.counts)
    lines = [
        (
            clip(scene.label(item)),
            bar(share, mark=share / lift),
            f"{share:.0%}",
            f"{lift:,.1f}×",
            _significance(p),
        )
        for item, share, lift, p in zip(
            found["item"], found["share"], found["lift"], found["p_adjusted"], strict=True
        )
    ]
    what = "Items that set them apart"
    body = table(["item", "", ">sessions", ">lift", ">p"], lines, style="px-items")
    return section(what, body, "mark: share among all sessions")


def _significance(p: float) -> str:
    text = "< 0.001" if p < 0.001 else f"{p:.3f}"
    title = f"Chance of as many, corrected for the number of items: {p:.2g}"
    style = "" if p < SIGNIFICANT else ' class="px-weak"'
    return f'<span{style} title="{title}">{text}</span>'


def _times(scene: Scene, rows: Rows) -> str:
    if not scene.has_times:
        return section("When", quiet("It is not known when sessions began."))
    days = time_profile(scene.table["started_at"], rows, by="weekday")
    hours = time_profile(scene.table["started_at"], rows, by="hour")
    first = columns(list(days["weekday"]), *_shares(days))
    return section("When", first + columns(list(hours["hour"]), *_shares(hours)), "line: all")


def _lengths(scene: Scene, rows: Rows) -> str:
    profile = length_profile(scene.table["n_clicks"], rows)
    body = columns(list(profile["n_clicks"]), *_shares(profile))
    return section("Clicks a session", body, "line: all")


def _shares(profile: pd.DataFrame) -> tuple[list[float], list[float]]:
    frame = profile.fillna(0.0)
    return list(frame["selected"]), list(frame["all"])


def _near(scene: Scene, proxy: int) -> str:
    near = nearest_proxies(scene.vectors, proxy, k=N_NEAR)
    n_sessions = scene.proxies["n_sessions"]
    lines = [
        (*linked(scene, other), f"{n_sessions.iloc[other]:,}", f"{cosine:.2f}")
        for other, cosine in zip(near["proxy"], near["similarity"], strict=True)
    ]
    state = scene.proxies["state"].iloc[proxy]
    note = " It is all but the same as a larger one." if state == "duplicate" else ""
    body = table(["", "", ">sessions", ">cosine"], lines)
    return section("Nearest proxies", body + (quiet(note.strip()) if note else ""))


def _proxies(scene: Scene, rows: Rows) -> str:
    """The proxies that sessions chose, with how many."""
    counts = np.bincount(scene.table["proxy"].to_numpy()[rows], minlength=scene.n_proxies)
    order = np.argsort(-counts, kind="stable")[:N_PROXIES]
    order = order[counts[order] > 0]
    lines = [
        (
            *linked(scene, proxy),
            bar(counts[proxy] / max(counts.max(), 1)),
            f"{counts[proxy]:,}",
        )
        for proxy in order
    ]
    left = int((counts > 0).sum()) - len(order)
    note = f"and {left} more" if left > 0 else ""
    return section("Proxies they chose", table(["", "", "", ">sessions"], lines), note)
