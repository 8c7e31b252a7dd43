"""What the access log shows of a decision."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil import references
from octelium.policy.decision import Outcome
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.visibility.record import AuditSubject

if TYPE_CHECKING:
    from octelium.policy.decision import Decision
    from octelium.replica.replica import Entry

_MODES = core.ServiceSpecMode__.DESCRIPTOR.enum_types[0].values_by_number


_KEPT: Final = 1024
"""References that are kept: most decisions are on the same few Services, Namespaces and Users.
Those to Sessions are not: each would keep a Session as it was long ago.
"""


def audit_subject(decision: Decision) -> AuditSubject:
    """The shared part of the entries of all requests with this decision."""
    service = decision.service
    status = service.message.status
    mode = _MODES.get(service.mode)
    return AuditSubject(
        mode="" if mode is None else mode.name,
        allowed=decision.outcome is Outcome.ALLOWED,
        authenticated=decision.session is not None,
        reason=decision.reason.json(),
        service=_kept(service),
        namespace=_optional(decision.namespace),
        region=to_json(status.region_ref) if status.HasField("region_ref") else None,
        session=None if decision.session is None else references.reference(decision.session),
        user=_optional(decision.user),
        device=_optional(decision.device),
        is_public=service.is_public,
        is_anonymous=service.is_anonymous,
    )


def _optional(entry: Entry[Any] | None) -> dict[str, object] | None:
    return None if entry is None else _kept(entry)


@lru_cache(maxsize=_KEPT)
def _kept(entry: Entry[Any]) -> dict[str, Any]:
    """The reference to an entry; shared, not to be changed."""
    return references.reference(entry)
