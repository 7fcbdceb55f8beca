"""The side of RecBole in ``toolkit_speed`` and ``time_to_quality``, run by a Python that has it.

For every line that it reads, it answers one: first of its model, then with the seconds of a turn.
If there are validation prefixes, it tells R@20 after the turn, too; the turn is an epoch then.
"""

from __future__ import annotations

import json
import random
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

    job = json.loads(sys.argv[2])
    torch.set_num_threads(job.get("threads", 1))
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
    for i in range(sum(name.startswith("targets") for name in saved.files)):
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

    n_valid = sum(name.startswith("valid targets") for name in saved.files)

    @torch.no_grad()
    def recall() -> float:
        model.eval()
        ranks = []
        for i in range(n_valid):
            items, lengths, target, seen = (
                torch.from_numpy(saved[f"valid {what} {i}"])
                for what in ("items", "lengths", "targets", "seen")
            )
            scores = model.full_sort_predict(Interaction({"item_list": items, "length": lengths}))
            scores = scores.view(len(items), -1)
            scores.scatter_(1, seen, -torch.inf)
            scores[:, 0] = -torch.inf
            own = scores.gather(1, target[:, None])
            above, equal = (scores > own).sum(1), (scores == own).sum(1)
            ranks.append(above + (equal + 1) / 2)
        model.train()
        return float((torch.cat(ranks) <= 20).double().mean())

    answer: dict[str, Any] = {"n_parameters": sum(p.numel() for p in model.parameters())}
    for _ in sys.stdin:
        if not answer:
            answer = timed_turn(step, batches)
            if n_valid:
                answer["recall"] = recall()
                random.shuffle(batches)
        print(json.dumps(answer), flush=True)
        answer = {}


if __name__ == "__main__":
    main()
