"""What if: other clicks, another order, another temperature, another proxy; side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import ipywidgets as widgets

from proxysr.explorer.live import Live
from proxysr.explorer.looking import Look, look, recommended_table, weights_table
from proxysr.explorer.markup import button, clip, head, quiet, section, table
from proxysr.explorer.scene import Scene
from proxysr.explorer.smallest import smallest_change
from proxysr.explorer.state import NONE, Edit, State, Store

N_FOUND = 8
COLDEST, HOTTEST = 0.001, 10.0


class WhatIfPanel(widgets.VBox):  # type: ignore[misc]
    """The chosen session, to be changed; its proxies and recommendations before and after.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store, self.scene = store, store.scene
        self._before: Callable[[int], Look] = lru_cache(maxsize=8)(self._look_at)
        self._said = ""
        self._make_controls()
        editing = widgets.VBox([self.clicks, self.find, self.found])
        controls = widgets.HBox([self.temperature, self.force])
        controls.add_class("px-controls")
        buttons = widgets.HBox([self.smallest, self.reset])
        buttons.add_class("px-controls")
        outcome = widgets.VBox([controls, buttons, self.result])
        for part, name in ((editing, "px-editing"), (outcome, "px-outcome")):
            part.add_class(name)
        self.body = widgets.HBox([editing, outcome])
        self.body.add_class("px-halves")
        self.head = Live()
        super().__init__([self.head, self.body])
        self.add_class("px-panel")
        self.add_class("px-whatif")
        self._listen()

    def _make_controls(self) -> None:
        store, now = self.store, self.scene.temperature
        self.clicks = Live({
            "drop": lambda value: store.drop(int(value)),
            "up": lambda value: store.move(int(value), -1),
            "down": lambda value: store.move(int(value), 1),
            "replace": lambda value: self._replace(int(value)),
        })  # fmt: skip
        self.find = widgets.Text(
            placeholder="Find an item by title or id", continuous_update=False,
            tooltip="Items found can be added, or take the place of a click",
        )  # fmt: skip
        self.found = Live({"take": lambda value: store.take(int(value))})
        self.temperature = widgets.FloatLogSlider(
            value=now, min=math.log10(min(COLDEST, now)), max=math.log10(max(HOTTEST, now)),
            step=0.05, description="Temperature", readout_format=".3f", continuous_update=False,
            tooltip=f"How soft the choice of a proxy is; the model's own is {now:.3g}",
        )  # fmt: skip
        options = [("as the session chooses", NONE)]
        options += [(self.scene.view.proxy_label(int(p)), int(p)) for p in self.scene.by_size]
        self.force = widgets.Dropdown(
            options=options, value=NONE, description="Proxy", tooltip="Force another proxy"
        )
        self.smallest = widgets.Button(
            description="Smallest change of proxy", icon="",
            tooltip="The one click to drop or replace that makes it choose another proxy",
        )  # fmt: skip
        self.reset = widgets.Button(description="Start again", tooltip="The session as it was")
        self.result = Live({"proxy": lambda value: store.choose_proxy(int(value))})

    def _listen(self) -> None:
        store = self.store
        self.find.observe(lambda _: self._find(store.state), "value")
        self.temperature.observe(self._heat, "value")
        self.force.observe(lambda change: store.edit(proxy=change.new), "value")
        self.smallest.on_click(lambda _: self._smallest())
        self.reset.on_click(lambda _: store.reset())
        store.follow(self._draw, "session", "edit")

    # -- what people do --------------------------------------------------------------------

    def _heat(self, change: widgets.widget.Bunch) -> None:
        own = math.isclose(change.new, self.scene.temperature, rel_tol=1e-6)
        self.store.edit(temperature=None if own else float(change.new))

    def _replace(self, position: int) -> None:
        again = self.store.state.edit.replacing == position
        self.store.edit(replacing=NONE if again else position)

    def _smallest(self) -> None:
        state = self.store.state
        if not state.edit.clicks:
            return
        found = smallest_change(self.scene, state.edit.clicks, self.scene.user(state.session))
        self._said = found.sentence
        if found.clicks is None:
            self._draw(self.store.state)
        else:
            self.store.edit(clicks=found.clicks, replacing=NONE, proxy=NONE)

    # -- what the panel shows --------------------------------------------------------------

    def _look_at(self, row: int) -> Look:
        return look(self.scene, self.scene.clicks(row).tolist(), user=self.scene.user(row))

    def _draw(self, state: State) -> None:
        self.body.layout.display = "none" if state.session == NONE else ""
        if state.session == NONE:
            self.head.html = head("What if", "What if a click were different?") + quiet(
                "Choose a session first; then drop, add, reorder or replace its clicks."
            )
            return
        edit = state.edit
        self.temperature.value = edit.temperature or self.scene.temperature
        self.force.value = edit.proxy
        before = self._before(state.session)
        after = self._after(edit, self.scene.user(state.session))
        self.clicks.html = clicks_html(self.scene, edit)
        self._find(state)
        self.head.html = head("What if", told(self.scene, state, before, after)) + (
            quiet(self._said) if self._said else ""
        )
        self._said = ""
        self.result.html = side_by_side(self.scene, before, after)

    def _after(self, edit: Edit, user: int) -> Look | None:
        if not edit.clicks:
            return None
        proxy = None if edit.proxy == NONE else edit.proxy
        return look(self.scene, edit.clicks, user=user, temperature=edit.temperature, proxy=proxy)

    def _find(self, state: State) -> None:
        self.found.html = found_html(self.scene, self.find.value, state.edit)


