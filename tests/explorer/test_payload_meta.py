"""What the heading of the page warns of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxysr.analysis.run_view import RunView
from proxysr.explorer.payload_meta import meta_of
from proxysr.run import RunDir


def test_proxies_that_collapsed_are_warned_of(
    view: RunView, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warnings(view: RunView) -> list[str]:
        return list(meta_of(view, [], None)["warnings"])

    told = ["It beats popularity.", "1.2 of 8 are in use. They have collapsed. Try more epochs."]
    monkeypatch.setattr(RunDir, "findings", told)
    short = "The proxies have collapsed: 1.2 of 8 are in use. Try more epochs."
    assert warnings(view) == [short]
    alike = replace(view, table=view.table.assign(proxy=2))
    alike.__dict__["layout"] = view.layout
    assert warnings(alike) == [short], "it is said once"
    monkeypatch.setattr(RunDir, "findings", told[:1])
    assert warnings(view) == []
    (warning,) = warnings(alike)
    assert warning.startswith("All 30 sessions choose proxy 2: the proxies have collapsed")
