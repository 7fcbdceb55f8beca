"""Parameters of notebooks: what they have, and values that fit (papermill itself only warns)."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxysr.config import ConfigError, coerce, unknown

TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}


def parameters_of(notebook: Path) -> dict[str, dict[str, Any]]:
    """Name to ``inferred_type_name``, ``default`` (source text) and ``help`` of each parameter."""
    import papermill

    found: dict[str, dict[str, Any]] = papermill.inspect_notebook(str(notebook))
    return found


def fitting(notebooks: list[Path], params: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """The values that each notebook takes, converted to the types of its parameters.

    A parameter goes to every notebook that has it.

    Raises
    ------
    ConfigError
        If none of the notebooks has a parameter, or a value is not of its type.
    """
    known = {notebook: parameters_of(notebook) for notebook in notebooks}
    names = {name for declared in known.values() for name in declared}
    for name in params:
        if name not in names:
            which = ", ".join(notebook.stem for notebook in notebooks)
            raise ConfigError(unknown(name, names, f"parameter of {which}"))
    return {
        notebook: {
            name: _typed(params[name], declared[name]) for name in params if name in declared
        }
        for notebook, declared in known.items()
    }


def _typed(value: Any, declared: Mapping[str, Any]) -> Any:
    """``value`` in the declared type, or in that of the default where none is declared."""
    name, kind = str(declared["name"]), TYPES.get(str(declared["inferred_type_name"]))
    if kind is None:
        kind = type(ast.literal_eval(declared["default"]))
    return coerce(value, kind, name) if kind in TYPES.values() else value
