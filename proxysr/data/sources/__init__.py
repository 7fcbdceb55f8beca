"""Where sessions come from: one file per public data set or layout of files.

``SOURCES[name].prepare(path)`` reads the raw files at ``path`` and prepares them
by the source's preset; names are those of ``proxysr prepare --format``.
"""

from proxysr.data.sources.base import Source
from proxysr.data.sources.diginetica import Diginetica
from proxysr.data.sources.events_file import EventsFile
from proxysr.data.sources.lastfm1k import LastFM1K
from proxysr.data.sources.online_retail import OnlineRetail
from proxysr.data.sources.proxysr_csv import ProxySRCsv
from proxysr.data.sources.retailrocket import RetailRocket
from proxysr.data.sources.spark_log import SparkLog
from proxysr.data.sources.synthetic import Synthetic

_ALL: list[Source] = [
    EventsFile(),
    SparkLog(),
    Synthetic(),
    RetailRocket(),
    Diginetica(),
    LastFM1K(),
    OnlineRetail(),
    ProxySRCsv(),
]
SOURCES: dict[str, Source] = {source.name: source for source in _ALL}

__all__ = ["SOURCES", "Source"]
