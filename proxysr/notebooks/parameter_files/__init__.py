"""Files of parameters: the reader's own, and those that come with proxysr, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxysr.config import ConfigError, nearest, require
from proxysr.files import read_yaml


def shipped() -> dict[str, Path]:
    """The parameter files that come with proxysr, by name."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}


def about(path: Path) -> str:
    """What a shipped file is for: its first line, a comment."""
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
    import yaml

    path = shipped().get(str(source), Path(source))
    if not path.is_file():
        raise ConfigError(
            f"{source} is no file, and no parameters of that name come with proxysr."
            f"{nearest(str(source), shipped())} Known: {', '.join(shipped())}."
        )
    values = read_yaml(path)
    twice = _twice(yaml.compose(path.read_text(encoding="utf-8")))
    levels = [values] + [own for own in getattr(values, "values", list)() if isinstance(own, dict)]
    require(
        all(isinstance(level, dict) and all(isinstance(n, str) for n in level) for level in levels),
        f"{path} holds no parameters: NAME: VALUE, one a line, or a JSON object.",
    )
    require(not twice, f"{path} names {', '.join(twice)} twice in one place; one would be lost.")
    return dict(values)


def _twice(node: Any) -> list[str]:
    """Names that a mapping of YAML, or one in it, has twice: the reader would keep the last."""
    pairs = node.value if node is not None and node.id == "mapping" else []
    names = [str(key.value) for key, _ in pairs]
    deeper = [name for _, value in pairs for name in _twice(value)]
    return sorted({name for name in names if names.count(name) > 1}) + deeper
