"""One session: its clicks, the proxy it chooses and why, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets
import pandas as pd

from proxysr.analysis.attribution import contributions, proxy_path
from proxysr.analysis.counterfactuals import rank_of
from proxysr.data.sessions import Task
from proxysr.explorer.live import Live
from proxysr.explorer.looking import look, recommended_table, weights_of, weights_table
from proxysr.explorer.markup import button, clip, diverging, esc, head, quiet, section, table
from proxysr.explorer.scene import Scene
from proxysr.explorer.state import NONE, State, Store

NEXT_HINT = "Clicks that the model reads before it recommends"


class SessionPanel(widgets.VBox):  # type: ignore[misc]
    """Clicks, weights of proxies, contribution of each click, recommendations.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store, self.scene = store, store.scene
        actions = {"proxy": lambda value: store.choose_proxy(int(value))}
        self.head, self.why, self.next = Live(), Live(actions), Live()
        self.after = widgets.IntSlider(
            value=1, min=1, max=1, description="After click", tooltip=NEXT_HINT,
            continuous_update=False,
        )  # fmt: skip
        coming = widgets.VBox([self.after, self.next])
        coming.add_class("px-next")
        self.parts = widgets.HBox([self.why, coming])
        self.parts.add_class("px-halves")
        super().__init__([self.head, self.parts])
        self.add_class("px-panel")
        self.add_class("px-session")
        self._busy = False
        self.after.observe(lambda _: self._next(), "value")
        store.follow(self._draw, "session")

    def _draw(self, state: State) -> None:
        row = state.session
        self.parts.layout.display = "none" if row == NONE else ""
        if row == NONE:
            self.head.html = head("Session", "No session chosen yet") + quiet(
                "Press a session in the table, or click a point on the map."
            )
            return
        self.head.html = _facts(self.scene, row)
        self.why.html = why(self.scene, row)
        self._busy = True  # the slider is set for this session, and next drawn once
        n = len(self.scene.clicks(row))
        self.after.max = n
        self.after.value = max(n - 1, 1)
        self._busy = False
        self._next()

    def _next(self) -> None:
        row = self.store.state.session
        if row != NONE and not self._busy:
            self.next.html = coming(self.scene, row, self.after.value)


def _facts(scene: Scene, row: int) -> str:
    values = scene.table.iloc[row]
    n = len(scene.clicks(row))
    facts = [f"{n:,} click{'' if n == 1 else 's'}"]
    if scene.has_times and not pd.isna(values["started_at"]):
        facts.append(pd.Timestamp(values["started_at"]).strftime("%a %Y-%m-%d %H:%M"))
    if scene.has_users and values["user"]:
        facts.append(f"user {values['user']}")
    known = [name for name in scene.metadata if not pd.isna(values[name])]
    facts += [f"{name.replace('_', ' ')}: {values[name]}" for name in known]
    return head("Session", str(values["session_id"])) + quiet(" · ".join(facts))


def why(scene: Scene, row: int) -> str:
    """Weights of proxies, and what each click adds for the chosen one."""
    clicks = scene.clicks(row).tolist()
    weights = weights_of(scene, clicks, user=scene.user(row))
    body = section("Proxy it chooses", weights_table(scene, weights))
    return body + section(
        "Why: its clicks", contributions_table(scene, clicks, scene.user(row)), _sides(scene, row)
    )


def contributions_table(scene: Scene, clicks: Sequence[int], user: int) -> str:
    """The clicks, what each adds to the chosen proxy's logit less the runner-up's, what it led to.

    Above them is what was known before the first click, if anything.
    """
    found = contributions(scene.model, clicks, user=user)
    after = proxy_path(scene.model, clicks, user=user)
    has_rival = bool(found["difference"].notna().all())
    adds = found["difference"] if has_rival else found["logit"]
    prior = float(found["prior"].iloc[0])
    largest = max(float(adds.abs().max()), abs(prior))
    lines = [
        (
            str(position + 1),
            clip(scene.label(item)),
            diverging(float(value), largest),
            f"{value:+.2f}",
            button("proxy", proxy, str(proxy), style="px-link", title=f"Show proxy {proxy}"),
            f"{probability:.2f}",
        )
        for position, item, value, proxy, probability in zip(
            found["position"], found["item"], adds, after["proxy"], after["probability"],
            strict=True,
        )
    ]  # fmt: skip
    is_known = 0 <= user < scene.model.n_known_users
    if is_known or prior != 0:
        what = "what the model learnt of the user" if is_known else "before the first click"
        known = (
            "",
            clip(what, style="px-weak"),
            diverging(prior, largest),
            f"{prior:+.2f}",
            "",
            "",
        )
        lines.insert(0, known)
    what = "the lead of the chosen proxy's logit" if has_rival else "its logit"
    body = table([">", "", "", ">adds", ">then", ">π"], lines, style="px-clicks")
    note = f"They add up to {adds.sum() + prior:+.2f}, {what}."
    return f'<div class="px-scroll" data-scroll>{body}</div>{quiet(note)}'


def _sides(scene: Scene, row: int) -> str:
    values = scene.table.iloc[row]
    runner_up = int(values["runner_up"])
    if runner_up < 0:
        return "the only proxy"
    return f"for proxy {values['proxy']} (right) or {runner_up} (left)"


def coming(scene: Scene, row: int, after: int) -> str:
    """Recommendations after some clicks, and the place of what was clicked next."""
    clicks = [int(item) for item in scene.clicks(row)]
    prefix, rest = clicks[:after], clicks[after:]
    best = look(scene, prefix, user=scene.user(row)).best
    if not rest:
        said = quiet("The session ends here; what came next is not known.")
        target = None
    else:
        target = rest[0]
        task: Task = "repeat" if target in prefix else "unseen"
        rank = rank_of(scene.model, prefix, target, task=task, user=scene.user(row))
        digits = 0 if rank == round(rank) else 1  # ties share a mean
        again = ", a repeat, so it is none of these" if target in prefix else ""
        said = (
            f"<p>Clicked next: <b>{esc(scene.label(target))}</b>, "
            f"at rank <b>{rank:,.{digits}f}</b> of {len(scene.items):,}{again}.</p>"
        )
    return section("What comes next", said + recommended_table(scene, best, target=target))
