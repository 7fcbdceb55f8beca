"""Data: events become sessions, sessions a split, a split batches.

``read_events`` → ``prepare`` → :class:`SessionSplit` → batches on a device.
"""

from proxysr import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "PAD": "proxysr.data.sessions",
        "Prefixes": "proxysr.data.sessions",
        "SessionSplit": "proxysr.data.sessions",
        "Sessions": "proxysr.data.sessions",
        "SessionBatch": "proxysr.data.batches",
        "batch_of": "proxysr.data.batches",
        "BadRows": "proxysr.data.bad_rows",
        "BadRowsError": "proxysr.data.bad_rows",
        "EventTable": "proxysr.data.events",
        "open_events": "proxysr.data.events",
        "read_events": "proxysr.data.events",
        "PrepareConfig": "proxysr.data.preparation",
        "prepare": "proxysr.data.preparation",
        "prepare_parts": "proxysr.data.preparation",
        "provenance_table": "proxysr.data.preparation",
        "SOURCES": "proxysr.data.sources",
        "SyntheticConfig": "proxysr.data.synthetic",
        "synthetic_events": "proxysr.data.synthetic",
    },
)