def clicks_html(scene: Scene, edit: Edit) -> str:
    """The clicks with what can be done to each."""
    if not edit.clicks:
        return section("Clicks", quiet("No click is left. Find an item and add it."))
    last = len(edit.clicks) - 1
    lines = []
    for position, item in enumerate(edit.clicks):
        here = position == edit.replacing
        doing = "".join(
            button(do, position, sign, title=f"{what} click {position + 1}", style="px-icon",
                   pressed=here and do == "replace", disabled=not possible)
            for do, sign, what, possible in (
                ("up", "↑", "Earlier:", position > 0),
                ("down", "↓", "Later:", position < last),
                ("replace", "⇄", "Replace", True),
                ("drop", "✕", "Drop", True),
            )
        )  # fmt: skip
        label = scene.label(item)
        lines.append((str(position + 1), clip(label), doing))
    body = table([">", "", ">"], lines, style="px-clicks")
    return section("Clicks", f'<div class="px-scroll" data-scroll>{body}</div>')


def found_html(scene: Scene, text: str, edit: Edit) -> str:
    """Items like ``text``, to be added or to take the place of a click."""
    replacing = edit.replacing
    doing = "Add" if replacing == NONE else f"Replace {replacing + 1}"
    hint = "" if replacing == NONE else quiet(f"Find what replaces click {replacing + 1}.")
    if not text.strip():
        return hint
    items = scene.items_like(text, N_FOUND)
    if len(items) == 0:
        return hint + quiet(f"No item has “{text.strip()}” in its title or id.")
    lines = []
    for item in map(int, items):
        label = scene.label(item)
        take = button("take", item, doing, title=f"{doing}: {label}")
        lines.append((clip(label), take))
    return hint + table(["", ">"], lines, style="px-list")


def told(scene: Scene, state: State, before: Look, after: Look | None) -> str:
    """What came of the changes, in a sentence."""
    if after is None:
        return "Without a click there is nothing to go by"
    edit = state.edit
    if edit == Edit(tuple(map(int, scene.clicks(state.session))), replacing=edit.replacing):
        return "What if a click were different?"
    old, new = before.proxy, after.proxy
    kept = len(set(before.best["item"]) & set(after.best["item"]))
    n = len(after.best)
    choice = f"Proxy {old} → {new}" if old != new else f"Still proxy {old}"
    return f"{choice}; {n - kept} of {n} recommendations are new"


def side_by_side(scene: Scene, before: Look, after: Look | None) -> str:
    """Proxies and recommendations, as they were and as they would be."""
    also = [before.proxy] if after is None else [before.proxy, after.proxy]
    left = section("As it was", weights_table(scene, before.weights, also))
    left += section("Recommended", recommended_table(scene, before.best))
    if after is None:
        right = section("What if", quiet("Add a click to see what would come of it."))
    else:
        right = section("What if", weights_table(scene, after.weights, also))
        right += section("Recommended", recommended_table(scene, after.best, before=before.best))
    return f'<div class="px-two"><div>{left}</div><div>{right}</div></div>'
