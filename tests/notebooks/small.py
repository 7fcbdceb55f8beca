"""Small notebooks that tests write."""

from __future__ import annotations

from pathlib import Path

import nbformat

PARAMETERS = """\
k: int = 3  # how many
share: float = 0.5  # of what
name: str = "x"  # of whom
loud: bool = False  # or not
"""


def write(
    folder: Path,
    name: str,
    *code: str,
    heading: str = "# What is it?",
    parameters: str = PARAMETERS,
) -> Path:
    """A notebook with a heading, parameters, and some code."""
    cells = [
        nbformat.v4.new_markdown_cell(heading),
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        *(nbformat.v4.new_code_cell(source) for source in code),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    return path
