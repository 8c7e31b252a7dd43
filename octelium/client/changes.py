"""What applying resources does to a Cluster: planned, decided and done by it, or step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import struct_pb2

from octelium.client.errors import ApiError
from octelium.schema.jsonform import differences, to_json
from octelium.schema.kinds import KINDS, Kind, kind_of
from octelium.schema.names import full_service_name
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octelium.client.api import Authorized
    from octelium.client.resources import Resources

ERRORS_TRAILER = "octelium-apply-errors-bin"
_DEADLINE = 300.0
_FIELDS = {
    field.message_type.full_name: field.name
    for field in ext.Resource.DESCRIPTOR.oneofs_by_name["resource"].fields
    if field.message_type is not None
}


def wrap(message: Any) -> ext.Resource:
    """A resource of any kind as the member of an ApplyRequest."""
    resource = ext.Resource()
    getattr(resource, _FIELDS[message.DESCRIPTOR.full_name]).CopyFrom(message)
    return resource


def apply(
    service: Authorized,
    messages: Sequence[Any],
    *,
    dry_run: bool = False,
    strict: bool = False,
    prune_kinds: Sequence[str] = (),
    prune_builtin: bool = False,
) -> ext.ApplyResponse:
    """Apply all resources in one transaction; what that did to each, and what may be wrong.

    `strict` refuses what would only be warned of; `prune_builtin` prunes also what the Cluster made
    at its first start.

    Raises ApiError; `UNIMPLEMENTED` means that the Cluster can only do single calls. Nothing has
    been changed then. `refusals` says which resources the others are about.
    """
    request = ext.ApplyRequest(
        resources=[wrap(message) for message in messages],
        dry_run=dry_run,
        strict=strict,
        prune=bool(prune_kinds),
        prune_kinds=prune_kinds,
        prune_builtin=prune_builtin,
    )
    response: ext.ApplyResponse = service.call("Apply", request, deadline=_DEADLINE)
    return response


def refusals(error: ApiError) -> list[ext.ApplyError]:
    """The refused resources that an error of `apply` names; empty if it is about the whole."""
    content = error.trailers.get(ERRORS_TRAILER)
    return [] if content is None else list(ext.ApplyErrors.FromString(content).errors)


class Stepwise:
    """Applies by single calls of the official API, for Clusters that have no other.

    Follows `octeliumctl apply`: names identify, user metadata and spec are compared, data cannot
    be and always counts as changed.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def plan(
        self, messages: Sequence[Any], prune_kinds: Sequence[str]
    ) -> list[tuple[ext.AppliedOperation, Any]]:
        """The operations with what each would send (its old form for deletions), in their order.

        Raises ApiError.
        """
        by_kind: dict[str, list[Any]] = {}
        for message in messages:
            by_kind.setdefault(kind_of(message).name, []).append(message)
        kinds = sorted(
            (KINDS[name] for name in {*by_kind, *prune_kinds}), key=lambda kind: kind.apply_order
        )
        writes: list[tuple[ext.AppliedOperation, Any]] = []
        deletions: list[tuple[ext.AppliedOperation, Any]] = []
        for kind in kinds:
            present = {message.metadata.name: message for message in self._resources.list_all(kind)}
            wanted = by_kind.get(kind.name, [])
            writes += [_compare(kind, message, present) for message in wanted]
            if kind.name in prune_kinds:
                deletions += _surplus(kind, wanted, present)
        # Users of a thing are deleted before the thing.
        return writes + deletions[::-1]

    def carry_out(
        self, plan: Sequence[tuple[ext.AppliedOperation, Any]]
    ) -> Iterator[tuple[ext.AppliedOperation, ApiError | None]]:
        """Do what was planned, one call after the other; yields each with why it failed, if so."""
        for operation, message in plan:
            kind = KINDS[operation.kind]
            error: ApiError | None = None
            try:
                if operation.action == ext.Action__.CREATED:
                    self._resources.create(kind, message)
                elif operation.action == ext.Action__.UPDATED:
                    self._resources.update(kind, message)
                elif operation.action == ext.Action__.DELETED:
                    self._resources.delete(kind, message.metadata.uid or message.metadata.name)
            except ApiError as failure:
                error = failure
            yield operation, error


def declared(message: Any) -> Any:
    """The part of a resource that a document declares: user metadata and spec, without data."""
    part = type(message)(api_version=message.api_version, kind=message.kind)
    given = message.metadata
    part.metadata.CopyFrom(
        meta.Metadata(
            name=given.name,
            display_name=given.display_name,
            description=given.description,
            labels=given.labels,
            tags=given.tags,
            annotations=given.annotations,
            pic_url=given.pic_url,
        )
    )
    part.spec.CopyFrom(message.spec)
    return part


def _compare(kind: Kind, message: Any, present: dict[str, Any]) -> tuple[ext.AppliedOperation, Any]:
    name = "default" if kind.singleton else message.metadata.name
    if kind.name == "Service":
        name = full_service_name(name)
    operation = ext.AppliedOperation(kind=kind.name, name=name)
    new = declared(message)
    new.metadata.name = name
    old = present.get(name)
    if old is None:
        operation.action = ext.Action__.CREATED
        operation.after.CopyFrom(_struct(new))
        return operation, message
    before = declared(old)
    new.api_version, new.kind = before.api_version, before.kind
    operation.changed.extend(differences(before, new))
    if kind.has_data:
        operation.changed.append("data")
    operation.action = ext.Action__.UPDATED if operation.changed else ext.Action__.UNCHANGED
    if operation.changed:
        operation.before.CopyFrom(_struct(before))
        operation.after.CopyFrom(_struct(new))
    return operation, message


def _surplus(
    kind: Kind, wanted: Sequence[Any], present: dict[str, Any]
) -> list[tuple[ext.AppliedOperation, Any]]:
    kept = {message.metadata.name for message in wanted}
    if kind.name == "Service":
        kept = {full_service_name(name) for name in kept}
    found = []
    for name, old in present.items():
        if name not in kept and not old.metadata.is_system:
            action = ext.Action__.DELETED
            operation = ext.AppliedOperation(kind=kind.name, name=name, action=action)
            operation.before.CopyFrom(_struct(declared(old)))
            found.append((operation, old))
    return found


def _struct(message: Any) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(to_json(message))
    return struct
