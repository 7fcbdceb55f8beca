"""Parameters of notebooks: what they have, and values that fit (papermill itself only warns).

Values are a mapping of names. A value under a parameter's name goes to every notebook that has
it. A mapping under a notebook's name is its section: values for it alone, which win.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from proxysr.config import ConfigError, coerce, require, unknown

TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
Params = Mapping[str, Any]


def parameters_of(notebook: Path) -> dict[str, dict[str, Any]]:
    """Name to ``inferred_type_name``, ``default`` (source text) and ``help`` of each parameter."""
    import papermill

    found: dict[str, dict[str, Any]] = papermill.inspect_notebook(str(notebook))
    return found


def sections_of(params: Params) -> dict[str, Params]:
    """The sections among ``params``, by the name of their notebook."""
    return {name: value for name, value in params.items() if isinstance(value, Mapping)}


def overridden(params: Params, by: Params) -> dict[str, Any]:
    """``params`` with other values, which win over sections, too."""
    left = {
        name: {key: value[key] for key in value if key not in by}
        if isinstance(value, Mapping)
        else value
        for name, value in params.items()
    }
    return left | dict(by)


def fitting(
    notebooks: Iterable[Path], params: Params, others: Iterable[str] = ()
) -> dict[Path, dict[str, Any]]:
    """The values that each notebook takes, converted to the types of its parameters.

    Parameters
    ----------
    notebooks : iterable of Path
    params : mapping
    others : iterable of str
        Notebooks that may have sections, too, which are left alone.

    Raises
    ------
    ConfigError
        If none of the notebooks has a parameter, or the one does not that its section is for; if
        a section is for no notebook, or a value is not of its parameter's type.
    """
    known = {notebook: parameters_of(notebook) for notebook in notebooks}
    stems = [notebook.stem for notebook in known]
    sections = sections_of(params)
    common = {name: value for name, value in params.items() if name not in sections}
    for name in sections:
        require(name in {*stems, *others}, unknown(name, {*stems, *others}, "notebook"))
    _check_known(common, {name for declared in known.values() for name in declared}, stems)
    fits = {}
    for notebook, declared in known.items():
        own = sections.get(notebook.stem, {})
        _check_known(own, declared, [notebook.stem])
        taken = {name: common[name] for name in common if name in declared} | dict(own)
        fits[notebook] = {name: _typed(value, declared[name]) for name, value in taken.items()}
    return fits


def _check_known(names: Iterable[str], known: Iterable[str], stems: list[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(unknown(name, known, f"parameter of {', '.join(stems)}"))


def _typed(value: Any, declared: Params) -> Any:
    """``value`` in the declared type, or in that of the default where none is declared."""
    name, kind = str(declared["name"]), TYPES.get(str(declared["inferred_type_name"]))
    if kind is None:
        kind = type(ast.literal_eval(declared["default"]))
    return coerce(value, kind, name) if kind in TYPES.values() else value
