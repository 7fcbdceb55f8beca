"""Parameters of notebooks: what a notebook declares, and checked values for it.

papermill only warns about unknown parameters; here they are errors.

Values are a mapping of names. A value under a parameter's name goes to every notebook that has the
parameter. A mapping under a notebook's name is its section: values for this notebook only, which
override the others. They come from YAML files: the user's own, or those shipped with proxysr.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from proxysr.config import ConfigError, coerce, nearest, require, unknown
from proxysr.files import read_yaml

FILES = Path(__file__).parent / "parameter_files"
TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
Params = Mapping[str, Any]


def parameters_of(notebook: Path) -> dict[str, dict[str, Any]]:
    """Name to ``inferred_type_name``, ``default`` (source text) and ``help`` of each parameter."""
    import papermill

    parameters: dict[str, dict[str, Any]] = papermill.inspect_notebook(str(notebook))
    return parameters


def sections_of(params: Params) -> dict[str, Params]:
    """The sections among ``params``, by the name of their notebook."""
    return {name: value for name, value in params.items() if isinstance(value, Mapping)}


def overridden(params: Params, by: Params) -> dict[str, Any]:
    """``params`` with values replaced by those of ``by``, in sections, too."""
    sections = {
        name: {key: section[key] for key in section if key not in by}
        for name, section in sections_of(params).items()
    }
    return {**params, **sections, **by}


def fitting(
    notebooks: Iterable[Path], params: Params, others: Iterable[str] = ()
) -> dict[Path, dict[str, Any]]:
    """The values that each notebook takes, converted to the types of its parameters.

    Parameters
    ----------
    notebooks : iterable of Path
    params : mapping
    others : iterable of str
        Further notebooks that may have sections; these are ignored.

    Raises
    ------
    ConfigError
        If no notebook has a parameter of this name, a section's notebook lacks it, a section names
        no notebook, or a value has another type than its parameter.
    """
    declared_in = {notebook: parameters_of(notebook) for notebook in notebooks}
    stems = [notebook.stem for notebook in declared_in]
    sections = sections_of(params)
    common = {name: value for name, value in params.items() if name not in sections}
    for name in sections:
        require(name in {*stems, *others}, unknown(name, {*stems, *others}, "notebook"))
    _check_known(common, {name for declared in declared_in.values() for name in declared}, stems)
    fits = {}
    for notebook, declared in declared_in.items():
        section = sections.get(notebook.stem, {})
        _check_known(section, declared, [notebook.stem])
        values = {name: common[name] for name in common if name in declared} | dict(section)
        fits[notebook] = {name: _typed(value, declared[name]) for name, value in values.items()}
    return fits


def _check_known(names: Iterable[str], declared: Iterable[str], stems: list[str]) -> None:
    for name in names:
        if name not in declared:
            raise ConfigError(unknown(name, declared, f"parameter of {', '.join(stems)}"))


def _typed(value: Any, declared: Params) -> Any:
    """``value`` in the declared type, or in that of the default where none is declared."""
    name, kind = str(declared["name"]), TYPES.get(str(declared["inferred_type_name"]))
    if kind is None:
        kind = type(ast.literal_eval(declared["default"]))
    return coerce(value, kind, name) if kind in TYPES.values() else value


def shipped() -> dict[str, Path]:
    """The parameter files that come with proxysr, by name."""
    return {path.stem: path for path in sorted(FILES.glob("*.yaml"))}


def about(path: Path) -> str:
    """The purpose of a shipped file, from the comment in its first line."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def read_params(source: str | Path) -> dict[str, Any]:
    """Parameters and values, and sections with those of one notebook.

    Parameters
    ----------
    source : str or Path
        A YAML or JSON file, or the name of one that comes with proxysr.

    Raises
    ------
    ConfigError
        If it is neither a file nor a known name, or holds something else.
    ValueError
        If the file cannot be read as such.
    """
    path = shipped().get(str(source), Path(source))
    if not path.is_file():
        raise ConfigError(
            f"{source} is no file, and no parameters of that name come with proxysr."
            f"{nearest(str(source), shipped())} Known: {', '.join(shipped())}."
        )
    values = read_yaml(path)
    sections = [v for v in getattr(values, "values", list)() if isinstance(v, dict)]
    levels = [values, *sections]
    require(
        all(isinstance(level, dict) and all(isinstance(n, str) for n in level) for level in levels),
        f"{path} has no parameters: write NAME: VALUE, one a line, or a JSON object.",
    )
    return dict(values)
