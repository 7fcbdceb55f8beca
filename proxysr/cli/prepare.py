"""``proxysr prepare``."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from proxysr.cli.answer import Answer, table
from proxysr.cli.options import add_set, add_settings, assigned, given, settings_help
from proxysr.config import ConfigError, require, unknown
from proxysr.data.bad_rows import OnBadRows
from proxysr.data.events import TimeUnit
from proxysr.data.preparation import PrepareConfig, provenance_table
from proxysr.data.sessions import SessionSplit
from proxysr.data.sources import SOURCES, Source
from proxysr.data.synthetic import SyntheticConfig
from proxysr.text import visible

OWN_LOG: dict[str, tuple[str, dict[str, Any]]] = {
    "item": ("column of item ids [item_id]", {"metavar": "COL"}),
    "time": ("column of times, numbers or ISO 8601 [timestamp]", {"metavar": "COL"}),
    "session": ("column of session ids [session_id if there is one]", {"metavar": "COL"}),
    "user": ("column of user ids [user_id if there is one]", {"metavar": "COL"}),
    "title": (
        "column of item titles [title if there is one]",
        {"metavar": "COL"},
    ),
    "time_unit": (
        "unit of numeric times; order: running numbers [auto, by their size]",
        {"choices": get_args(TimeUnit)},
    ),
    "missing": (
        "words for a missing value, such as NULL or '\\N' [empty text only]",
        {"nargs": "+", "action": "extend", "metavar": "WORD"},
    ),
    "delimiter": (
        "field separator, such as ';', '\\t' or '::' [guessed from the first line]",
        {"metavar": "TEXT"},
    ),
    "quote": ("quote character; '' for none [\"]", {"metavar": "TEXT"}),
    "no_header": (
        "the file has no header line: columns are named 1, 2, 3 … from the left",
        {"action": "store_false", "dest": "header"},
    ),
    "encoding": (
        "encoding of text files: cp1252, latin-1, utf-16, shift_jis … [utf-8]",
        {"metavar": "NAME"},
    ),
    "items": (
        "CSV or Parquet about items, read by the same rules: item_id (or the name of --item), "
        "title, any other columns but count",
        {"metavar": "FILE"},
    ),
}
"""Options of the user's own log: help text and declaration."""
CLUSTER: dict[str, tuple[str, dict[str, Any]]] = {
    "master": (
        "where Spark runs: yarn, spark://HOST:7077, local[4] [from its configuration]",
        {"metavar": "URL"},
    ),
}
EXAMPLES = """\
examples:
  proxysr prepare synthetic data/toy --format synthetic --set n_sessions=2000 seed=1
  proxysr prepare clicks.csv data/shop --item sku --time when --session visit
  proxysr prepare log.parquet data/shop --user customer --sessions gap --gap-minutes 30
  proxysr prepare ratings.dat data/films --no-header --user 1 --item 2 --time 4 --delimiter ::
  proxysr prepare export.csv data/shop --encoding cp1252 --missing '\\N' NULL --on-bad-rows drop
  proxysr prepare shop.clicks data/shop --format spark --master yarn --user customer --sessions gap
  proxysr prepare downloads/retailrocket data/rr --format retailrocket

Defaults in brackets are those of --format events; a public data set has a preset instead, which
options override. After it has run, its counts are shown beside the published ones.

formats:
"""


def _about(source: Source) -> str:
    text = f"{source.description} {source.download_help} Licence: {source.licence}."
    lines = textwrap.wrap(text, width=96, initial_indent="    ", subsequent_indent="    ")
    return f"  {source.name}\n" + "\n".join(lines) + "\n"


EXAMPLES += "".join(_about(source) for source in SOURCES.values())
EXAMPLES += f"\nsettings of --format synthetic, for --set:\n{settings_help(SyntheticConfig)}\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("source", metavar="SOURCE", help="file, folder or table of raw data")
    parser.add_argument("data_dir", metavar="DATA_DIR", help="folder for the prepared data")
    names = ", ".join(SOURCES)
    parser.add_argument(
        "--format", default="events", metavar="NAME", help=f"{names}; see below [events]"
    )
    parser.add_argument(
        "--on-bad-rows",
        choices=get_args(OnBadRows),
        default="error",
        help="refuse a log with malformed rows, or drop these; both show the first ones [error]",
    )
    add_set(parser, "the synthetic data", "listed below")
    for title, options in (
        ("your own log (--format events)", OWN_LOG),
        ("a log on a cluster (--format spark, and the columns above)", CLUSTER),
    ):
        group = parser.add_argument_group(title)
        for name, (text, declaration) in options.items():
            flag = "--" + name.replace("_", "-")
            group.add_argument(flag, default=argparse.SUPPRESS, help=text, **declaration)
    add_settings(parser.add_argument_group("sessions, filters and split"), PrepareConfig)


def run(args: argparse.Namespace) -> Answer:
    """Prepare, save, and show the counts after every step."""
    require(args.format in SOURCES, unknown(args.format, SOURCES, "format"))
    source = SOURCES[args.format]
    if args.format == "events" and args.source in SOURCES and not Path(args.source).exists():
        raise ConfigError(
            f"{args.source} does not exist. Did you mean --format {args.source}? Without --format, "
            "SOURCE is your own log."
        )
    chosen = given(args, PrepareConfig)
    config = source.config.replace(**chosen)
    config.check_used(config.sessions, chosen, in_parts=source.in_parts)
    SessionSplit.check_place(args.data_dir)
    names = (*OWN_LOG, *CLUSTER, "header")
    options = {name: getattr(args, name) for name in names if name in args}
    for name in {"delimiter", "quote"} & set(options):
        options[name] = options[name].replace("\\t", "\t")
    try:
        split = source.prepare(
            args.source,
            config,
            args.on_bad_rows,
            **options,
            **assigned(args.assignments),
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} Licence: {source.licence}.") from None
    for report in split.provenance["bad_rows"]:
        _show_bad_rows(report)
    for remark in split.provenance.get("remarks", ()):
        sys.stderr.write(f"Note: {remark}\n")
    if (Path(args.data_dir) / "split.json").is_file() and _is_other(args.data_dir, split):
        sys.stderr.write(
            f"Note: the earlier split in {args.data_dir} is replaced; runs that were trained on it "
            "can no longer be evaluated.\n"
        )
    folder = split.save(args.data_dir)
    data = {
        "data_dir": str(folder),
        "n_items": split.n_items,
        "n_users": split.n_users,
        "sessions": {name: len(split.part(name)) for name in ("train", "valid", "test")},
        "fingerprint": split.fingerprint(),
        "provenance": split.provenance,
    }
    text = (
        f"{table(provenance_table(split))}\n\n"
        f"{folder} is ready.\nNext: proxysr train {folder} RUN_DIR"
    )
    return Answer(data, text)


def _is_other(folder: str, split: SessionSplit) -> bool:
    """Whether an earlier split is another one, or is damaged."""
    try:
        return SessionSplit.load(folder).fingerprint() != split.fingerprint()
    except ValueError:
        return True


def _show_bad_rows(bad_rows: Mapping[str, Any]) -> None:
    """Print the dropped rows on stderr."""
    if bad_rows["malformed"]:
        sys.stderr.write(
            f"{bad_rows['malformed']:,} of {bad_rows['rows']:,} rows are malformed and were "
            "dropped, such as:\n" + "".join(f"  {visible(row)}\n" for row in bad_rows["first"])
        )
