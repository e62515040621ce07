"""The live page and its login as HTML; their data come later, when their scripts ask."""

from __future__ import annotations

from streamrnn import __version__
from streamrnn.pipelines.web import pages
from streamrnn.pipelines.web.figures import COLDEST, HOTTEST
from streamrnn.pipelines.web.kinds import slug
from streamrnn.records import KINDS, STATUSES

__all__ = ["page_of"]

_SCRIPTS = {"live.html": ("drawing.js", "feed.js", "live.js", "page.js"), "login.html": ("login.js",)}
_DRAWN = STATUSES[:4]


def page_of(name: str) -> tuple[bytes, str]:
    """``live.html`` or ``login.html``, and the policy that it is to be sent with."""
    scripts = pages.inline_scripts(*_SCRIPTS[name], bokeh=name == "live.html")
    policy = pages.policy(scripts, connect="'self'")
    text = (
        pages.environment()
        .get_template(name)
        .render(
            version=__version__,
            policy=policy,
            style=pages.style(),
            scripts=scripts,
            live=True,
            heat_ends=[f"{end:g}" for end in (COLDEST, HOTTEST)],
            series=[],
            channels=[],
            coverage="forecast",
            kinds=[{"name": kind or "other event", "slug": slug(kind)} for kind in KINDS],
            gaps_drawn=True,
            marks=[],
            statuses=_DRAWN,
            some_unlearned=True,
        )
    )
    return text.encode(), f"{policy}; frame-ancestors 'none'"
