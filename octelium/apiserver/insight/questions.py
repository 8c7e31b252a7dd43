"""What ext.v1 `Explain` is asked, checked before anything is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.apiserver.insight.engine import Question
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import to_json
from octelium.schema.names import full_service_name

if TYPE_CHECKING:
    from octelium.schema.pb import ext_v1_pb2 as ext

MAX_BYTES: Final = 256 << 10
"""Of a question; a request's head is smaller than that."""


@dataclass(frozen=True, slots=True)
class LoggedQuestion:
    """A question about an entry of the access log."""

    id: str
    at: float | None


def read_question(request: ext.ExplainRequest) -> Question | LoggedQuestion:
    """What is asked.

    Raises:
        Invalid: The request contradicts itself, or is too large.
    """
    if request.ByteSize() > MAX_BYTES:
        raise Invalid("", f"the question has more than {MAX_BYTES} bytes")
    at = request.at.ToNanoseconds() / 1e9 if request.HasField("at") else None
    whose = [name for name in ("log_id", "session", "user") if getattr(request, name)]
    if len(whose) > 1:
        raise Invalid(_json_name(whose[1]), "the request is somebody else's already", "give one")
    supposed = [
        name for name in ("request", "session_fields", "device_fields") if request.HasField(name)
    ]
    if request.log_id:
        if request.service or supposed:
            name = "service" if request.service else supposed[0]
            raise Invalid(_json_name(name), "the log entry says what was requested", "leave it out")
        return LoggedQuestion(request.log_id, at)
    if not request.service:
        raise Invalid("service", "which Service is asked?", "give its name, or logId")
    if not whose and supposed[-1:] not in ([], ["request"]):
        raise Invalid(_json_name(supposed[-1]), "nobody sends the request", "give session or user")
    fields = {name: to_json(getattr(request, name)) for name in supposed}
    asked = fields.get("request")
    return Question(
        service=full_service_name(request.service),
        session=request.session,
        user=request.user,
        session_fields=fields.get("session_fields", {}),
        device_fields=fields.get("device_fields", {}),
        request=asked,
        at=at,
        address=str(asked["ip"]) if asked and isinstance(asked.get("ip"), str) else "",
    )


def carries_policies(fields: Any) -> bool:
    """Whether fields of a resource attach Policies to it, or bring some along."""
    spec = fields.get("spec")
    return isinstance(spec, dict) and "authorization" in spec


def _json_name(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
