"""The files under templates/, rendered. A value that a template names and nobody gives is an error."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

__all__ = ["render"]

_ROOT = Path(__file__).resolve().parent.parent / "templates"


def render(template: str, **values: object) -> str:
    """The text of `templates/TEMPLATE` with `values` filled in, ending with a newline."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ROOT),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # configuration files, not HTML
    )
