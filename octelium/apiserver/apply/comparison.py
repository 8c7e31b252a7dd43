"""Whether and where the declared parts of two forms of a resource differ."""

from __future__ import annotations

import hmac
from typing import Any

from octelium.schema.jsonform import differences
from octelium.schema.kinds import kind_of
from octelium.schema.pb import meta_v1_pb2 as meta


def declared(message: Any) -> Any:
    """The part of a resource that its document declares, without its data."""
    part = type(message)(api_version=message.api_version, kind=message.kind, spec=message.spec)
    part.metadata.CopyFrom(_declared_metadata(message))
    return part


def differ(old: Any, new: Any) -> bool:
    """Whether anything that callers can declare differs."""
    return bool(
        data_differs(old, new)
        or old.spec != new.spec
        or _declared_metadata(old) != _declared_metadata(new)
    )


def data_differs(old: Any, new: Any) -> bool:
    """Whether the payloads of Secrets or Configs differ, in a time that does not tell where."""
    if not kind_of(old).has_data:
        return False
    before, after = (part.data.SerializeToString(deterministic=True) for part in (old, new))
    return not hmac.compare_digest(before, after)


def changed_fields(old: Any, new: Any) -> list[str]:
    """The paths of the declared fields that differ; of data only that it does."""
    paths = differences(declared(old), declared(new))
    return [*paths, "data"] if data_differs(old, new) else paths


def _declared_metadata(message: Any) -> meta.Metadata:
    given = message.metadata
    return meta.Metadata(
        name=given.name,
        display_name=given.display_name,
        description=given.description,
        labels=given.labels,
        tags=given.tags,
        annotations=given.annotations,
        pic_url=given.pic_url,
    )
