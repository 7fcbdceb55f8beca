"""Made-up sessions with planted interests, to see whether a model finds what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxysr.config import ConfigError
from proxysr.data.bad_rows import OnBadRows
from proxysr.data.preparation import PrepareConfig
from proxysr.data.sources.base import Log, Source
from proxysr.data.synthetic import SyntheticConfig, synthetic_events
from proxysr.files import read_json


class Synthetic(Source):
    """Sessions made by :func:`proxysr.data.synthetic_events`."""

    name = "synthetic"
    description = (
        "Made-up sessions of users with planted general interests and short-term drift; the "
        "planted interest and user of every session is saved with the split. The path is "
        "'synthetic' or '-', or a JSON file of settings."
    )
    licence = "that of this program (MIT)"
    download_help = "Nothing to download: name 'synthetic', or a JSON file of settings."
    options = tuple(SyntheticConfig.model_fields)
    config = PrepareConfig(sessions="given", min_item_count=5, min_session_length=2)

    def read(self, path: str | Path, on_bad_rows: OnBadRows, **options: Any) -> Log:
        """Make sessions by the settings of ``path``."""
        values: dict[str, Any] = {}
        if str(path) not in ("-", self.name):
            file = Path(path)
            if not file.is_file():
                raise self.lacking(file, "is not a file.")
            values = read_json(file)
            if not isinstance(values, dict):
                raise ConfigError(f"{file} holds no settings: a JSON object of names and values.")
        settings = SyntheticConfig.from_dict(values | options)
        events, items, session_info = synthetic_events(settings)
        return Log(events, items, session_info, {"settings": settings.to_dict()})
