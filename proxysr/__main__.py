"""The ``proxysr`` command; ``python -m proxysr`` is the same."""

from __future__ import annotations

import argparse
import errno
import gc
import importlib
import io
import itertools
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from typing import Any, NoReturn

from proxysr import __version__
from proxysr.processes import EXIT_CODE, Terminated, ending_on_sigterm
from proxysr.text import visible

COMMANDS = {
    "demo": "make a synthetic log, train on it, and write a page to explore, in about a minute",
    "prepare": "turn a log of clicks into sessions, filtered and split by time",
    "train": "train a model on prepared data",
    "tune": "search for settings: many runs, judged on validation, on any number of machines",
    "evaluate": "rank the targets of a run's test sessions; recall and MRR",
    "compare": "test whether runs differ by more than chance, paired by session",
    "recommend": "recommend items for a new session, raw ids in and out",
    "explore": "serve a page that shows which sessions choose which proxies, and why",
    "report": "write a run as one offline page to explore and send",
    "notebooks": "run the notebooks and write them as HTML pages",
    "paper": "make the runs of the paper's tables, and a page that compares them with the paper",
    "bench": "measure training and evaluation against this machine's limit",
}
DESCRIPTION = """\
Session-based recommendation with proxies: sessions are anonymous, so each follows a proxy for the
general interest of its unknown user."""
EPILOG = """\
a first tour:
  proxysr prepare synthetic data/toy --format synthetic
  proxysr train data/toy runs/toy
  proxysr evaluate runs/toy --task unseen
  proxysr report runs/toy toy.html
  proxysr COMMAND --help        options and examples of a command

With --json a command prints exactly one object on stdout; progress goes to stderr.
Errors are one line on stderr and exit code 2."""


def formatter(prog: str) -> argparse.HelpFormatter:
    """Help as wide as the code, with its paragraphs left alone."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=100)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that names --help."""

    greedy: Sequence[str] = ()
    """Options that were received and take all words after them."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with 2."""
        if self.greedy and "required" in message:
            message += f". {self.greedy[-1]} takes all words after it: put it last, or -- behind it"
        line = visible(f"{self.prog}: error: {message} ({self.prog} --help explains)")
        self.exit(2, f"{line}\n")

    def check_options(self, words: Sequence[str]) -> None:
        """Refuse unknown options first, before missing arguments are reported."""
        for word in itertools.takewhile(lambda word: word != "--", words):
            option = word.partition("=")[0]
            if option.startswith("--") and option not in self._option_string_actions:
                from proxysr.config import nearest  # imports pydantic, which the help does without

                hint = nearest(option, self._option_string_actions)
                self.error(f"{option!r} is not a known option.{hint}")
        actions = self._option_string_actions
        self.greedy = [w for w in words if w in actions and actions[w].nargs in ("*", "+")]

    def take(self, words: Sequence[str], args: argparse.Namespace) -> None:
        """Give the words that are left to the last argument, if it takes any number; else refuse.

        argparse fills such an argument once: words after a further option are left.
        """
        before = list(itertools.takewhile(lambda word: word != "--", words))
        options = [word for word in before if self._parse_optional(word)]
        last = [action for action in self._actions if not action.option_strings][-1:]
        if options or not last or last[0].nargs not in ("*", "+"):
            self.error(f"unrecognized arguments: {' '.join(options or words)}")
        taken = [*getattr(args, last[0].dest), *before, *words[len(before) + 1 :]]
        setattr(args, last[0].dest, taken)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse unknown choices with the same message as settings do."""
        if action.choices is not None and value not in action.choices:
            from proxysr.config import unknown

            raise argparse.ArgumentError(action, unknown(value, action.choices, "choice"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    It is 0, 2 for an error, 130 if interrupted, 143 if ended by SIGTERM, and 141 (without a
    message) if the reader of the output stopped reading, as ``head`` does.
    """
    with ending_on_sigterm():
        try:
            code = _main(list(sys.argv[1:] if argv is None else argv))
            sys.stdout.flush()
        except BrokenPipeError:
            # otherwise the interpreter tries to write the rest and reports an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
    return code


