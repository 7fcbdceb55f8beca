"""What analysts explore a run with: the explorer, in a notebook or served, and an offline page."""

from proxysr.lazy import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "ProxyExplorer": "proxysr.explorer.app",
        "Selection": "proxysr.explorer.selection",
    },
)
