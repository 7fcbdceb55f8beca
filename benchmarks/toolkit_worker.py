"""The toolkit's side of ``toolkit_speed.py``, run by the toolkit's own Python.

For every line that it reads, it answers one: first of its model, then with the seconds of a turn.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any


def timed_turn(step: Callable[[Any], None], batches: Iterable[Any]) -> dict[str, float]:
    """Seconds of all steps together; both sides time themselves by this."""
    wall, cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        step(batch)
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def main() -> None:
    """Make the toolkit's model, then a turn for each line that is read."""
    # here, since the other side has no such packages
    import numpy as np
    import torch
    from recbole.data.interaction import Interaction
    from recbole.model import sequential_recommender

    torch.set_num_threads(1)
    job = json.loads(sys.argv[2])
    width = job["max_length"]

    class Items:
        """All that a model asks its data set for."""

        def num(self, field: str) -> int:
            return int(job["n_items"]) + 1  # and the padding

    fields = {
        "USER_ID_FIELD": "user", "ITEM_ID_FIELD": "item", "LIST_SUFFIX": "_list",
        "ITEM_LIST_LENGTH_FIELD": "length", "NEG_PREFIX": "negative_",
        "MAX_ITEM_LIST_LENGTH": width, "device": "cpu",
    }  # fmt: skip
    torch.manual_seed(0)
    model = getattr(sequential_recommender, job["model"])(fields | job["settings"], Items())
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=job["rate"], fused=job["helped"] or None)

    saved = np.load(sys.argv[1])
    batches = []
    for i in range(len(saved) // 3):
        items, lengths, targets = (saved[f"{what} {i}"] for what in ("items", "lengths", "targets"))
        if not job["helped"]:
            items = np.pad(items, ((0, 0), (0, width - items.shape[1])))
        data = {"item_list": items, "length": lengths, "item": targets}
        batches.append(Interaction({key: torch.from_numpy(of) for key, of in data.items()}))

    def step(batch: Any) -> None:
        for part in model.modules():  # RepeatNet's parts are told how wide a batch is
            if hasattr(part, "seq_len"):
                part.seq_len = batch["item_list"].shape[1]
        optimizer.zero_grad()
        model.calculate_loss(batch).backward()
        optimizer.step()

    answer: dict[str, Any] = {"n_parameters": sum(p.numel() for p in model.parameters())}
    for _ in sys.stdin:
        print(json.dumps(answer or timed_turn(step, batches)), flush=True)
        answer = {}


if __name__ == "__main__":
    main()
