"""Writes the README's table of settings: `python -m tests.readme`."""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from shared.settings import Settings

README = Path(__file__).parents[1] / "README.md"
TYPE_NAMES = {
    SecretStr: "secret",
    str: "text",
    int: "whole number",
    bool: "true or false",
    float: "number",
    Path: "folder",
    tuple: "list",
    dict: "JSON",
}
TABLE = re.compile(r"(?<=<!-- settings -->\n).*(?=<!-- /settings -->)", re.DOTALL)


def settings_table() -> str:
    """Give the table of every setting, as Markdown."""
    rows = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for field in Settings.model_fields.values():
        default = field.default if field.default is not PydanticUndefined else field.default_factory()
        shown = "" if default in (None, (), {}) else f"`{shown_default(default)}`"
        rows.append(f"| `{field.alias}` | {type_name(field.annotation)} | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


def shown_default(default):
    """Give a setting's default as somebody would write it."""
    return default.model_dump_json(exclude_none=True) if isinstance(default, BaseModel) else default


def type_name(annotation) -> str:
    """Give the type of a setting in a word."""
    if get_origin(annotation) in {Union, types.UnionType}:
        [annotation] = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return TYPE_NAMES[dict]
    return TYPE_NAMES[get_origin(annotation) or annotation]


if __name__ == "__main__":
    README.write_text(TABLE.sub(settings_table().replace("\\", r"\\"), README.read_text()))
