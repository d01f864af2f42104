"""The templates of the report and what they have in common."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["render_template"]


def render_template(name: str, **variables: Any) -> Markup:
    """Fill a template of `report/templates`; every text among the variables is escaped."""
    return Markup(_environment().get_template(name).render(**variables))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("headway.evaluation.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    environment.filters["thousands"] = lambda count: f"{count:,}"
    environment.filters["decimals"] = lambda value: f"{value:.3f}"
    return environment
