from __future__ import annotations

import pytest
from browser import running_browser

from streamrnn.pipelines.cli import main


@pytest.fixture(scope="session")
def session_browser():
    with running_browser() as browser:
        yield browser


class Tab:
    """A page in a real browser that reaches what it may alone; fails where its console holds a complaint."""

    def __init__(self, context, *allowed):
        self.context, self.complaints, self.allowed = context, [], ("data:", *allowed)
        self.forgiven = ()  # parts of what may be complained of

    def open(self, path, fragment=""):
        return self.visit(f"{path.as_uri()}{fragment}")

    def visit(self, url, ready="html[data-ready=yes]"):
        page = self.context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)
        page.on("dialog", self._dialog)
        page.on("request", self._requested)
        page.goto(url)
        page.wait_for_selector(ready)
        return page

    def _heard(self, message):
        if message.type in ("error", "warning") and not any(part in message.text for part in self.forgiven):
            self.complaints.append(message.text)

    def _dialog(self, dialog):
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request):
        if not request.url.startswith(self.allowed):
            self.complaints.append(f"asked for {request.url}")


@pytest.fixture
def tab(session_browser):
    """Opens pages; every complaint of the browser fails the test."""
    context = session_browser.new_context(viewport={"width": 1300, "height": 900}, offline=True)
    tab = Tab(context, "file:")
    yield tab
    context.close()
    assert tab.complaints == []


@pytest.fixture
def live_tab(session_browser):
    """The same for pages that this machine serves."""
    context = session_browser.new_context(viewport={"width": 1300, "height": 900})
    tab = Tab(context, "http://127.0.0.1:")
    yield tab
    context.close()
    assert tab.complaints == []


@pytest.fixture
def report(tmp_path):
    """Replays what the arguments say, with a report; its path."""

    def make(*arguments, name="report.html"):
        path = tmp_path / name
        assert main(["replay", *map(str, arguments), "--report", str(path)]) == 0
        return path

    return make


@pytest.fixture(scope="session")
def demo_report(tmp_path_factory):
    """The report of the demonstration."""
    path = tmp_path_factory.mktemp("report") / "demo.html"
    assert main(["replay", "--demo", "--report", str(path)]) == 0
    return path
