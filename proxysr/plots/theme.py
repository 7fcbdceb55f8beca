"""One look for all pictures: colours that colour-blind readers can tell apart, plain axes.

Colours: M. Okabe, K. Ito, Color Universal Design, 2008.
"""

from __future__ import annotations

import html

import plotly.graph_objects as go

BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
BLACK = "#222222"
GREY = "#8A8A8A"
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK)

PART_COLOURS = {"train": BLUE, "valid": ORANGE, "test": GREEN}
TASK_COLOURS = {"unseen": BLUE, "repeat": ORANGE}
TASK_NAMES = {"unseen": "next unseen item", "repeat": "with repeats"}

_AXIS = {
    "showgrid": True,
    "gridcolor": "#E9E9E9",
    "zeroline": False,
    "linecolor": "#BBBBBB",
    "ticks": "outside",
    "tickcolor": "#BBBBBB",
    "automargin": True,
    "title": {"standoff": 10},
}

THEME = go.layout.Template(
    layout={
        "font": {"family": "Helvetica, Arial, sans-serif", "size": 13, "color": BLACK},
        "title": {"x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 17}},
        "colorway": COLOURS,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "margin": {"l": 70, "r": 30, "t": 70, "b": 60},
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"},
        "bargap": 0.25,
        "hoverlabel": {"font": {"size": 13}},
    }
)


def finish(fig: go.Figure, title: str, *, width: int = 820, height: int = 420) -> go.Figure:
    """The last touch of every picture: theme, title, size in pixels."""
    return fig.update_layout(template=THEME, title_text=title, width=width, height=height)


def plain(text: object) -> str:
    """Text of the data as it is: plotly would take ``<b>`` in it for markup."""
    return html.escape(str(text), quote=False)
