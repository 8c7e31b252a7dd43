"""A diagnosis of the whole Cluster, for administrators: each part is asked, none is believed."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Final, Protocol

from octelium.cluster import seeding, soundness
from octelium.cluster.heard import GATEWAY
from octelium.cluster.probes import ALL, RESOLVERS, Asking
from octelium.cluster.soundness import part
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from octelium.cluster.layout import Layout
    from octelium.cluster.probes import Answer
    from octelium.schema.pb import ext_v1_pb2 as ext
    from octelium.store.resources import Resources
    from octelium.vigil.upstream_probe import Probed

MOST_SERVICES: Final = 200
"""Services whose upstreams one diagnosis asks."""
_EXTRA: Final = 4.0
"""Seconds for answers on their way, beside those that the probes have."""
_RESTARTS: Final = (
    "read the log of `octelium up`; a process that hangs is replaced once it is killed"
)
_LOG: Final = "read the log of `octelium up`"
_CONTROLLER: Final = "read the log of `octelium controller`; without it no container changes"
_SLOW: Final = 0.5
_DROPS: Final = (
    "dropped",
    "malformed",
    "bad_",
    "overload",
    "replay",
    "no_endpoint",
    "unknown_peer",
)
"""Parts of the names of events in which something was not let through."""


class Feed(Protocol):
    """Who follows the store, as a `FeedServer` knows it."""

    @property
    def followers(self) -> list[tuple[str, int]]:
        """Name of each, and bytes that wait for it."""


class Diagnosis:
    """Looks at everything.

    Args:
        workers: how many there are to be.
        gateway: its trouble; None if there is no gateway.
        logs: the trouble of the log stores.
        controller: that of the process which deploys containers; None if there is none.
        series: what each process last counted.
        layout: where everything is.
    """

    def __init__(
        self,
        resources: Resources,
        feed: Feed,
        asking: Asking,
        *,
        workers: int,
        gateway: Callable[[], str] | None,
        logs: Callable[[], str],
        series: Callable[[], Mapping[str, Mapping[str, float]]],
        layout: Layout,
        controller: Callable[[], str] | None = None,
    ) -> None:
        self._resources = resources
        self._feed = feed
        self._asking = asking
        self._workers = workers
        self._gateway = gateway
        self._logs = logs
        self._series = series
        self._layout = layout
        self._controller = controller

    def gateway_trouble(self) -> str | None:
        """See `Diagnostician`."""
        return None if self._gateway is None else self._gateway()

    async def diagnose(self, services: Sequence[core.Service]) -> list[ext.DiagnosedPart]:
        """See `Diagnostician`."""
        revision = self._resources.revision
        names = sorted({name for name, _ in self._feed.followers} - {GATEWAY, ""})
        answers = dict(zip(names, await asyncio.gather(*map(self._alive, names)), strict=True))
        parts = [part("control", "ok", "it answers this")]
        parts += self._about_workers(answers, revision)
        parts += self._about_tunnel(answers)
        parts += self._about_controller()
        parts += await self._about_upstreams(answers, services)
        now = dt.datetime.now(dt.UTC)
        parts += soundness.certificates(self._resources.peek_all(core.Secret), now)
        parts.append(await asyncio.to_thread(soundness.store, self._layout.store / "store.db"))
        parts += self._about_built_ins()
        trouble = self._logs()
        remedy = "see whether its disk is full or failing"
        parts.append(
            part("logs", "fail", trouble, remedy) if trouble else part("logs", "ok", "are written")
        )
        parts.append(soundness.disk(self._layout.root))
        parts.append(soundness.clock())
        return parts

    def _about_controller(self) -> list[ext.DiagnosedPart]:
        if self._controller is None:
            return []
        if trouble := self._controller():
            return [part("controller", "fail", trouble, _CONTROLLER)]
        return [part("controller", "ok", "keeps the containers of Services as they ask for them")]

    def _about_built_ins(self) -> list[ext.DiagnosedPart]:
        found = seeding.differing(self._resources)
        if not found:
            return [
                part("built-in objects", "ok", "are of this version, or as administrators wish")
            ]
        return [
            part(
                f"built-in {one.kind} {one.name}",
                "warn",
                one.why,
                f"compare it: octops built-in {one.kind} {one.name} | octeliumctl diff -; "
                "any change of it ends this note",
            )
            for one in found
        ]

    async def _alive(self, worker: str) -> tuple[Answer, float] | None:
        try:
            return await self._asking.ask(worker)
        except TimeoutError:
            return None

    def _about_workers(
        self, answers: Mapping[str, tuple[Answer, float] | None], revision: int
    ) -> list[ext.DiagnosedPart]:
        parts = []
        if len(answers) < self._workers:
            told = f"{len(answers)} of {self._workers} follow the store"
            parts.append(part("workers", "fail", told, _RESTARTS))
        for name, found in answers.items():
            if found is None:
                parts.append(part(name, "fail", "it does not answer", _RESTARTS))
                continue
            answer, seconds = found
            told = f"it answers within {seconds * 1000:.0f} ms, at revision {answer.revision}"
            if answer.revision < revision:
                told += f", {revision - answer.revision} behind the store"
                parts.append(part(name, "fail", told, _RESTARTS))
            elif seconds > _SLOW:
                parts.append(part(name, "warn", told, "it is busy: see what loads the machine"))
            else:
                parts.append(part(name, "ok", told))
        return parts

    def _about_tunnel(
        self, answers: Mapping[str, tuple[Answer, float] | None]
    ) -> list[ext.DiagnosedPart]:
        trouble = self.gateway_trouble()
        if trouble is None:
            told = "this Cluster offers no tunnels"
            return [part("gateway", "skipped", told, "octelium up --tunnel on")]
        links = [found[0].link for found in answers.values() if found is not None]
        link = next((each for each in links if each), "")
        asked = [each for each in links if each is not None]
        parts = []
        if link:
            parts.append(part("link", "fail", link, _RESTARTS))
        elif asked:
            parts.append(part("link", "ok", "it opens sockets of the private network"))
        else:
            parts.append(part("link", "skipped", "there is no worker that could ask it", _RESTARTS))
        if trouble:
            return [*parts, part("gateway", "fail", trouble, _RESTARTS)]
        return [*parts, part("gateway", "ok", f"traffic flows; {self._figures()}")]

    def _figures(self) -> str:
        series = self._series().get(GATEWAY, {})
        peers = series.get("octelium_tunnel_peers", 0)
        live = series.get("octelium_tunnel_peers_live", 0)
        events = [
            f"{name.partition(chr(34))[2].rstrip(chr(34) + '}')} {value:g}"
            for name, value in sorted(series.items())
            if name.startswith("octelium_tunnel_events_total") and value and _is_drop(name)
        ]
        handshakes = series.get('octelium_tunnel_events_total{event="handshakes"}')
        told = f"{live:g} of {peers:g} connected Sessions have a session of WireGuard"
        if handshakes is not None:
            told += f"; {handshakes:g} handshakes"
        return f"{told}; dropped: {', '.join(events)}" if events else told

    async def _about_upstreams(
        self,
        answers: Mapping[str, tuple[Answer, float] | None],
        services: Sequence[core.Service],
    ) -> list[ext.DiagnosedPart]:
        worker = next((name for name, found in answers.items() if found is not None), None)
        if worker is None:
            return [part("upstreams", "skipped", "there is no worker that could ask", _RESTARTS)]
        ordered = sorted(services, key=lambda each: each.metadata.name)
        uids = [each.metadata.uid for each in ordered[:MOST_SERVICES]]
        try:
            answer, _ = await self._asking.ask(
                worker, uids, resolvers=self._gateway is not None, seconds=ALL + _EXTRA
            )
        except TimeoutError:
            return [part("upstreams", "fail", f"{worker} does not answer any more", _RESTARTS)]
        parts = [_of(each) for each in answer.probed]
        if len(ordered) > MOST_SERVICES:
            told = f"{len(ordered) - MOST_SERVICES} more Services were not asked"
            parts.append(part("upstreams", "skipped", told, "name one: octeliumctl doctor SERVICE"))
        return parts


def _of(probed: Probed) -> ext.DiagnosedPart:
    if probed.service == RESOLVERS:
        name = f"resolver {probed.upstream}"
    elif probed.upstream:
        name = f"upstream of {probed.service} ({probed.upstream})"
    else:
        name = f"upstream of {probed.service}"
    return part(name, probed.outcome, probed.detail, probed.remedy)


def _is_drop(series: str) -> bool:
    return any(word in series for word in _DROPS)
