"""A live page as a daemon opens it: what looks on, and what answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from streamrnn.pipelines.applied import drop_rates
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.observers import Observer
from streamrnn.pipelines.serve import Page
from streamrnn.pipelines.settings import PipelineSettings
from streamrnn.pipelines.store import Snapshot, Store
from streamrnn.pipelines.web.access import Access, host_of
from streamrnn.pipelines.web.extra import need_bokeh

__all__ = ["LivePage", "check_page", "open_page"]


class LivePage:
    """The page of a daemon, if it has one.

    Attributes
    ----------
    feed : Observer
        Looks on; does nothing where there is no page.
    """

    def __init__(self, feed: Observer, opens: Callable[[Callable[[], str]], Page | None]) -> None:
        self.feed, self._opens = feed, opens

    def routes(self, wrong: Callable[[], str]) -> Page | None:
        """What answers; ``wrong`` says what is wrong with the daemon."""
        return self._opens(wrong)


def check_page(settings: PipelineSettings) -> Access | None:
    """Who may see the page; None where there is none.

    Raises
    ------
    SettingsError
        Where it may not be served so, or Bokeh is missing.
    """
    serve = settings.serve
    if serve is None or not serve.page:
        return None
    need_bokeh("serve.page")
    token = None if serve.token is None else serve.token.reveal()
    return Access(host_of(serve.listen), token, serve.hosts)


def open_page(
    settings: PipelineSettings,
    file: str,
    store: Store,
    coding: Coding,
    saved: Snapshot | None,
    registry: CollectorRegistry,
) -> LivePage:
    """The live page of a daemon; its feed goes among the observers.

    What was applied on the page of a daemon before and not heard is dropped.

    Raises
    ------
    SettingsError
        As ``check_page``.
    StoreError
        Where the store cannot be read or written.
    """
    drop_rates(store)
    access = check_page(settings)
    if access is None:
        return LivePage(Observer(), lambda _: None)
    # Loaded where there is a page alone: a start without one stays short.
    from streamrnn.pipelines.web.feed import PageFeed
    from streamrnn.pipelines.web.feed_events import said_before
    from streamrnn.pipelines.web.header import Header
    from streamrnn.pipelines.web.live import LiveData
    from streamrnn.pipelines.web.routes import LiveRoutes

    applied = 0 if saved is None else int(saved.extra["journal"])
    feed = PageFeed(coding, said_before(store, coding, applied))

    def opens(wrong: Callable[[], str]) -> Page:
        header = Header(registry, feed, wrong, time.monotonic)
        return LiveRoutes(LiveData(feed, header, settings.checkpoint.path, Path(file).stem), access)

    return LivePage(feed, opens)
