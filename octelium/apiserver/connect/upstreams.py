"""Services that connected Users serve: which ports their clients listen on for them.

A Service whose upstream names a User is served by the Sessions of that User that offer to. Each
such Session has an entry for each upstream: the port where its client listens, and where the
client forwards to in its own network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from octelium.schema.names import HOST_LABEL
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.references import reference_to
from octelium.schema.url_ports import url_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from octelium.store.reading import Reader
    from octelium.store.resources import Committed

_PORTS: Final = 10_000
"""How many ports, from the first one on, entries may have."""
_L4 = core.SessionStatusConnectionUpstreamL4Type__
_MODES = core.ServiceSpecMode__
_DATAGRAMS = frozenset({_MODES.UDP, _MODES.DNS})

Backend = tuple[str, int]


def allocate(reader: Reader, session: core.Session) -> bool:
    """Bring `session.status.connection.upstreams` up to date; whether anything changed.

    An entry keeps its port as long as its Service has an upstream at this Session.
    """
    connection = session.status.connection
    options = connection.service_options
    before = [*connection.upstreams]
    entries: list[core.SessionStatusConnectionUpstream] = []
    if options.serve_all or options.requested_services:
        user = reader.peek(core.User, uid=session.status.user_ref.uid)
        if user is not None:
            entries = _entries(reader, user, options, before)
    if [_essence(entry) for entry in entries] == [_essence(entry) for entry in before]:
        return False
    del connection.upstreams[:]
    connection.upstreams.extend(entries)
    return True


def _entries(
    reader: Reader,
    user: core.User,
    options: core.SessionStatusConnectionServiceOptions,
    before: list[core.SessionStatusConnectionUpstream],
) -> list[core.SessionStatusConnectionUpstream]:
    kept = {(entry.service_ref.uid, _backend(entry)): entry.port for entry in before}
    spare: dict[str, list[int]] = {}
    wanted: list[tuple[core.Service, Backend]] = []
    for service in _served(reader, user, options):
        wanted.extend((service, backend) for backend in backends(service, user.metadata.name))
    still = {(service.metadata.uid, backend) for service, backend in wanted}
    for entry in before:
        if (entry.service_ref.uid, _backend(entry)) not in still:
            spare.setdefault(entry.service_ref.uid, []).append(entry.port)
    taken = {port for key, port in kept.items() if key in still}
    free = _free_ports(options.port_start, taken)
    entries = []
    for service, backend in wanted:
        uid = service.metadata.uid
        port = kept.get((uid, backend))
        if port is None:
            mine = spare.get(uid)
            port = mine.pop(0) if mine else next(free, None)
            while port in taken:
                port = next(free, None)
        if port is None:
            break
        taken.add(port)
        entries.append(
            core.SessionStatusConnectionUpstream(
                port=port,
                l4_type=_L4.UDP if service.spec.mode in _DATAGRAMS else _L4.TCP,
                service_ref=reference_to(service),
                namespace_ref=service.status.namespace_ref,
                backend=core.SessionStatusConnectionUpstreamBackend(
                    host=backend[0], port=backend[1]
                ),
                mode=core.SessionStatusConnectionUpstreamMode__.DEFAULT,
            )
        )
    return entries


def _served(
    reader: Reader, user: core.User, options: core.SessionStatusConnectionServiceOptions
) -> Iterator[core.Service]:
    # By name, so that a Service that is deleted and made again is served again.
    asked = {item.service_ref.name for item in options.requested_services}
    by = {f"specLabels.{HOST_LABEL}{user.metadata.name}": user.metadata.uid}
    for service in reader.peek_all(core.Service, by=by):
        if service.spec.is_disabled or service.metadata.is_system_hidden:
            continue
        if options.serve_all or service.metadata.name in asked:
            yield service


def backends(service: core.Service, user_name: str) -> list[Backend]:
    """Host and port of each upstream that a User's clients serve, each once."""
    found: dict[Backend, None] = {}
    for config in (service.spec.config, *service.spec.dynamic_config.configs):
        upstream = config.upstream
        pairs: list[tuple[str, str]] = [(upstream.user, upstream.url)]
        pairs += [(endpoint.user, endpoint.url) for endpoint in upstream.loadbalance.endpoints]
        for user, url in pairs:
            if user == user_name and url:
                parts = urlsplit(url)
                port = url_port(parts)
                if parts.hostname and port:
                    found[parts.hostname, port] = None
    return [*found]


def hosts_touched(committed: Committed) -> set[str]:
    """The uids of the Users who serve what a commit changed, or did before."""
    touched: set[str] = set()
    for change in committed.changes:
        if change.kind != "Service":
            continue
        for item in (change.before, change.after):
            if item is not None:
                touched.update(_hosts(item.message))
    return touched


def _hosts(service: core.Service) -> Iterable[str]:
    return (
        uid for label, uid in service.metadata.spec_labels.items() if label.startswith(HOST_LABEL)
    )


def _backend(entry: core.SessionStatusConnectionUpstream) -> Backend:
    return entry.backend.host, entry.backend.port


def _essence(entry: core.SessionStatusConnectionUpstream) -> tuple[object, ...]:
    """What of an entry matters to clients and to the data plane."""
    return entry.service_ref.uid, entry.port, entry.l4_type, _backend(entry)


def _free_ports(start: int, taken: set[int]) -> Iterator[int]:
    return (port for port in range(start, min(start + _PORTS, 65536)) if port not in taken)
