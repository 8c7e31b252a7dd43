"""What a change does to who may do what."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from octelium.octovigil.access.listing import NOTES
from octelium.octovigil.access.pairs import Pairs
from octelium.octovigil.access.replay import Replay
from octelium.octovigil.access.world import Workshop, World
from octelium.schema.modes import SERVED_MODES
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from octelium.octovigil.access.logged import LoggedRequest
    from octelium.replica.replica import Replica


def preview(
    before: Replica,
    after: Replica,
    logged: Iterable[LoggedRequest] = (),
    *,
    clock: Callable[[], float] = time.time,
    served: Container[int] = SERVED_MODES,
) -> ext.PreviewAccessResponse:
    """What differs between two states of a Cluster, one of which is best a fork of the other.

    The changes are by User, then by Service; a User or a Service that does not exist is refused.
    An existing Session whose own policies make a difference is compared too. Logged requests are
    given newest first. Neither replica may change meanwhile. Services of other modes than `served`
    refuse everybody.
    """
    workshop = Workshop(clock(), served)
    worlds = World(before, workshop), World(after, workshop)
    pairs = Pairs(*worlds)
    response = ext.PreviewAccessResponse(pairs=pairs.count, changes=pairs.changes(), notes=NOTES)
    replay = Replay(*worlds, alike=pairs.alike)
    replay.run(logged)
    response.logged.extend(replay.changes())
    response.logged_requests = replay.count
    response.undecided = replay.undecided
    return response
