"""Figures drawn as PNG by one browser for the whole process: starting it takes seconds."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any

import plotly.graph_objects as go

from proxysr.text import all_visible

PATIENCE = 120  # seconds; a browser that starts on a busy machine takes its time


class DrawingError(RuntimeError):
    """There is no browser to draw with, or it failed."""


def draw(fig: go.Figure, scale: float = 2) -> bytes:
    """The figure as PNG, in the width and height of its layout times ``scale``.

    Raises
    ------
    DrawingError
        If no Chrome or Chromium is found, or it does not answer.
    """
    layout = fig.layout
    size = {"width": layout.width or 820, "height": layout.height or 420, "scale": scale}
    return _browser().draw(all_visible(fig.to_dict()), {"format": "png"} | size)


@cache
def _browser() -> _Browser:
    browser = _Browser()
    atexit.register(browser.close)
    return browser


class _Browser:
    """A browser kept by an event loop of its own, since a notebook's loop is busy with cells."""

    def __init__(self) -> None:
        import kaleido

        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

        async def start() -> Any:
            return await kaleido.Kaleido(n=1).__aenter__()

        try:
            self.kaleido = self._wait(start())
        except DrawingError:
            self._stop()
            raise

    def draw(self, figure: dict[str, Any], options: dict[str, Any]) -> bytes:
        image: bytes = self._wait(self.kaleido.calc_fig(figure, opts=options))
        return image

    def close(self) -> None:
        self._wait(self.kaleido.__aexit__(None, None, None))
        self._stop()

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        from choreographer import errors

        broken = (
            errors.ChromeNotFoundError,
            errors.BrowserClosedError,
            errors.BrowserDepsError,
            errors.BrowserFailedError,
            errors.ChannelClosedError,
        )
        try:
            return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)
        except TimeoutError:
            raise DrawingError(f"the browser did not answer in {PATIENCE} seconds") from None
        except broken as error:
            raise DrawingError(str(error).strip().splitlines()[0]) from error

    def _stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
