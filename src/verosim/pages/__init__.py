"""Pages that stand alone: one look, one skeleton, and charts as SVG that a screen reader can tell.

    html = render("report.html", "verosim.evaluation.page", title="adult", data=report)

Nothing here knows what is shown. Templates are package files and escape all that they are given; a page loads nothing
from anywhere, and its policy forbids every script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["embedded", "plain", "render"]

_HOME: Final = "verosim.pages"
_NO_TEXT: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff￾￿]")  # what HTML forbids


def render(template: str, package: str, **values: Any) -> str:
    """The page of a template that lies in the folder `templates` of a package; it extends `skeleton.html`."""
    return plain(_environment(package).get_template(template).render(values))


def embedded(data: Mapping[str, Any]) -> Markup:
    """JSON that can stand inside a script element: no text in it can end the element.

    >>> print(embedded({"a": "</script>"}))
    {"a":"\\u003c/script\\u003e"}
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704  (every sign that could end it is written as a number)


def plain(text: str) -> str:
    """The text with a mark in place of what no page may hold: control characters and halves of characters."""
    return _NO_TEXT.sub("\ufffd", text)


@cache
def _environment(package: str) -> Environment:
    homes: list[BaseLoader] = [PackageLoader(name) for name in dict.fromkeys((package, _HOME))]
    made = Environment(
        loader=ChoiceLoader(homes), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, script = (files(_HOME).joinpath(name).read_text(encoding="utf-8") for name in ("look.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    made.globals.update(style=Markup(style), script=Markup(script), script_hash=f"sha256-{digest}")  # noqa: S704
    made.globals["embedded"] = embedded
    return made
