"""What the emulated and a real API server are asked alike, in this order."""

from __future__ import annotations

from tests.peers.kubernetes.script_access import ACCESS
from tests.peers.kubernetes.script_objects import OBJECTS
from tests.peers.kubernetes.script_ownership import OWNERSHIP
from tests.peers.kubernetes.script_workloads import WORKLOADS

STEPS = [*WORKLOADS, *OBJECTS, *OWNERSHIP, *ACCESS]
