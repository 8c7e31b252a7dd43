"""Decides what the control process itself does for a caller, as its data plane would."""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING

from octelium.policy.request import DictRequest
from octelium.replica.arrival import Tunnel

if TYPE_CHECKING:
    from octelium.apiserver.rpc import Call
    from octelium.policy.decision import Decider
    from octelium.replica.replica import Replica

API_SERVICE = "default.octelium-api"


class OperationAuthorizer:
    """Decides an operation inside a call as if it were a call of its own to the API's Service."""

    def __init__(self, replica: Replica, decider: Decider) -> None:
        self._replica = replica
        self._decider = decider

    async def __call__(self, call: Call, method: str) -> bool:
        """Whether the caller's Session may call `/package.Service/Method`, scopes included."""
        service = self._replica.service_by_name.get(API_SERVICE)
        if service is None or not call.session_uid:
            return False
        full_name, _, name = method.lstrip("/").rpartition("/")
        package, _, short = full_name.rpartition(".")
        http = {
            "method": "POST",
            "path": method,
            "uri": method,
            "host": call.metadata.get(":authority", ""),
        }
        request = DictRequest(
            {
                "grpc": {
                    "http": http,
                    "package": package,
                    "service": short,
                    "serviceFullName": full_name,
                    "method": name,
                },
                **({"ip": call.client_address} if call.client_address else {}),
            },
            client_address=call.client_address,
        )
        # The proxy in front of this process has authenticated the Session already.
        arrival = Tunnel(call.session_uid, call.client_address)
        decision = self._decider.decide(service, request, arrival)
        if isawaitable(decision):
            decision = await decision
        return decision.allowed
