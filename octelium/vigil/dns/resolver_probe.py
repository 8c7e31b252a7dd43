"""Whether the resolvers that the Cluster's DNS passes questions on to answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from octelium.vigil.dns.answers import Question
from octelium.vigil.dns.links import LinkError, Links
from octelium.vigil.dns.resolver import Zones
from octelium.vigil.upstream_probe import Probed

if TYPE_CHECKING:
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.vigil.dns.links import Peer

_NS: Final = 2
_ROOT: Final = b"\0"
_PATIENCE: Final = 3.0
_REMEDY: Final = (
    "let the Cluster's machine reach it, or name other resolvers: spec.dns.fallbackZone of the "
    "ClusterConfig"
)


async def ask_resolvers(
    dns: core.ClusterConfigSpecDns, service: str, *, patience: float = _PATIENCE
) -> list[Probed]:
    """Ask each resolver of the fallback zone for the name servers of the root (RFC 8109).

    Any response is an answer. `service` is the name to report them under. That one of several is
    silent, or those are that nobody has chosen, is no more than a warning.
    """
    links = Links()
    try:
        peers = Zones(dns).of(()).peers
        found = await asyncio.gather(*(_ask(links, each, service, patience) for each in peers))
    finally:
        links.close()
    if any(each.outcome == "ok" for each in found) or not dns.fallback_zone.servers:
        return [replace(each, outcome="warn") if each.remedy else each for each in found]
    return list(found)


async def _ask(links: Links, peer: Peer, service: str, patience: float) -> Probed:
    server = peer.server
    shown = f"{server.transport}://{server.host}:{server.port}"
    question = Question(_ROOT, _NS)
    began = time.monotonic()
    try:
        async with asyncio.timeout(patience):
            if server.transport == "udp":
                await links.datagram(peer, question)
            else:
                await links.stream(peer, question)
    except TimeoutError:
        return Probed(service, shown, "fail", f"no answer within {patience:g} s", _REMEDY)
    except LinkError as error:
        return Probed(service, shown, "fail", str(error) or "no answer", _REMEDY)
    taken = (time.monotonic() - began) * 1000
    return Probed(service, shown, "ok", f"it answers within {taken:.0f} ms")
