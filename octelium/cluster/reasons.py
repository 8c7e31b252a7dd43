"""Tells people why they were refused, as the API would tell their Session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.apiserver.insight.rights import EXPLAIN
from octelium.apiserver.rpc import ApiError, Call, status_of
from octelium.policy.narration import Line, narrate
from octelium.schema.errors import Invalid
from octelium.store.errors import StoreError
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.apiserver.insight.explaining import Explainer
    from octelium.identity.authentication import Authentication
    from octelium.schema.pb import ext_v1_pb2 as ext


_SENTENCES: Final = {
    "NO_POLICY_MATCH": "No rule lets you open {service}.",
    "POLICY_MATCH": "A rule keeps you from opening {service}.",
}
"""By the reason of the decision."""


class Reasons:
    """See `octelium.authserver.denied.Reasons`."""

    def __init__(self, authentication: Authentication, explainer: Explainer) -> None:
        self._authentication = authentication
        self._explainer = explainer

    async def why(self, token: str, entry: str, client_address: str) -> Sequence[Line] | None:
        """See the Protocol."""
        session = self._authentication.holder_of_access_token(token)
        if session is None:
            return None
        call = Call(
            path=EXPLAIN,
            session_uid=session.metadata.uid,
            session_ref=reference(session),
            client_address=client_address,
        )
        try:
            explanation = await self._explainer.own(entry, call)
        except (Invalid, StoreError, ApiError) as error:
            return [Line(0, f"It cannot be explained at present: {status_of(error)[1]}.")]
        if explanation is None:
            return None
        return [Line(0, _sentence(explanation)), *narrate(explanation)]


def _sentence(explanation: ext.Explanation) -> str:
    """What it comes to for the person whose request it was."""
    service = explanation.service.name.removesuffix(".default") or "this"
    said = _SENTENCES.get(explanation.reason)
    if explanation.outcome != "DENIED" or said is None:
        return explanation.summary
    return f"{said.format(service=service)} Ask an administrator, and give the number below."
