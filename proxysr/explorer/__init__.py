"""What analysts explore a run with: one page, in a notebook, on a local server, or as a file."""

from proxysr import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "ProxyExplorer": "proxysr.explorer.widget",
        "Selection": "proxysr.explorer.selection",
        "serve": "proxysr.explorer.server",
        "write_report": "proxysr.explorer.report",
    },
)
