"""What is trained to be compared: specs of runs, searches over settings, and settings by name.

A :class:`~proxysr.experiments.spec.Spec` is data × models × settings × seeds;
:func:`~proxysr.experiments.running.run_spec` makes its runs, one frame of them, and names what
failed. :func:`~proxysr.experiments.tuning.tune` searches settings; each trial is a run, too.
"""

from proxysr import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "Spec": "proxysr.experiments.spec",
        "TuneConfig": "proxysr.experiments.tuning",
        "Variant": "proxysr.experiments.spec",
        "default_space": "proxysr.experiments.spaces",
        "model_variants": "proxysr.experiments.spec",
        "read_space": "proxysr.experiments.spaces",
        "read_spec": "proxysr.experiments.spec",
        "run_spec": "proxysr.experiments.running",
        "trials": "proxysr.experiments.study",
        "tune": "proxysr.experiments.tuning",
    },
)
