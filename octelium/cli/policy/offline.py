"""Decisions on files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli.policy.requests import fitting_request
from octelium.cli.policy.subjects import subject
from octelium.octovigil.explain.explanation import explain
from octelium.octovigil.inquiry import Inquiry, InquiryError
from octelium.octovigil.received import as_received
from octelium.schema.errors import Invalid
from octelium.schema.names import full_service_name

if TYPE_CHECKING:
    from octelium.cli.policy.suite import PolicyCase
    from octelium.cli.policy.world import World
    from octelium.schema.pb import ext_v1_pb2 as ext


class Offline:
    """Decides as a Cluster would that has just what a World has. `at` is now, in Unix seconds."""

    def __init__(self, world: World, at: float) -> None:
        self._world = world
        self._replica = world.replica()
        self._at = at

    def explain(self, case: PolicyCase) -> ext.Explanation:
        """The decision of a case. Raises Invalid for one that cannot be asked for."""
        name = full_service_name(case.service)
        service = self._replica.service_by_name.get(name)
        if service is None:
            raise Invalid("service", f"there is no Service {case.service} in the files")
        try:
            request = fitting_request(case.request, service.mode)
        except ValueError as error:
            raise Invalid("request", str(error)) from None
        user, session = subject(case.who, self._world.get)
        if user and user not in self._replica.users_by_name:
            raise Invalid("who", f"there is no User {user} in the files")
        inquiry = Inquiry(
            service=name,
            user=user,
            session_fields=session,
            device_fields=case.who.device,
            request=request,
            at=self._at if case.at is None else case.at,
        )
        try:
            inquiry = as_received(self._replica, inquiry)
            return explain(self._replica, inquiry, clock=lambda: self._at)
        except InquiryError as error:
            raise Invalid("", str(error)) from None
