"""``proxysr notebooks``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from proxysr.cli.answer import Answer
from proxysr.cli.options import add_set, assigned
from proxysr.config import require

EXAMPLES = """\
examples:
  proxysr notebooks                                   # all of them, as small runs on the CPU
  proxysr notebooks 01_train --out pages --set epochs=30
  proxysr notebooks 01_train --params shop.yaml       # NAME: VALUE, one a line; or JSON

A notebook's parameters, with their meaning, are in its first code cell. Each value goes to every
notebook that has the parameter; one that none has is an error."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "names", metavar="NAME", nargs="*", help="notebooks, such as 01_train [all of them]"
    )
    parser.add_argument("--params", metavar="FILE", help="YAML or JSON file of parameters")
    add_set(parser, "the notebooks")
    parser.add_argument(
        "--out", metavar="DIR", default="pages", help="folder for notebooks and pages [pages]"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="notebooks to run at the same time [1]"
    )


def run(args: argparse.Namespace) -> Answer:
    """Run the notebooks."""
    from proxysr.notebooks import run_notebooks

    params = {} if args.params is None else read_params(Path(args.params))
    params |= assigned(args.assignments)
    *pages, index = run_notebooks(args.names, params=params, out=args.out, jobs=args.jobs)
    data = {"index": str(index), "pages": [str(page) for page in pages]}
    return Answer(data, f"{len(pages)} notebook(s) executed. Open {index} in a browser.")


def read_params(path: Path) -> dict[str, Any]:
    """Parameters and values of a YAML or JSON file.

    Raises
    ------
    ValueError
        If the file cannot be read as such, or holds something else.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML, too
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is neither YAML nor JSON ({error}).") from None
    require(
        isinstance(values, dict) and all(isinstance(name, str) for name in values),
        f"{path} holds no parameters: NAME: VALUE, one a line, or a JSON object.",
    )
    return dict(values)
