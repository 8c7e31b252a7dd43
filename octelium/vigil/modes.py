"""Service modes that are served over HTTP: one row each.

A mode says how a request looks to policies, how a refusal looks to clients, and which requests
are none of its kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.context import GrpcRequest, HttpRequest
from octelium.vigil.refusals import Answer, explained, grpc_refusal, grpc_status, plain, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.http.message import Field, RequestHead
    from octelium.http.target import Target
    from octelium.policy.decision import Decision
    from octelium.vigil.refusals import Site

MakeRequest = "Callable[[RequestHead, Target, bytes | None, str, str], HttpRequest | None]"
Refuse = "Callable[[Decision, RequestHead, Target, Site, Sequence[Field], bytes], Answer]"


@dataclass(frozen=True, slots=True)
class Mode:
    """How requests of one mode are read and refused.

    `request(head, target, token, client_address, host)` gives None for what is not of this kind;
    `unknown(front)` is the answer to that. `refuse` gets, last, the id of the log entry. `explain`
    makes a refusal of a status, 401 or 403, and a text.
    """

    name: str
    request: Callable[[RequestHead, Target, bytes | None, str, str], HttpRequest | None]
    refuse: Callable[[Decision, RequestHead, Target, Site, Sequence[Field], bytes], Answer]
    unknown: Callable[[bool], Answer]
    explain: Callable[[int, bytes, bool, Sequence[Field]], Answer]
    cors: bool = True


_call = re.compile(rb"/((?:[A-Za-z0-9_-]+\.)+[A-Za-z0-9_-]+)/([A-Za-z0-9_-]+)").fullmatch


def _grpc_request(
    head: RequestHead, target: Target, token: bytes | None, client_address: str, host: str
) -> GrpcRequest | None:
    """The path is `/<package>.<Service>/<Method>`, without a query."""
    match = _call(target.wire)
    if match is None:
        return None
    call = (match[1].decode(), match[2].decode())
    return GrpcRequest(head, target, token, client_address, host, call)


def _refuse_grpc(
    decision: Decision,
    head: RequestHead,  # noqa: ARG001 - the same face for all modes
    target: Target,  # noqa: ARG001
    site: Site,
    extra: Sequence[Field],
    entry: bytes,
) -> Answer:
    return grpc_refusal(decision, front=site.front, entry=entry, extra=extra)


def _unimplemented(front: bool) -> Answer:
    return grpc_status(b"12", b"Octelium: unimplemented", front=front)


def _not_found(front: bool) -> Answer:
    return plain(404, front=front)


def _explain(status: int, text: bytes, front: bool, extra: Sequence[Field]) -> Answer:
    return explained(status, text, front=front, extra=extra)


def _explain_grpc(status: int, text: bytes, front: bool, extra: Sequence[Field]) -> Answer:
    return grpc_status(_GRPC_STATUS[status], text, front=front, extra=extra)


_GRPC_STATUS: Final = {401: b"16", 403: b"7"}
_ENUM = core.ServiceSpecMode__

MODES: dict[int, Mode] = {
    _ENUM.HTTP: Mode("HTTP", HttpRequest, refusal, _not_found, _explain),
    _ENUM.WEB: Mode("WEB", HttpRequest, refusal, _not_found, _explain),
    _ENUM.GRPC: Mode(
        "GRPC", _grpc_request, _refuse_grpc, _unimplemented, _explain_grpc, cors=False
    ),
}
