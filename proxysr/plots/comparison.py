"""Models side by side: one metric with intervals, by clicks before the target, by a setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from proxysr.config import require
from proxysr.plots.theme import BLACK, BLUE, COLOURS, GREY, ORANGE, TASK_NAMES, finish, plain

KIND_COLOURS = {"learned": BLUE, "counting": ORANGE}
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
ROW = 26
BESIDE = 0.26
"""Distance of the dots in one row, in rows."""
SIDE = 0.09
"""Horizontal distance of lines, in steps of the axis, so that intervals do not overlap."""


def metric_dots(table: pd.DataFrame, metric: str, *, title: str | None = None) -> go.Figure:
    """A dot with its interval for each run, one panel a task; the best of the first on top.

    Parameters
    ----------
    table : DataFrame
        ``run``, ``kind`` ("learned" or "counting"), ``task``, ``metric``, ``value``, ``low``,
        ``high``, and maybe ``published``: a hollow marker where it is known.
    metric : str
        Which rows to show.
    title : str, optional
        A question.
    """
    rows = table[table["metric"] == metric]
    require(len(rows) > 0, f"The table has no rows of metric {metric!r}.")
    if "published" not in rows:
        rows = rows.assign(published=float("nan"))
    tasks = list(dict.fromkeys(rows["task"]))
    first = rows[rows["task"] == tasks[0]].sort_values("value", ascending=False, kind="stable")
    order = [plain(run) for run in first["run"]][::-1]
    fig = make_subplots(
        1,
        len(tasks),
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=[TASK_NAMES.get(task, task) for task in tasks],
    )
    shown: set[str] = set()
    for col, task in enumerate(tasks, start=1):
        for kind, group in rows[rows["task"] == task].groupby("kind", sort=False):
            fig.add_scatter(
                x=group["value"],
                y=[plain(run) for run in group["run"]],
                error_x=_bars(group),
                mode="markers",
                marker={"size": 9, "color": KIND_COLOURS.get(str(kind), GREY)},
                name=str(kind),
                legendgroup=str(kind),
                showlegend=kind not in shown,
                customdata=group[["low", "high"]],
                hovertemplate=f"%{{y}}: {metric} %{{x:.4f}}, %{{customdata[0]:.4f}} to "
                "%{customdata[1]:.4f}<extra></extra>",
                row=1,
                col=col,
            )
            shown.add(str(kind))
        published = rows[(rows["task"] == task) & rows["published"].notna()]
        if len(published):
            fig.add_scatter(
                x=published["published"],
                y=[plain(run) for run in published["run"]],
                mode="markers",
                marker={"size": 11, "symbol": "diamond-open", "color": BLACK},
                name="published",
                legendgroup="published",
                showlegend="published" not in shown,
                hovertemplate=f"%{{y}}: published {metric} %{{x:.4f}}<extra></extra>",
                row=1,
                col=col,
            )
            shown.add("published")
        fig.update_xaxes(title_text=metric, nticks=6, row=1, col=col)
    fig.update_yaxes(categoryorder="array", categoryarray=order, range=[-0.7, len(order) - 0.3],
                     ticks="", ticklabelstandoff=6)  # fmt: skip
    fig.update_annotations(font_size=14)
    fig = finish(fig, title or f"Which model has the highest {metric}?", width=980,
                 height=170 + ROW * len(order))  # fmt: skip
    fig.update_layout(showlegend=len(shown) > 1)
    return fig.update_layout(legend={"y": -60 / (ROW * len(order)), "yanchor": "top"})


def difference_dots(
    table: pd.DataFrame, reference: str, title: str, *, kind: str = "task"
) -> go.Figure:
    """Differences to one run with their intervals, one panel a metric, a colour for each kind.

    Parameters
    ----------
    table : DataFrame
        Of :func:`proxysr.analysis.comparison.compare_by`: ``kind``, ``run``, ``metric``,
        ``value``, ``difference``, ``difference_low``, ``difference_high``, and ``least`` and
        ``most``, the differences of the seeds: small dashes, if there are several.
    reference : str
        The run that the others are compared with; it is the line at 0.
    title : str
        A question.
    kind : str
        Column of the kinds; tasks are named in words.
    """
    rows = table[table["run"] != reference]
    require(len(rows) > 0, f"The table has no differences to {reference!r}.")
    metrics, kinds = list(dict.fromkeys(rows["metric"])), list(dict.fromkeys(rows[kind]))
    runs = list(dict.fromkeys(rows["run"]))[::-1]
    fig = make_subplots(1, len(metrics), shared_yaxes=True, horizontal_spacing=0.06)
    for col, metric in enumerate(metrics, start=1):
        for i, name in enumerate(kinds):
            points = rows[(rows["metric"] == metric) & (rows[kind] == name)]
            y = points["run"].map(runs.index) + ((len(kinds) - 1) / 2 - i) * BESIDE
            words = plain(TASK_NAMES.get(str(name), name))
            shown = {
                "low": points["difference_low"],
                "high": points["difference_high"],
                "value": points["difference"],
            }
            common: dict[str, Any] = {"legendgroup": str(name), "row": 1, "col": col}
            fig.add_scatter(
                x=points["difference"],
                y=y,
                error_x=_bars(pd.DataFrame(shown)),
                mode="markers",
                marker={"size": 9, "color": COLOURS[i], "symbol": SYMBOLS[i]},
                name=words,
                showlegend=col == 1,
                customdata=points[["run", "difference_low", "difference_high", "value"]],
                hovertemplate=f"%{{customdata[0]}}, {words}: {metric} %{{customdata[3]:.4f}}, "
                "%{x:+.4f}, %{customdata[1]:+.4f} to %{customdata[2]:+.4f}<extra></extra>",
                **common,
            )
            with_seeds = points[points["least"] < points["most"]]
            ends = pd.concat([with_seeds["least"], with_seeds["most"]])
            fig.add_scatter(
                x=ends,
                y=y.loc[ends.index],
                mode="markers",
                marker={"size": 9, "symbol": "line-ns-open", "line": {"width": 2},
                        "color": COLOURS[i]},
                showlegend=False,
                hovertemplate="smallest or largest of the seeds: %{x:+.4f}<extra></extra>",
                **common,
            )  # fmt: skip
        # an empty panel would get no line
        fig.add_vline(x=0, line={"color": GREY, "width": 1.5}, layer="below", row=1, col=col)
        against = f"{metric} less that of “{plain(reference)}”"
        fig.update_xaxes(title_text=against, nticks=6, row=1, col=col)
    fig.update_yaxes(tickvals=list(range(len(runs))), ticktext=[plain(run) for run in runs],
                     range=[-0.6, len(runs) - 0.4], ticks="", ticklabelstandoff=6)  # fmt: skip
    room = 2 * ROW * len(runs)
    fig = finish(fig, title, width=980, height=160 + room)
    return fig.update_layout(legend={"y": -60 / room, "yanchor": "top"}, margin_b=90)


def slice_lines(
    slices: pd.DataFrame, metric: str, *, differences_to: str | None = None
) -> go.Figure:
    """A line a run over the number of clicks before the target, with intervals.

    Parameters
    ----------
    slices : DataFrame
        ``run``, ``clicks`` (text, in the order to show), ``n_targets``, ``value``, ``low``,
        ``high``; at most seven runs.
    metric : str
        For the axis.
    differences_to : str, optional
        The run that values are differences to; it is the line at 0.
    """
    runs = list(dict.fromkeys(slices["run"]))
    require(
        0 < len(runs) <= len(COLOURS),
        f"Lines of 1 to {len(COLOURS)} runs can be distinguished; received {len(runs)}.",
    )
    sizes = slices.drop_duplicates("clicks").set_index("clicks")["n_targets"]
    places = {clicks: i for i, clicks in enumerate(sizes.index)}
    fig = go.Figure()
    for i, run in enumerate(runs):
        rows = slices[slices["run"] == run]
        shift = (i - (len(runs) - 1) / 2) * 0.07  # side by side, or intervals hide each other
        fig.add_scatter(
            x=rows["clicks"].map(places) + shift,
            y=rows["value"],
            error_y=_bars(rows),
            customdata=rows[["clicks", "n_targets"]],
            mode="lines+markers",
            name=plain(run),
            marker={"size": 8, "symbol": SYMBOLS[i]},
            line_color=COLOURS[i],
            hovertemplate=f"{plain(run)} after %{{customdata[0]}} clicks: %{{y:.4f}} "
            "(%{customdata[1]:,} targets)<extra></extra>",
        )
    ticks = [f"{clicks}<br>({n:,})" for clicks, n in sizes.items()]
    fig.update_xaxes(
        title_text="clicks before the target (number of targets)",
        tickvals=list(range(len(ticks))),
        ticktext=ticks,
    )
    if differences_to is None:
        fig.update_yaxes(title_text=metric, rangemode="tozero")
        return finish(fig, "Does it help to have seen more clicks?", width=900)
    fig.add_hline(y=0, line={"color": GREY, "width": 1.5})
    fig.update_yaxes(title_text=f"{metric} less that of {plain(differences_to)}")
    return finish(fig, "After how many clicks do the models differ?", width=900)


def study_line(points: pd.DataFrame, setting: str, metric: str) -> go.Figure:
    """A metric over a setting of the model, on a logarithmic axis, with intervals.

    Parameters
    ----------
    points : DataFrame
        ``x`` (the setting, positive), ``value``, ``low``, ``high``.
    setting : str
        For the axis.
    metric : str
        For the axis.
    """
    require(len(points) > 0, f"There is no value of {setting} to show.")
    rows = points.sort_values("x")
    fig = go.Figure(
        go.Scatter(
            x=rows["x"],
            y=rows["value"],
            error_y=_bars(rows),
            mode="lines+markers",
            marker_size=9,
            line_color=BLUE,
            hovertemplate=f"{setting} = %{{x}}: {metric} %{{y:.4f}}<extra></extra>",
        )
    )
    ticks: Sequence[Any] = rows["x"].tolist()
    fig.update_xaxes(title_text=setting, type="log", tickvals=ticks, ticktext=ticks)
    fig.update_yaxes(title_text=metric)
    return finish(fig, f"How does {metric} change with the {setting}?")


def share_lines(
    table: pd.DataFrame, value: str, name: str, title: str, *, panels: str | None = None
) -> go.Figure:
    """A line a choice over the share of known users: means over the seeds, which are small dots.

    Parameters
    ----------
    table : DataFrame
        ``share`` (percent), ``choice``, ``value``, and ``panels`` if named; a row a seed.
    value : str
        Column to show.
    name : str
        Its name, for the axis.
    title : str
        A question.
    panels : str, optional
        Column whose values have a panel each.
    """
    require(len(table) > 0, f"There is no {name} to show.")
    places = {share: i for i, share in enumerate(sorted(set(table["share"])))}
    choices = list(dict.fromkeys(table["choice"]))
    kinds = list(dict.fromkeys(table[panels])) if panels else [None]
    titles = [f"sessions of {kind}" for kind in kinds] if panels else None
    fig = make_subplots(1, len(kinds), shared_yaxes=True, horizontal_spacing=0.05,
                        subplot_titles=titles)  # fmt: skip
    for col, kind in enumerate(kinds, start=1):
        panel = table[table[panels] == kind] if panels else table
        for i, choice in enumerate(choices):
            points = panel[panel["choice"] == choice]
            means = points.groupby("share", as_index=False)[value].mean()
            shift = (i - (len(choices) - 1) / 2) * SIDE
            common: dict[str, Any] = {"legendgroup": choice, "row": 1, "col": col}
            fig.add_scatter(
                x=means["share"].map(places) + shift,
                y=means[value],
                mode="lines+markers",
                marker={"size": 9, "symbol": SYMBOLS[i]},
                line_color=COLOURS[i],
                name=plain(choice),
                showlegend=col == 1,
                customdata=means["share"],
                hovertemplate=f"%{{customdata}} % known, {plain(choice)}: %{{y:.4f}}"
                "<extra></extra>",
                **common,
            )
            fig.add_scatter(
                x=points["share"].map(places) + shift,
                y=points[value],
                mode="markers",
                marker={"size": 4, "color": COLOURS[i], "opacity": 0.6},
                showlegend=False,
                hoverinfo="skip",
                **common,
            )
    fig.update_xaxes(
        title_text="share of frequent users that are known",
        tickvals=list(places.values()),
        ticktext=[f"{share} %" for share in places],
        range=[-0.4, len(places) - 0.6],
    )
    fig.update_yaxes(title_text=name, col=1)
    fig.update_annotations(font_size=14)
    fig = finish(fig, title, width=900 if len(kinds) > 1 else 700)
    return fig.update_layout(legend={"y": -0.25, "yanchor": "top"}, margin_b=100)


def _bars(rows: pd.DataFrame) -> dict[str, Any]:
    """Error bars from ``low`` to ``high`` around ``value``; missing ones are not drawn."""
    up, down = rows["high"] - rows["value"], rows["value"] - rows["low"]
    return {"array": up, "arrayminus": down, "symmetric": False, "thickness": 1.3, "width": 4}
