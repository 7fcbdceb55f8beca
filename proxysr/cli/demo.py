"""``proxysr demo``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from proxysr.cli.answer import Answer
from proxysr.files import check_writable, read_object, replacing, write_json

if TYPE_CHECKING:
    from proxysr.data.sessions import Task

EXAMPLES = """\
examples:
  proxysr demo                 # into a new folder, demo
  proxysr demo somewhere/else

Makes a synthetic log of a furniture shop (FOLDER/clicks.csv), in which each session follows one of
ten interests; prepares it, trains latent_proxy (which does not know the interests), evaluates both
tasks, and writes a page: FOLDER/report.html. It takes about a minute and no network. Run again, it
continues where it was interrupted, or shows the result; nothing is overwritten."""

FORMAT = "proxysr demo"
MARK = "demo.json"
SHOP: dict[str, Any] = {"n_items": 400, "mean_length": 9.0}
MODEL: dict[str, Any] = {"n_proxies": 16, "temperature": 1.0}
TRAIN: dict[str, Any] = {"epochs": 18}
"""Chosen on validation sessions, among temperatures of 1, 2 and 4 with 16 and 64 proxies."""
TASKS: tuple[Task, ...] = ("unseen", "repeat")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", default="demo", help="a new folder for it [demo]"
    )


def run(args: argparse.Namespace) -> Answer:
    """Make a log, train, evaluate and write the page."""
    folder = Path(args.folder)
    result = _begin(folder)
    if "finding" not in result:
        result = {"format": FORMAT, **_make(folder)}
        write_json(folder / MARK, result)
    elif not (folder / "report.html").is_file():
        raise ValueError(f"{folder} has a demo without its report.html. Name a new folder.")
    data = {"folder": str(folder), **{k: v for k, v in result.items() if k != "format"}}
    return Answer(data, f"{result['finding']}\nOpen {folder / 'report.html'} in a browser.")


def after_interrupt(args: argparse.Namespace) -> str:
    """What was written, and how to continue."""
    return f"Finished steps are in {args.folder}; the same command continues from there."


def _begin(folder: Path) -> dict[str, Any]:
    """The state of the demo in a folder; starts a new one, refuses a folder of other files."""
    if folder.is_file():
        raise ValueError(f"{folder} is a file; nothing was overwritten. Name a new folder.")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise ValueError(
                f"{folder} holds other files; nothing was written. Name a new folder, such as "
                f"proxysr demo {folder / 'demo'}"
            )
        return read_object(folder / MARK, {"format": str})
    check_writable(folder / MARK)
    write_json(folder / MARK, {"format": FORMAT})
    return {}


def _make(folder: Path) -> dict[str, Any]:
    """Make the missing parts of the demo; returns its result."""
    from proxysr.analysis.agreement import planted_found
    from proxysr.analysis.run_view import RunView
    from proxysr.explorer.report import write_report
    from proxysr.run import RunDir
    from proxysr.running import evaluate_run, train_run
    from proxysr.training import TrainConfig

    started = time.perf_counter()
    data, run, counted = folder / "data", folder / "shop", folder / "counting"
    _announce(f"1 of 4: a log of a furniture shop, {folder / 'clicks.csv'}, becomes sessions")
    if not (data / "split.json").is_file():
        _prepare(folder / "clicks.csv", data)
    _announce("2 of 4: latent_proxy is trained on it, and a model that only counts")
    config = TrainConfig.from_dict(TRAIN)
    resume = (run / "config.json").is_file()
    train_run(data, run, model="latent_proxy", model_config=MODEL, train=config, resume=resume)
    if not (counted / "config.json").is_file():
        train_run(data, counted, model="cooccurrence", progress=False)
    _announce("3 of 4: both are evaluated on test sessions, for unseen items and with repeats")
    metrics = {
        path.name: {task: evaluate_run(path, task=task, progress=False).metrics for task in TASKS}
        for path in (run, counted)
    }
    _announce("4 of 4: a map of the sessions, and the page")
    view = RunView.of(run)
    write_report(view, folder / "report.html", command=f"proxysr demo {folder}")
    planted = planted_found(view.table)
    assert planted is not None, "the shop's sessions have tastes"  # noqa: S101
    own, other = (100 * metrics[path.name]["unseen"]["R@20"] for path in (run, counted))
    finding = (
        f"latent_proxy has {own:.1f} % of the next new items among its first 20, counting what is "
        f"clicked together {other:.1f} %; its {planted.n_proxies} proxies agree with the "
        f"{planted.n_planted} planted interests by an AMI of {planted.ami:.2f} (1: the same "
        "groups, 0: chance)."
    )
    return {
        "report": str(folder / "report.html"),
        "finding": finding,
        "ami": planted.ami,
        "metrics": metrics,
        "best_epoch": RunDir(run).best_epoch,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _prepare(log: Path, data: Path) -> None:
    """Write the synthetic log as a file, read it like any log, and prepare it."""
    from proxysr.data import prepare, read_events
    from proxysr.data.sources import SOURCES
    from proxysr.data.synthetic import SyntheticConfig, synthetic_events

    events, items, truth = synthetic_events(SyntheticConfig.from_dict(SHOP))
    if not log.is_file():
        titles = items.set_index("item_id")["title"]
        clicks = pd.DataFrame(
            {
                "visit": events["session_id"],
                "customer": events["user_id"],
                "sku": events["item_id"],
                "when": pd.to_datetime(events["timestamp"], unit="s").dt.strftime("%FT%TZ"),
                "name": events["item_id"].map(titles),
            }
        )
        with replacing(log) as temporary:
            clicks.to_csv(temporary, index=False)
    columns = {"session": "visit", "user": "customer", "item": "sku", "time": "when"}
    frame = read_events(log, title="name", **columns)
    prepare(frame, SOURCES["synthetic"].config, session_info=truth).save(data)


def _announce(text: str) -> None:
    sys.stderr.write(f"{text} …\n")
    sys.stderr.flush()