def _main(arguments: list[str]) -> int:
    # Waiting threads spin briefly. Without spinning, a training step is a third slower; with the
    # default spinning, ten times slower beside a busy program. Torch reads this at its import.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    name = " ".join(["proxysr", *filter(None, [command_in(arguments)])])
    # Of the processes of torchrun, only the first prints messages.
    is_first = os.environ.get("RANK", "0") == "0"
    module: Any = None
    args: Any = None

    def stopped(how: str, code: int) -> int:
        message = getattr(module, "after_interrupt", lambda _: "No half-written file is left.")
        if is_first:
            sys.stderr.write(f"\n{name}: {how}. {visible(message(args))}\n")
        return code

    try:
        with nullcontext() if is_first else redirect_stderr(io.StringIO()):
            module, args = parsed(arguments)
        args.stdout = sys.stdout  # for an answer before the end
        with redirect_stdout(sys.stderr):  # output of libraries is not the answer
            answer = module.run(args)
        if is_first and answer is not None:
            sys.stdout.write(answer.shown(args.json))
            sys.stdout.flush()
    except Terminated:
        return stopped("ended", EXIT_CODE)
    except SystemExit as stop:
        return int(stop.code or 0) if is_first else 0
    except KeyboardInterrupt:
        return stopped("interrupted", 130)
    except BrokenPipeError:
        raise
    except (ValueError, OSError, FloatingPointError, ModuleNotFoundError) as error:
        sys.stderr.write(f"{name}: error: {visible(' '.join(_message(error).split()))}\n")
        return 2
    return 0


def command_in(arguments: Sequence[str]) -> str | None:
    """The first word that is not an option."""
    return next((word for word in arguments if not word.startswith("-")), None)


def parsed(arguments: Sequence[str]) -> tuple[Any, argparse.Namespace]:
    """The command's module and its arguments; only that module is imported."""
    parser = Parser(
        prog="proxysr", usage="proxysr [-h] [--version] COMMAND ...", description=DESCRIPTION,
        epilog=EPILOG, formatter_class=formatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"proxysr {__version__}")
    commands = parser.add_subparsers(
        title="commands", prog="proxysr", dest="command", metavar="COMMAND ...", required=True
    )
    named = command_in(arguments)
    if named is not None and named not in COMMANDS:
        from proxysr.config import unknown

        parser.error(unknown(named, COMMANDS, "command"))
    module: Any = None
    command = parser
    for name, summary in COMMANDS.items():
        if name != named:
            commands.add_parser(name, help=summary)
            continue
        module = imported(f"proxysr.cli.{name}")
        command = commands.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=module.EXAMPLES, formatter_class=formatter, allow_abbrev=False,
        )  # fmt: skip
        module.add_arguments(command)
        command.add_argument("--json", action="store_true", help="print one JSON object on stdout")
        command.check_options(arguments[arguments.index(name) + 1 :])
    args, rest = parser.parse_known_args(arguments)
    if rest:
        command.take(rest, args)
    typed = [word for word in arguments if word != "--json"]
    args.command_line = shlex.join(["proxysr", *typed])
    return module, args


def imported(name: str) -> Any:
    """The module of this name; what it imports is left alone by the garbage collector.

    PyTorch and pandas make so many objects, all of which stay, that looking through them while
    they are imported, and once more at the end, is a quarter of the time of a short command.
    A process that had PyTorch before has objects of others, too, which are not to be kept.
    """
    starts = "torch" not in sys.modules
    gc.disable()
    try:
        module = importlib.import_module(name)
    finally:
        gc.enable()
    if starts:
        gc.freeze()
    return module


def _message(error: Exception) -> str:
    """The message of an error for the command line."""
    if isinstance(error, ModuleNotFoundError):
        return f"{error}. It comes with pip install '.[notebooks]' in the checkout"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.strerror:
        name = error.filename or "A file"
        return f"{name} cannot be written: the disk is full. Free some space, then try again."
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
