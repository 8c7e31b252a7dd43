"""Names, labels and what else every resource carries."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from octelium.schema import names
from octelium.schema.errors import Invalid, under

if TYPE_CHECKING:
    from octelium.schema.kinds import Kind
    from octelium.schema.pb import meta_v1_pb2 as meta

_MAX_ENTRIES = 64
_MAX_DISPLAY_NAME = 100
_MAX_DESCRIPTION = 1024
_MAX_ANNOTATION = 63
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check_metadata(kind: Kind, metadata: meta.Metadata, path: str = "metadata") -> None:
    """Refuse metadata that the API does not accept. Raises Invalid.

    The name of a singleton is ignored. Names of kinds that the Cluster creates are its own.
    """
    if kind.creatable:
        names.check_name(kind, metadata.name, path=f"{path}.name")
    if metadata.uid and not is_uuid4(metadata.uid):
        raise Invalid(f"{path}.uid", f"{metadata.uid[:40]!r} is not a version 4 UUID")
    _check_text(metadata.display_name, f"{path}.displayName", _MAX_DISPLAY_NAME, _CONTROL)
    _check_text(metadata.description, f"{path}.description", _MAX_DESCRIPTION, _CONTROL_IN_TEXT)
    _check_count(metadata.labels, f"{path}.labels")
    for key, value in metadata.labels.items():
        place = under(f"{path}.labels", key)
        _check_key(key, place)
        if names.LABEL_VALUE.fullmatch(value) is None:
            remedy = "1 to 32 lower-case letters, digits and hyphens, no hyphen first"
            raise Invalid(place, f"{value[:60]!r} is not the value of a label", remedy)
    _check_count(metadata.annotations, f"{path}.annotations")
    for key, value in metadata.annotations.items():
        place = under(f"{path}.annotations", key)
        _check_key(key, place)
        _check_text(value, place, _MAX_ANNOTATION, _CONTROL)
    _check_count(metadata.tags, f"{path}.tags")
    for index, tag in enumerate(metadata.tags):
        _check_key(tag, f"{path}.tags[{index}]")
        if tag in metadata.tags[:index]:
            raise Invalid(f"{path}.tags[{index}]", f"{tag!r} is given twice")


def is_uuid4(text: str) -> bool:
    """Whether a text is a version 4 UUID in its usual form."""
    try:
        value = uuid.UUID(text)
    except ValueError:
        return False
    return value.version == 4 and str(value) == text.lower()


def _check_key(key: str, path: str) -> None:
    if not names.is_label(key):
        raise Invalid(path, f"{key[:60]!r} is not a valid name", names.LABEL_RULE)


def _check_count(entries: Any, path: str) -> None:
    if len(entries) > _MAX_ENTRIES:
        raise Invalid(path, f"has {len(entries)} entries", f"at most {_MAX_ENTRIES} are allowed")


def _check_text(text: str, path: str, most: int, forbidden: re.Pattern[str]) -> None:
    size = len(text.encode())
    if size > most:
        raise Invalid(path, f"is {size} bytes long", f"at most {most} are allowed")
    if forbidden.search(text):
        raise Invalid(path, "holds a control character")
