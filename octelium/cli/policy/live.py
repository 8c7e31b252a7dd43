"""Decisions of a running Cluster."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from octelium.cli.policy.requests import fitting_request
from octelium.cli.policy.subjects import subject
from octelium.client.errors import ApiError
from octelium.client.insight import explain
from octelium.schema.errors import Invalid
from octelium.schema.kinds import KINDS
from octelium.schema.names import full_service_name
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from octelium.cli.policy.suite import PolicyCase
    from octelium.client.client import Client

_IMPOSSIBLE = frozenset({"INVALID_ARGUMENT", "NOT_FOUND"})


class Live:
    """Asks a Cluster. Nothing is done there: the requests are only thought of."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._found: dict[tuple[str, str], Any | None] = {}

    def explain(self, case: PolicyCase) -> ext.Explanation:
        """The decision of a case. Raises Invalid for one that cannot be asked for, ApiError."""
        user, session = subject(case.who, self._find)
        request = self.fitting(case.service, case.request)
        question = ext.ExplainRequest(user=user, service=full_service_name(case.service))
        if request is not None:
            question.request.update(request)
        if session:
            question.session_fields.update(session)
        if case.who.device:
            question.device_fields.update(case.who.device)
        if case.at is not None:
            question.at.FromMicroseconds(round(case.at * 1e6))
        try:
            return explain(self._ext, question)
        except ApiError as error:
            if error.code not in _IMPOSSIBLE:
                raise
            raise Invalid("", error.message) from error

    def fitting(self, service: str, request: dict[str, Any] | None) -> dict[str, Any] | None:
        """A request as the Service gets it, as far as one may know its mode.

        Raises Invalid for one that it would not get, ApiError.
        """
        found = self._find("Service", full_service_name(service))
        if found is None:
            return request
        try:
            return fitting_request(request, found.spec.mode)
        except ValueError as error:
            raise Invalid("request", str(error)) from None

    @cached_property
    def _ext(self) -> Any:
        return self._client.api.ext

    def _find(self, kind: str, name: str) -> Any | None:
        """A resource; None if there is none, or if one may not read it."""
        if (kind, name) not in self._found:
            try:
                found = self._client.resources.get(KINDS[kind], name)
            except ApiError as error:
                if error.code not in ("NOT_FOUND", "PERMISSION_DENIED"):
                    raise
                found = None
            self._found[kind, name] = found
        return self._found[kind, name]
