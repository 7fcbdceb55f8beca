"""The figures of ``make facts`` count what they say."""

from __future__ import annotations

import pytest

from benchmarks import facts
from tests.conftest import ROOT


def test_lines_that_stand_twice_are_found_once_each() -> None:
    ten = [f"line {i}" for i in range(10)]
    shifted = ["", *(f"    {line}" for line in ten), "end"]
    a, b, c = (ROOT / f"{name}.py" for name in "abc")
    assert facts.written_twice({a: [*ten, "more"], b: shifted, c: ten[:9]}) == ["b.py:2 as a.py:1"]
    longer = [*ten, "eleven", "twelve"]
    assert facts.written_twice({a: longer, b: longer}) == ["b.py:1 as a.py:1"]
    assert facts.written_twice({a: [*ten, "between", *ten]}) == ["a.py:12 as a.py:1"]


def test_every_figure_is_printed_beside_its_target(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(facts, "SIZE", 10)
    monkeypatch.setattr(facts, "LONGEST", 10**6)
    facts.main()
    said = capsys.readouterr().out
    for file in ("models/proxysr", "models/latent_proxy", "training", "evaluation", "data/batches"):
        assert f"    proxysr/{file}.py " in said
    assert "proxysr/recommender.py" not in said, "it is imported by none of this"
    assert "proxysr/models/gru4rec.py" not in said, "it is imported, and not run"
    lines = {line[:42].strip(): line[42:].split() for line in said.splitlines()}
    assert lines["lines of the package (py, js, css)"][1:] == ["target", "10", "over"]
    assert lines["files above 1000000 lines"] == ["0", "target", "0"]
