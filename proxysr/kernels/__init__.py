"""Fast forms of what models say in plain tensor algebra.

Each stands beside the plain line that it replaces, in its docstring, and is held to it in
``tests/kernels``. Nobody needs to read them to know what a model is. Which form is taken is decided
in :mod:`proxysr.kernels.sizes`, by size and device.
"""
