"""Cards, tables and what-if: their numbers, their words, and what they escape."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from proxysr.analysis.assignments import assignments_from_model
from proxysr.analysis.attribution import smallest_flip
from proxysr.analysis.choosing import session_batch
from proxysr.config import ConfigError
from proxysr.data.batches import batch_of
from proxysr.explorer import ProxyExplorer, colouring
from proxysr.explorer.sessions_panel import PAGE, ordered
from proxysr.explorer.state import NONE
from proxysr.models import ProxySR
from proxysr.runs import RunDir
from tests.explorer.small import HOSTILE, N_ITEMS, run_of, view_of


def shown(explorer: ProxyExplorer) -> str:
    """All HTML that the explorer holds, as the browser has it."""
    found = []

    def walk(widget: Any) -> None:
        for name in ("html", "value"):
            value = getattr(widget, name, None)
            is_input = hasattr(widget, "continuous_update")  # shows its value as it is
            if isinstance(value, str) and "<style>" not in value and not is_input:
                found.append(value)
        for child in getattr(widget, "children", ()):
            walk(child)

    walk(explorer)
    return "\n".join(found)


def pressable(text: str, do: str) -> list[str]:
    """The values of the buttons of a kind, in order."""
    return re.findall(rf'data-do="{do}" data-value="([^"]*)"', text)


def words(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", text))


def test_it_has_a_fixed_text(explorer: ProxyExplorer) -> None:
    assert repr(explorer) == "ProxyExplorer(part='train', 30 sessions)"


def test_hostile_text_is_escaped_everywhere(explorer: ProxyExplorer) -> None:
    store, scene = explorer.store, explorer.scene
    explorer.map.colour.value = "taste"
    row = int(scene.sessions_with(np.array([1]))[0])
    store.choose_rows(scene.sessions_with(np.array([1])), f"have {HOSTILE}")
    store.choose_session(row)
    explorer.what_if.find.value = "img"
    explorer.sessions.search.value = HOSTILE
    explorer.toolbar.search.value = f"{HOSTILE} nothing"
    everything = shown(explorer)
    assert "&lt;img src=x" in everything
    assert "<img" not in everything
    assert "onerror=&quot;" in everything


def test_every_press_of_every_button_is_understood(explorer: ProxyExplorer) -> None:
    """No part sends what nobody hears; unheard and odd messages do no harm."""
    store = explorer.store
    store.choose_proxy(int(explorer.scene.by_size[0]))
    store.choose_session(0)
    explorer.what_if.find.value = "lamp"
    for live in (
        explorer.card.card,
        explorer.sessions.rows,
        explorer.session.why,
        explorer.what_if.clicks,
        explorer.what_if.found,
        explorer.what_if.result,
    ):
        for do in set(re.findall(r'data-do="(\w+)"', live.html)):
            assert do in live.actions
        live._receive(None, {"do": "format the disk", "value": "1"}, [])
        live._receive(None, "nonsense", [])


def test_the_card_counts(explorer: ProxyExplorer) -> None:
    scene = explorer.scene
    assert "30 sessions" in words(explorer.card.card.html).replace("\n", " ").replace("  ", " ")
    proxy = int(scene.by_size[0])
    explorer.card.card.press("proxy", proxy)
    rows = np.flatnonzero(scene.table["proxy"] == proxy)
    text = explorer.card.card.html
    assert f"<b>{len(rows)}</b><span>sessions ({len(rows) / 30:.0%})" in text
    users = set(scene.table["user"].iloc[rows]) - {""}
    assert f"<b>{len(users)}</b><span>users" in text
    assert f"<b>{scene.table['probability'].iloc[rows].mean():.2f}</b>" in text
    assert all(title in text for title in ("Items that set them apart", "Nearest proxies", "When"))
    assert f'data-value="{scene.proxies["nearest"].iloc[proxy]}"' in text
    explorer.card.card.press("all")
    assert explorer.store.state.chosen is None


def test_the_card_says_why_it_is_empty(explorer: ProxyExplorer) -> None:
    unused = int(explorer.scene.by_size[-1])
    assert explorer.scene.proxies["n_sessions"].iloc[unused] == 0
    explorer.store.choose_proxy(unused)
    assert "No session chose this proxy. Choose another one." in explorer.card.card.html
    explorer.store.choose_all()
    explorer.store.filter("n_clicks", 90, 99)
    assert "No session is left. Widen the filters" in explorer.card.card.html
    assert "No session to list." in explorer.sessions.rows.html


def test_pages_hold_every_session_once(explorer: ProxyExplorer) -> None:
    panel, seen = explorer.sessions, []
    assert panel.n_pages == -(-30 // PAGE)
    for page in range(panel.n_pages):
        panel.rows.press("page", page)
        seen += [int(row) for row in pressable(panel.rows.html, "session")]
    assert seen == list(range(30))
    panel.turn_to(10**6)
    assert panel.page == panel.n_pages - 1
    panel.turn_to(-5)
    assert panel.page == 0


def test_the_table_sorts_both_ways_and_searches(explorer: ProxyExplorer) -> None:
    panel, table = explorer.sessions, explorer.scene.table
    panel.rows.press("sort", "n_clicks")
    first = [int(row) for row in pressable(panel.rows.html, "session")]
    assert first == sorted(range(30), key=lambda row: -table["n_clicks"].iloc[row])[:PAGE]
    panel.rows.press("sort", "n_clicks")
    first = [int(row) for row in pressable(panel.rows.html, "session")]
    assert first == sorted(range(30), key=lambda row: table["n_clicks"].iloc[row])[:PAGE]
    panel.rows.press("sort", "session_id")
    panel.search.value = "s2"
    found = [int(row) for row in pressable(panel.rows.html, "session")]
    assert {table["session_id"].iloc[row] for row in found} == {
        "s2",
        *(f"s2{i}" for i in range(10)),
    }
    assert "11 of them match “s2”." in panel.rows.html
    with pytest.raises(ConfigError, match="'taste' is not a known column of the table"):
        panel.sort_by("taste")


def test_unknown_times_are_last(explorer: ProxyExplorer) -> None:
    frame = explorer.scene.table.head(5).copy()
    frame.loc[1, "started_at"] = None
    for descending in (False, True):
        assert ordered(frame, np.arange(5), "started_at", descending=descending)[-1] == 1


def test_a_session_shows_why_and_what_comes_next(explorer: ProxyExplorer) -> None:
    scene = explorer.scene
    row = int(np.argmax(scene.table["n_clicks"]))
    clicks = scene.clicks(row).tolist()
    explorer.sessions.rows.press("session", row)
    trace = scene.model.trace(session_batch(scene.model, clicks))
    top = trace.proxy_weights[0].max().item()
    assert f">{top:.3f}<" in explorer.session.why.html
    best, second = trace.proxy_logits[0].topk(2).indices.tolist()
    addends = trace.position_logits[0, :, best] - trace.position_logits[0, :, second]
    for addend in addends.tolist():
        assert f">{addend:+.2f}<" in explorer.session.why.html
    assert "before the first click" not in explorer.session.why.html
    table = explorer.session.why.html.partition("Why: its clicks")[2]
    shown = [int(proxy) for proxy in pressable(table, "proxy")]
    path = scene.model.path(session_batch(scene.model, clicks))[0].max(dim=1)
    assert shown == path.indices.tolist()
    assert all(f">{probability:.2f}<" in table for probability in path.values.tolist())
    prefix, target = clicks[:-1], clicks[-1]
    scores = scene.model.score(batch_of([prefix]))[0]
    scores[prefix] = -torch.inf
    rank = 1 + int((scores > scores[target]).sum())
    assert f"at rank <b>{rank}</b> of {N_ITEMS}" in explorer.session.next.html
    titles = [html.escape(scene.label(i)) for i in scores.topk(10).indices.tolist()]
    places = [explorer.session.next.html.index(f">{title}<") for title in titles]
    assert places == sorted(places)
    explorer.session.after.value = len(clicks)
    assert "what came next is not known" in explorer.session.next.html


def test_what_if_shows_before_and_after(explorer: ProxyExplorer) -> None:
    scene, panel = explorer.scene, explorer.what_if
    row = int(np.argmax(scene.table["n_clicks"]))
    explorer.store.choose_session(row)
    assert "What if a click were different?" in panel.head.html
    clicks = scene.clicks(row).tolist()
    panel.clicks.press("drop", 0)
    panel.clicks.press("down", 0)
    edited = [clicks[2], clicks[1], *clicks[3:]]
    scores = scene.model.score(batch_of([edited]))[0]
    scores[edited] = -torch.inf
    new, old = set(scores.topk(10).indices.tolist()), set()
    scores = scene.model.score(batch_of([clicks]))[0]
    scores[clicks] = -torch.inf
    old = set(scores.topk(10).indices.tolist())
    assert f"{len(new - old)} of 10 recommendations are new" in panel.head.html
    assert panel.result.html.count(">new<") == len(new - old)
    panel.reset.click()
    assert explorer.store.state.edit.clicks == tuple(clicks)


def test_temperature_and_force_change_the_weights(explorer: ProxyExplorer) -> None:
    scene, panel, store = explorer.scene, explorer.what_if, explorer.store
    store.choose_session(0)
    panel.temperature.value = 10.0
    weights = scene.model.trace(session_batch(scene.model, scene.clicks(0)), temperature=10.0)
    assert f">{weights.proxy_weights[0].max().item():.3f}<" in panel.result.html
    forced = int(scene.by_size[-1])
    panel.force.value = forced
    right = panel.result.html.split("What if")[1]
    assert pressable(right, "proxy")[0] == str(forced)
    assert ">1.000<" in right
    assert f"→ {forced};" in panel.head.html
    panel.reset.click()
    assert panel.force.value == NONE
    assert store.state.edit.temperature is None
    assert panel.temperature.value == pytest.approx(scene.temperature)


def test_items_are_found_added_and_replace(explorer: ProxyExplorer) -> None:
    panel, store = explorer.what_if, explorer.store
    store.choose_session(0)
    n = len(store.state.edit.clicks)
    panel.find.value = "lamp 40"
    assert pressable(panel.found.html, "take") == ["40"]
    panel.found.press("take", 40)
    assert store.state.edit.clicks[n:] == (40,)
    panel.clicks.press("replace", 0)
    assert "Find what replaces click 1." in panel.found.html
    panel.found.press("take", 40)
    assert store.state.edit.clicks[0] == 40
    panel.find.value = "no such thing"
    assert "No item has “no such thing” in its title or id." in panel.found.html


def test_the_smallest_change_is_made(explorer: ProxyExplorer) -> None:
    scene, panel = explorer.scene, explorer.what_if
    explorer.store.choose_session(0)
    clicks = scene.clicks(0).tolist()
    common = np.argsort(-scene.counts.total[1:], kind="stable")[:50] + 1
    flip = smallest_flip(scene.model, clicks, replacements=common)
    panel.smallest.click()
    if flip is None:
        assert "No change of a single click" in panel.head.html
    else:
        assert explorer.store.state.edit.clicks == flip.clicks
        assert f"makes it choose proxy {flip.after} in place of {flip.before}" in panel.head.html
        assert f"Proxy {flip.before} → {flip.after}" in panel.head.html


def test_a_session_without_clicks_is_explained(explorer: ProxyExplorer) -> None:
    explorer.store.choose_session(0)
    for _ in range(len(explorer.scene.clicks(0))):
        explorer.what_if.clicks.press("drop", 0)
    text = shown(explorer)
    assert "No click is left. Find an item and add it." in text
    assert "Without a click there is nothing to go by" in text
    explorer.what_if.smallest.click()
    assert explorer.store.state.edit.clicks == ()


def test_a_search_chooses(explorer: ProxyExplorer) -> None:
    search, store = explorer.toolbar.search, explorer.store
    search.value = "s4"
    assert explorer.scene.table["session_id"].iloc[store.state.session] == "s4"
    search.value = "proxy 2"
    assert store.state.proxy == 2
    search.value = "lamp 23"
    assert store.state.chosen is not None
    assert "have an item like “lamp 23”" in explorer.sessions.rows.html
    search.value = "zzz"
    assert "Nothing here has “zzz” in a title or an id." in explorer.toolbar.said.html
    search.value = ""
    assert store.state.chosen is None


def test_filters_are_sliders(explorer: ProxyExplorer) -> None:
    table, bar = explorer.scene.table, explorer.toolbar
    bar.length.value = (3, 4)
    assert len(explorer.store.state.listed) == table["n_clicks"].between(3, 4).sum()
    bar.length.value = (1, 50)
    days = [day for _, day in bar.dates.options]
    bar.dates.value = (days[1], days[2])
    day = table["started_at"].dt.floor("D").map(lambda d: d.timestamp() / 86400)
    assert len(explorer.store.state.listed) == day.between(days[1], days[2]).sum() > 0


def test_themes(explorer: ProxyExplorer) -> None:
    explorer.toolbar.theme.value = "dark"
    assert "px-dark" in explorer._dom_classes
    explorer.toolbar.theme.value = "light"
    assert "px-dark" not in explorer._dom_classes


def test_a_log_without_users_titles_and_times(tmp_path: Path) -> None:
    explorer = ProxyExplorer(view_of(run_of(tmp_path, known=False)))
    explorer.store.choose_proxy(int(explorer.scene.by_size[0]))
    explorer.store.choose_session(0)
    text = shown(explorer)
    for sentence in (
        "Items have no titles: their ids are shown.",
        "No session has a known user.",
        "It is not known when sessions began.",
    ):
        assert sentence in text
    assert not hasattr(explorer.toolbar, "dates")
    assert "sku-" in text
    assert "users" not in text


def test_a_single_proxy_is_said_to_stand_for_all(tmp_path: Path) -> None:
    explorer = ProxyExplorer(view_of(run_of(tmp_path, n_proxies=1)))
    explorer.store.choose_session(0)
    explorer.what_if.smallest.click()
    text = shown(explorer)
    assert "The model has a single proxy, so all sessions choose it." in text
    assert "No change of a single click makes it choose another proxy." in text
    assert "nan" not in words(text)


def test_a_variant_without_proxies_is_refused_in_words(tmp_path: Path) -> None:
    run = run_of(tmp_path, epochs=1, expressed_by="short-term", projection=False)
    with pytest.raises(ConfigError, match="chooses no proxies; models with proxies"):
        ProxyExplorer(run.path)


def test_a_variant_of_hyperplanes_only_is_shown(tmp_path: Path) -> None:
    view = view_of(run_of(tmp_path, epochs=1, expressed_by="short-term"))
    del view.__dict__["layout"]
    view.__dict__["layout"] = view_of(run_of(tmp_path / "b", epochs=1)).layout
    explorer = ProxyExplorer(view)
    explorer.store.choose_session(0)
    assert len(explorer.store.state.listed) == 30


def test_colours_by_columns_of_like_names_are_all_there(explorer: ProxyExplorer) -> None:
    scene = explorer.scene
    scene.table = scene.table.assign(date="x", **{"a b": 1, "a_b": 2})
    found = colouring.choices(scene)
    assert {"date", "started_at", "a b", "a_b"} <= set(found.values())


def test_a_known_user_counts_in_every_panel(tmp_path: Path) -> None:
    view = view_of(run_of(tmp_path, n_users=3))
    assert isinstance(view.model, ProxySR)
    assert view.model.user_bias is not None
    with torch.no_grad():
        view.model.user_bias[:, 4] += 50  # whoever is known chooses this one
    chosen = assignments_from_model(view.model, view.sessions)
    view.table[list(chosen)] = chosen
    explorer = ProxyExplorer(view)
    for row in range(12):
        explorer.store.choose_session(row)
        proxy = chosen["proxy"][row]
        assert (view.sessions.user_index[row] < 0) or proxy == 4
        assert f'data-value="{proxy}"' in explorer.session.why.html.split("</tr>")[1]
        told = "what the model learnt of the user" in explorer.session.why.html
        lead = explorer.scene.model.weigh(
            session_batch(view.model, view.sessions[row].tolist(), view.sessions.user_index[row])
        )[0][0].topk(2)
        total = float(lead.values[0] - lead.values[1])
        assert f"They add up to {total:+.2f}, the lead" in explorer.session.why.html
        assert told == bool(view.sessions.user_index[row] >= 0)
        explorer.store.drop(0)
        after = explorer.what_if.head.html
        assert view.sessions.user_index[row] < 0 or "Still proxy 4" in after


def test_a_lasso_on_a_sample_says_that_it_found_those_drawn(run: RunDir) -> None:
    sampled = ProxyExplorer(view_of(run, max_drawn=10))
    sampled.map._lassoed([0, 1, 2])
    assert "3 sessions that lie in the outline on the map, of those drawn" in sampled.card.card.html
    whole = ProxyExplorer(view_of(run))
    whole.map._lassoed([0, 1, 2])
    assert "of those drawn" not in whole.card.card.html


def test_a_known_user_has_a_say_where_the_model_learnt_one(tmp_path: Path) -> None:
    """What the panel says of a session is what the table says, bias of the user included."""
    view = view_of(run_of(tmp_path, epochs=1, n_users=3))
    bias = view.model.user_bias
    assert bias is not None
    with torch.no_grad():
        bias[0, 5] = 1e3  # user 0 always chooses proxy 5
    explorer = ProxyExplorer(view)
    row = int(np.flatnonzero(view.sessions.user_index == 0)[0])
    explorer.store.choose_session(row)
    assert pressable(explorer.session.why.html, "proxy")[0] == "5"
    assert pressable(explorer.what_if.result.html, "proxy")[0] == "5"
    row = int(np.flatnonzero(view.sessions.user_index == -1)[0])
    explorer.store.choose_session(row)
    unknown = explorer.scene.model.trace(session_batch(view.model, view.sessions[row].tolist()))
    expected = str(int(unknown.proxy_weights[0].argmax()))
    assert pressable(explorer.session.why.html, "proxy")[0] == expected
