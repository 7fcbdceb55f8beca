"""A widget for JupyterLab and Voila that shows which sessions choose which proxies, and why."""

from proxysr.lazy import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "ProxyExplorer": "proxysr.explorer.app",
        "Selection": "proxysr.explorer.selection",
    },
)
