"""ext.v1 `ListContainers`: how the containers are that the Cluster deploys for its Services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.apiserver.core.kinds.service import RULES
from octelium.apiserver.core.verbs import get
from octelium.apiserver.insight.rights import Rights, core_method
from octelium.schema.containers import containers_of
from octelium.schema.pb import container_v1_pb2 as container
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.references import reference_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.apiserver.core.deployment import AskController
    from octelium.apiserver.rpc import Authorize, Call
    from octelium.store.resources import Resources


class ContainerService:
    """Answers the method. `controller` tells what deploys containers here."""

    def __init__(
        self, resources: Resources, authorize: Authorize, controller: AskController
    ) -> None:
        self._resources = resources
        self._authorize = authorize
        self._controller = controller

    async def list_containers(
        self, request: ext.ListContainersRequest, call: Call
    ) -> ext.ListContainersResponse:
        """Those of one Service, or of all.

        Raises:
            ApiError: The caller may not get the Service, or list all.
            Invalid: What is given is no name.
            NotFound: There is no such Service.
        """
        call.require_session()
        verb = "Get" if request.service else "List"
        await Rights(self._authorize, call).require([core_method(verb, "Service")])
        if request.service:
            services = [get(self._resources, RULES, meta.GetOptions(name=request.service))]
        else:
            services = [
                one
                for one in self._resources.peek_all(core.Service)
                if not one.metadata.is_system_hidden
            ]
        controller = self._controller()
        reply = ext.ListContainersResponse(has_controller=controller.is_configured)
        if controller.silent_since:
            reply.silent_since.FromSeconds(int(controller.silent_since))
        for service in sorted(services, key=lambda one: one.metadata.name):
            found = list(self._of(service))
            if found:
                reply.items.add(service=reference_to(service), containers=found)
        return reply

    def _of(self, service: core.Service) -> Iterator[container.Container]:
        """Each that the Service asks for, as it was told of last."""
        state = self._resources.peek(container.ContainerState, name=service.metadata.uid)
        told = {} if state is None else {one.config: one for one in state.status.containers}
        for name, wanted in containers_of(service.spec):
            yield told.get(name) or container.Container(
                config=name, desired=wanted.replicas or 1, image=wanted.image
            )
