"""Run the numbered notebooks, each in a process of its own, and write them as pages."""

from proxysr import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "NotebookError": "proxysr.notebooks.running",
        "command_of": "proxysr.notebooks.inputs",
        "log_file": "proxysr.notebooks.inputs",
        "prepared_data": "proxysr.notebooks.inputs",
        "run_folder": "proxysr.notebooks.inputs",
        "run_notebooks": "proxysr.notebooks.running",
    },
)
