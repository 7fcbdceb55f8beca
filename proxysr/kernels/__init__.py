"""Fast forms of plain tensor expressions in models.

The docstring of each shows the plain line that it replaces; ``tests/kernels`` compares the two.
One need not read them to understand a model. :mod:`proxysr.kernels.sizes` chooses among forms by
size and device.
"""
