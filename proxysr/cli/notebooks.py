"""``proxysr notebooks``."""

from __future__ import annotations

import argparse

from proxysr.cli.answer import Answer
from proxysr.cli.options import add_set, assigned
from proxysr.notebooks.parameters import about, overridden, read_params, sections_of, shipped

EXAMPLES = """\
examples:
  proxysr notebooks                                   # all of them, as small runs on the CPU
  proxysr notebooks 01_train --out pages --set epochs=30
  proxysr notebooks 01_train --params shop.yaml       # NAME: VALUE, one a line; or JSON
  proxysr notebooks --params full-diginetica          # a file shipped with proxysr
  proxysr notebooks --params full-diginetica --resume # skips notebooks that were completed

A notebook's parameters, with their meaning, are in its first code cell. Each value goes to every
notebook that has the parameter; a parameter that no notebook has is an error. In a file, values
under the name of a notebook are for this notebook only:

  seed: 1
  02_compare:
    epochs: 30

If all values are under such names, and no NAME is given, these notebooks run. --set overrides
files. $PROXYSR_DATA and $PROXYSR_RUNS at the start of a value are replaced by these variables, or
by data and runs in the project if they are not set.

--resume skips notebooks that were completed in DIR with the same cells, parameters and version of
proxysr. If something else has changed, such as data in the same folder, leave it out.

files shipped with proxysr:
"""
EXAMPLES += "".join(f"  {name:<20}  {about(path)}\n" for name, path in shipped().items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("names", metavar="NAME", nargs="*", help="notebooks, such as 01_train [all of them]")
    add("--params", metavar="FILE", help="YAML or JSON file of parameters, or a name listed below")
    add_set(parser, "notebooks", "each lists them in its first code cell")
    add("--out", metavar="DIR", default="pages", help="folder for notebooks and pages [pages]")
    add("--jobs", type=int, default=1, metavar="N", help="notebooks to run at the same time [1]")
    add(
        "--resume", action="store_true", help="skip notebooks that were completed in DIR, see below"
    )


def run(args: argparse.Namespace) -> Answer:
    """Run the notebooks."""
    from proxysr.notebooks import run_notebooks

    params = {} if args.params is None else read_params(args.params)
    sections = sections_of(params)
    names = args.names or (list(sections) if len(sections) == len(params) else [])
    params = overridden(params, assigned(args.assignments))
    *pages, index = run_notebooks(
        names, params=params, out=args.out, jobs=args.jobs, resume=args.resume
    )
    data = {"index": str(index), "pages": [str(page) for page in pages]}
    return Answer(data, f"{len(pages)} notebook(s) executed. Open {index} in a browser.")


def after_interrupt(args: argparse.Namespace) -> str:
    """What was written, and how to continue."""
    return (
        f"Finished notebooks are in {args.out}; the same command with --resume runs the others, "
        "and their trainings continue."
    )
