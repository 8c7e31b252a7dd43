"""The link process of a Cluster: opens sockets of the private network for gateway and workers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from octelium.cluster.child import EXIT_UNUSABLE
from octelium.tunnel.link import helper
from octelium.tunnel.link.doors import ROLES
from octelium.tunnel.link.namespace import NamespaceError, PrivateNamespace
from octelium.tunnel.link.plan import LinkPlan
from octelium.tunnel.link.sysctls import SysctlError

if TYPE_CHECKING:
    from octelium.cluster.child import Assignment

FIRST_PLAN = LinkPlan(mtu=1280)
"""A device and nothing else: shows whether this machine can have one."""


def run(assignment: Assignment) -> int:
    """Run the link process; its exit status.

    The first one makes the device. Later ones leave everything as it is until control says what
    it shall be.
    """
    doors = {role: socket.socket(fileno=assignment.descriptors[role][0]) for role in ROLES}
    try:
        helper.run(
            None,
            PrivateNamespace.of(assignment.descriptors["namespace"]),
            parent=assignment.parent,
            plan=FIRST_PLAN if assignment.first else None,
            doors=doors,
            ready=lambda: assignment.tell({"ready": True}),
        )
    except (NamespaceError, SysctlError, OSError) as error:
        assignment.tell({"error": str(error)})
    return EXIT_UNUSABLE
