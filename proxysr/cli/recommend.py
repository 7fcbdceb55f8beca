"""``proxysr recommend``."""

from __future__ import annotations

import argparse
import sys
from typing import get_args

from proxysr.cli.answer import Answer, records, table
from proxysr.cli.options import add_run
from proxysr.data.sessions import Task
from proxysr.recommender import Recommender
from proxysr.text import visible

EXAMPLES = """\
examples:
  proxysr recommend runs/shop 4711 1312 815           # clicks, oldest first
  proxysr recommend runs/shop 4711 -k 5 --json
  proxysr recommend runs/shop 4711 --history 17 4 --history 9 9 31    # the user's earlier sessions
  proxysr recommend runs/shop --history 17 4          # before the first click
  proxysr recommend runs/shop 4711 --user u17         # proxysr trained with --set n_users=...

Items that the model was not trained on are left out and reported. Earlier sessions need no
training: latent_proxy infers from them what the user is likely to look for, also for users that
it has never seen. With a model that has no parameters for --user, the session is anonymous."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_run(parser, data=False)
    parser.add_argument("items", metavar="ITEM", nargs="*", help="raw ids, oldest click first")
    parser.add_argument("-k", type=int, default=20, metavar="N", help="how many items [20]")
    parser.add_argument(
        "--history", metavar="ITEM", nargs="+", action="append", default=[],
        help="raw ids of an earlier session of the same user; repeat for each session",
    )  # fmt: skip
    parser.add_argument("--user", metavar="ID", help="raw id of the user, if known")
    parser.add_argument(
        "--task", choices=get_args(Task), default="unseen",
        help="unseen leaves out the items clicked already [unseen]",
    )  # fmt: skip


def run(args: argparse.Namespace) -> Answer:
    """Recommend for one session."""
    recommender = Recommender.load(args.run_dir)
    answer = recommender.recommend(
        args.items, k=args.k, task=args.task, user=args.user, history=args.history
    )
    for place, unknown in (("", answer.unknown), (" (history)", answer.unknown_in_history)):
        if unknown:
            names = visible(", ".join(unknown))
            sys.stderr.write(f"Not among the items of {args.run_dir}, left out{place}: {names}\n")
    if args.user is not None and answer.user is None:
        reason = (
            f"is none of the {recommender.n_users} users that {args.run_dir} has parameters for"
            if recommender.n_users
            else f"is not asked for: {args.run_dir} has parameters for no user"
        )
        sys.stderr.write(f"User {visible(args.user)} {reason}; the session counts as anonymous.\n")
    no_items = "No click is on a known item, so there is nothing to recommend from."
    if answer.n_known:
        no_items = (
            "All known items are clicked, so none is left; --task repeat recommends them, too."
        )
    data = {
        "items": records(answer.items),
        "unknown": answer.unknown,
        "unknown_in_history": answer.unknown_in_history,
        "user": answer.user,
    }
    return Answer(data, table(answer.items) if len(answer.items) else no_items)
