"""``proxysr prepare``."""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from proxysr.cli.answer import Answer, table
from proxysr.cli.options import add_set, add_settings, assigned, given, settings_help
from proxysr.config import ConfigError, require, unknown
from proxysr.data.events import TimeUnit, open_events
from proxysr.data.preparation import PrepareConfig, prepare, provenance_table
from proxysr.data.rows import OnBadRows
from proxysr.data.sessions import SessionSplit
from proxysr.data.sources import SOURCES, Source
from proxysr.data.synthetic import SyntheticConfig, synthetic_events

EVENTS = "events"
SYNTHETIC = "synthetic"
COLUMNS = ("item", "time", "session", "user", "title", "time_unit")
EXAMPLES = """\
examples:
  proxysr prepare synthetic data/toy --format synthetic --set n_sessions=5000
  proxysr prepare clicks.csv data/shop --item sku --time when --session visit
  proxysr prepare log.parquet data/shop --user customer --sessions gap --gap-minutes 30
  proxysr prepare downloads/retailrocket data/rr --format retailrocket

Options override the defaults in brackets, which for a public data set are those of its preset.

formats:
  events
    Any CSV, TSV or Parquet file with one event a line; name its columns.
  synthetic
    Sessions made up here, with planted interests and users that are known; SOURCE is "synthetic".
"""


def _about(source: Source) -> str:
    text = f"{source.description} Get it: {source.download_help} Licence: {source.licence}."
    lines = textwrap.wrap(text, width=96, initial_indent="    ", subsequent_indent="    ")
    return f"  {source.name}\n" + "\n".join(lines) + "\n"


EXAMPLES += "".join(_about(source) for source in SOURCES.values())
EXAMPLES += f"\nsettings of --format synthetic, for --set:\n{settings_help(SyntheticConfig)}\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("source", metavar="SOURCE", help="file or folder of raw data")
    parser.add_argument("data_dir", metavar="DATA_DIR", help="folder for the prepared data")
    parser.add_argument(
        "--format",
        default=EVENTS,
        metavar="NAME",
        help=f"{', '.join((EVENTS, SYNTHETIC, *SOURCES))}; see below [{EVENTS}]",
    )
    parser.add_argument(
        "--on-bad-rows",
        choices=get_args(OnBadRows),
        default="error",
        help="refuse a log with malformed rows, or drop them; both name the first ones [error]",
    )
    add_set(parser, "the synthetic data")
    columns = parser.add_argument_group("columns (--format events)")
    for name, what in (
        ("item", "item ids [item_id]"),
        ("time", "times, numbers or ISO 8601 [timestamp]"),
        ("session", "session ids [session_id where there is one]"),
        ("user", "user ids [user_id where there is one]"),
        ("title", "titles of items, for people [title where there is one]"),
    ):
        columns.add_argument(
            f"--{name}", metavar="COL", default=argparse.SUPPRESS, help=f"column of {what}"
        )
    columns.add_argument(
        "--time-unit",
        choices=get_args(TimeUnit),
        default=argparse.SUPPRESS,
        help="unit of numeric times; order: running numbers [auto, by their size]",
    )
    columns.add_argument(
        "--items", metavar="FILE", help="CSV or Parquet about items: item_id, title, anything else"
    )
    add_settings(parser.add_argument_group("sessions, filters and split"), PrepareConfig)


def run(args: argparse.Namespace) -> Answer:
    """Prepare, save, and tell what was kept at every step."""
    allowed = (EVENTS, SYNTHETIC, *SOURCES)
    require(args.format in allowed, unknown(args.format, allowed, "format"))
    _check_options(args)
    options = given(args, PrepareConfig)
    if args.format == EVENTS:
        split = _from_events(args, options)
    elif args.format == SYNTHETIC:
        split = _synthetic(args, options)
    else:
        split = _from_source(args, options)
    folder = split.save(args.data_dir)
    steps = provenance_table(split)
    data = {
        "data_dir": str(folder),
        "n_items": split.n_items,
        "n_users": split.n_users,
        "sessions": {name: len(split.part(name)) for name in ("train", "valid", "test")},
        "fingerprint": split.fingerprint(),
        "provenance": split.provenance,
    }
    return Answer(data, f"{table(steps)}\n\n{folder} is ready.\nNext: proxysr train {folder} RUN")


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options that the format has no use for, rather than ignore them."""
    columns = [name for name in (*COLUMNS, "items") if getattr(args, name, None) is not None]
    require(
        args.format == EVENTS or not columns,
        f"--{', --'.join(name.replace('_', '-') for name in columns)} describe a log of your own "
        f"(--format {EVENTS}); the columns of {args.format} are known.",
    )
    require(
        args.format == SYNTHETIC or not args.assignments,
        f"--set is for --format {SYNTHETIC}; the options of {args.format} have names of their own.",
    )
    require(
        args.format != SYNTHETIC or args.source == SYNTHETIC,
        f"--format {SYNTHETIC} reads nothing, so its SOURCE is the word {SYNTHETIC!r}; "
        f"received {args.source!r}.",
    )


def _from_events(args: argparse.Namespace, options: dict[str, Any]) -> SessionSplit:
    columns = {name: getattr(args, name) for name in COLUMNS if name in args}
    items = None if args.items is None else _item_table(Path(args.items))
    if args.source in (SYNTHETIC, *SOURCES) and not Path(args.source).exists():
        raise ConfigError(
            f"{args.source} does not exist. Did you mean --format {args.source}? Without --format, "
            "SOURCE is a log of your own."
        )
    events = open_events(args.source, on_bad_rows=args.on_bad_rows, **columns)
    if events.bad_rows.n_bad:
        sys.stderr.write(f"{events.bad_rows}\n")
    return prepare(events, PrepareConfig.from_dict(options), items=items)


def _synthetic(args: argparse.Namespace, options: dict[str, Any]) -> SessionSplit:
    config = SyntheticConfig.from_dict(assigned(args.assignments))
    events, items, session_info = synthetic_events(config)
    return prepare(
        events,
        PrepareConfig.from_dict(options),
        items=items,
        session_info=session_info,
        source={"name": SYNTHETIC, "settings": config.to_dict()},
    )


def _from_source(args: argparse.Namespace, options: dict[str, Any]) -> SessionSplit:
    source = SOURCES[args.format]
    config = source.config.replace(**options)
    try:
        return source.prepare(args.source, config, on_bad_rows=args.on_bad_rows)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} Licence: {source.licence}.") from None


def _item_table(path: Path) -> pd.DataFrame:
    """What is known of items; everything but numbers is text."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    separator = "\t" if path.suffix == ".tsv" else ","
    return pd.read_csv(path, sep=separator, dtype={"item_id": str})
