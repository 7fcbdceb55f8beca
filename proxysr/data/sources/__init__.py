"""Where sessions come from: one file per public data set or layout of files.

``SOURCES[name].prepare(path)`` reads the raw files at ``path`` and prepares them
by the source's preset; names are those of ``proxysr prepare --format``.
"""

from proxysr.data.sources.base import Source
from proxysr.data.sources.lastfm1k import LastFM1K
from proxysr.data.sources.proxysr_csv import ProxySRCsv

_ALL: list[Source] = [LastFM1K(), ProxySRCsv()]
SOURCES: dict[str, Source] = {source.name: source for source in _ALL}

__all__ = ["SOURCES", "Source"]
