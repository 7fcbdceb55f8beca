"""The ``proxysr`` command: one module a subcommand, each thin over a function of the library.

A subcommand module has ``EXAMPLES`` (shown by ``--help``), ``add_arguments(parser)`` and
``run(args) -> Answer``.
"""
