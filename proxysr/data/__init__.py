"""Data: events become sessions, sessions a split, a split batches.

``read_events`` → ``prepare`` → :class:`SessionSplit` → batches on a device.
"""

from proxysr.lazy import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "PAD": "proxysr.data.sessions",
        "Prefixes": "proxysr.data.sessions",
        "SessionSplit": "proxysr.data.sessions",
        "Sessions": "proxysr.data.sessions",
        "SessionBatch": "proxysr.data.batches",
        "batch_of": "proxysr.data.batches",
        "read_events": "proxysr.data.events",
        "BadRows": "proxysr.data.events",
        "PrepareConfig": "proxysr.data.preparation",
        "prepare": "proxysr.data.preparation",
        "SOURCES": "proxysr.data.sources",
        "SyntheticConfig": "proxysr.data.synthetic",
        "synthetic_events": "proxysr.data.synthetic",
    },
)
