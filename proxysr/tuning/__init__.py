"""Sweeps over settings: any number of processes and machines, each trial a run of its own.

In a notebook::

    from proxysr.plots.tuning import tried_settings
    from proxysr.tuning import trials

    table = trials("studies/shop")  # one row a trial, also while the study goes on
    tried_settings(table).show()
"""

from proxysr import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "TuneConfig": "proxysr.tuning.sweep",
        "default_space": "proxysr.tuning.spaces",
        "read_space": "proxysr.tuning.spaces",
        "trials": "proxysr.tuning.study",
        "tune": "proxysr.tuning.sweep",
    },
)
