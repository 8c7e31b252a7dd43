"""Whether a text is a JSON Schema: its keywords have values of the types that they must have.

Covers the keywords of the validation and applicator vocabularies of JSON Schema 2020-12
(https://json-schema.org/draft/2020-12). References must stay within the document.
"""

from __future__ import annotations

import json
import re
from typing import Any

from octelium.schema.errors import Invalid

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_SCHEMA = frozenset(
    {
        "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if",
        "items", "not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_SCHEMA_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMA_MAPS = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)
_COUNTS = frozenset(
    {
        "maxContains", "maxItems", "maxLength", "maxProperties",
        "minContains", "minItems", "minLength", "minProperties",
    }
)  # fmt: skip
_NUMBERS = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"})
_MAX_DEPTH = 64


def check_schema(text: str, path: str) -> None:
    """Refuse a text that is no JSON Schema. Raises Invalid at `path`."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(path, f"is not JSON: {error}") from None
    _check(schema, path, "#", 0)


def _check(schema: Any, path: str, place: str, depth: int) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise Invalid(path, f"{place} is not a schema", "a schema is an object, true or false")
    if depth > _MAX_DEPTH:
        raise Invalid(path, f"the schema is nested more than {_MAX_DEPTH} levels deep")
    for keyword, value in schema.items():
        below = f"{place}/{keyword}"
        if keyword == "items" and isinstance(value, list):
            for index, item in enumerate(value):
                _check(item, path, f"{below}/{index}", depth + 1)
        elif keyword in _SCHEMA:
            _check(value, path, below, depth + 1)
        elif keyword in _SCHEMA_LISTS:
            if not isinstance(value, list) or not value:
                raise Invalid(path, f"{below} is not a list of schemas")
            for index, item in enumerate(value):
                _check(item, path, f"{below}/{index}", depth + 1)
        elif keyword in _SCHEMA_MAPS:
            if not isinstance(value, dict):
                raise Invalid(path, f"{below} is not an object of schemas")
            for name, item in value.items():
                if keyword == "patternProperties":
                    _pattern(name, path, below)
                _check(item, path, f"{below}/{name}", depth + 1)
        else:
            _check_plain(keyword, value, path, below)


def _check_plain(keyword: str, value: Any, path: str, place: str) -> None:
    if keyword == "type":
        named = value if isinstance(value, list) else [value]
        if not named or not all(isinstance(name, str) and name in _TYPES for name in named):
            known = ", ".join(sorted(_TYPES))
            raise Invalid(path, f"{place} is not a type", f"types: {known}")
    elif keyword == "enum":
        if not isinstance(value, list):
            raise Invalid(path, f"{place} is not a list")
    elif keyword == "required":
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise Invalid(path, f"{place} is not a list of names")
    elif keyword == "pattern":
        _pattern(value, path, place)
    elif keyword in _COUNTS:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise Invalid(path, f"{place} is not a count")
    elif keyword in _NUMBERS or keyword == "multipleOf":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or (keyword == "multipleOf" and value <= 0):
            raise Invalid(path, f"{place} is not a number that fits")
    elif keyword in {"$ref", "$dynamicRef"} and not str(value).startswith("#"):
        raise Invalid(path, f"{place} refers to another document", "use a reference to #/$defs")


def _pattern(value: Any, path: str, place: str) -> None:
    try:
        re.compile(value)
    except (re.error, TypeError, RecursionError, OverflowError):
        raise Invalid(path, f"{place} is not a regular expression") from None
