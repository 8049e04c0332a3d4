"""HTML pages that stand for themselves, in one style: no script, nothing that is loaded, all values escaped."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


def render(room: str, name: str, **values: object) -> str:
    """The page that a template of ours makes of values.

    Args:
        room: such as ``inspect``; the template is ``data/NAME`` there. It has to put ``style`` into its one style
            element, and to allow it by ``style_hash``.
    """
    from markupsafe import Markup

    style = _data("util", "page.css")
    return _template(_data(room, name)).render(
        **values,
        style=Markup(style),  # noqa: S704 - our own file
        style_hash=_hash(style),
    )


@cache
def _template(text: str) -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text)


def _data(room: str, name: str) -> str:
    return files(f"coralforge.{room}").joinpath(f"data/{name}").read_text(encoding="utf-8")


def _hash(style: str) -> str:
    """How the page's own policy allows its one style sheet, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
