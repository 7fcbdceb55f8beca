"""proxysr.paper.popularity: items in thirds of the training clicks, and recall on each."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from proxysr.paper.popularity import CLASSES, popularity_class


def test_each_class_has_a_third_of_the_clicks() -> None:
    clicks = [1, 6, 1, 2, 2, 3, 3]  # 18 clicks: 6 | 3 + 3 | 2 + 2 + 1 + 1
    assert [CLASSES[c] for c in popularity_class(clicks)] == [
        "tail", "head", "tail", "tail", "tail", "middle", "middle",
    ]  # fmt: skip


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40))
def test_more_clicks_are_never_a_rarer_class(clicks: list[int]) -> None:
    classes = popularity_class(clicks)
    assert set(classes) <= {0, 1, 2}
    order = np.argsort(clicks, kind="stable")[::-1]
    several = [(clicks[a], classes[a], clicks[b], classes[b]) for a in order for b in order]
    assert all(class_a <= class_b for n_a, class_a, n_b, class_b in several if n_a > n_b)
