"""What every page is made of: its template, its scripts, and the policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from bokeh.resources import Resources
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from streamrnn.pipelines.web.kinds import slug

__all__ = ["environment", "inline_scripts", "policy", "style"]

_FOLDER = Path(__file__).parent


def environment() -> Environment:
    """Templates, all of whose values are escaped."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    made.filters["slug"] = slug
    return made


def style() -> Markup:
    """The style sheet."""
    return Markup(_text("page.css"))


def inline_scripts(*names: str, bokeh: bool = True) -> list[Markup]:
    """Bokeh's own script, then ours by their names, to the byte as they stand in a page."""
    own = Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw if bokeh else []
    return [_inline(text) for text in (*own, *map(_text, names))]


def policy(scripts: Sequence[str], connect: str = "'none'") -> str:
    """Only these scripts run, whatever a name in the data may hold, and nothing is loaded.

    Parameters
    ----------
    scripts : sequence of str
    connect : str
        What scripts may ask for data.
    """
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _inline(script: str) -> Markup:
    """A script as it may stand in a page: its hash allows it to run."""
    return Markup(script.replace("\r\n", "\n").replace("</script", "<\\/script").replace("<!--", "<\\!--"))
