"""One examination: every link in its order, each by traffic of its own."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from octelium.client.doctor import front_door, service, tunnel
from octelium.client.doctor.checks import Broken, Examination
from octelium.client.doctor.tunnel import Told
from octelium.client.errors import ApiError, ClientError, NotLoggedIn
from octelium.schema.names import full_service_name, private_fqdn, public_fqdn
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.client.client import Client
    from octelium.client.settings import Target

NAMES: Final = (
    "login", "dns", "front door", "clock", "certificate", "session", "gateway", "connection",
    "routes", "udp", "packet size", "private dns", "resolver", "service",
)  # fmt: skip
"""All checks, in their order."""
_TUNNEL: Final = NAMES[8:]
_OFF: Final = 60.0
"""Seconds that clocks may differ without harm."""
_WRONG: Final = 300.0
_DEADLINE: Final = 10.0
_SOON: Final = dt.timedelta(hours=1)
_LOGIN: Final = "octelium login --domain {}"
_JOIN: Final = "octelium connect"
_OTHER_MODE: Final = (
    "nothing is wrong with this host or the tunnel; ask who administers the Cluster for a Service "
    "of a served mode: TCP carries most protocols"
)


class Doctor:
    """Examines the way from this host to a Cluster, and to one of its Services.

    Args:
        ask: what `octelium connect` on this host tells; None if it does not run.
        name: of the Service; empty for none.
    """

    def __init__(
        self,
        client: Client,
        ask: Callable[[], dict[str, Any] | None],
        name: str = "",
        *,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._client = client
        self._ask = ask
        self._name = full_service_name(name) if name else ""
        self._clock = clock
        self._found = Examination(wanted=self._name)
        self._wanted: user.Service | None = None

    def examine(self) -> Examination:
        """Look at everything that can be looked at.

        Raises:
            ClientError: the command line or what is kept on disk makes no sense.
        """
        target = self._client.target
        self._login()
        if target.socket is not None:
            self._found.skip_all(NAMES[1:5], f"the API is reached by {target.socket}")
        else:
            self._front_door(target)
        self._session()
        self._tunnel(target)
        self._found.checks.sort(key=lambda check: NAMES.index(check.name))
        return self._found

    # The way to the API

    def _login(self) -> None:
        client, found = self._client, self._found
        if client.target.socket is not None:
            found.ok("login", "the owner of the socket logs in")
            return
        keeper = client.keeper()
        if keeper.remembered() is not None:
            found.ok("login", f"a Session of {client.domain} is kept here")
        elif keeper.can_prove:
            found.ok("login", "no Session is kept here; the environment has what makes one")
        else:
            told = f"this host is not logged in to {client.domain}"
            found.fail("login", told, _LOGIN.format(client.domain))

    def _front_door(self, target: Target) -> None:
        found = self._found
        rest = NAMES[1:5]
        try:
            if front_door.is_address(target.host):
                found.skip("dns", f"the endpoint {target.endpoint} is an address")
                places = [target.host]
            else:
                places = front_door.addresses(target.host, target.port)
                found.ok("dns", f"{target.host} is {', '.join(places[:4])}")
        except Broken as broken:
            found.fail("dns", broken.detail, broken.remedy)
            found.skip_all(rest, "the front door's address is not known")
            return
        try:
            place = front_door.reach(places, target.port)
            found.ok("front door", f"{place} port {target.port} takes connections")
        except Broken as broken:
            found.fail("front door", broken.detail, broken.remedy)
            found.skip_all(rest, "the front door is not reached")
            return
        self._time(target, place)
        try:
            if target.insecure:
                found.warn(
                    "certificate", "it is not verified (OCTELIUM_INSECURE_TLS)", "give --ca-file"
                )
            else:
                until = front_door.certificate(target, place)
                found.ok("certificate", f"it is trusted, and valid until {until}")
        except Broken as broken:
            found.fail("certificate", broken.detail, broken.remedy)

    def _time(self, target: Target, place: str) -> None:
        found = self._found
        try:
            there, here = front_door.cluster_time(target, place, self._clock)
        except (OSError, ValueError) as error:
            found.skip("clock", f"the front door does not tell the time: {error}")
            return
        off = (here - there).total_seconds()
        told = f"this host's clock is {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}"
        remedy = "set it right, here or on the Cluster's machine: run a time service"
        if abs(off) > _WRONG:
            found.fail("clock", f"{told} of the Cluster's", remedy)
        elif abs(off) > _OFF:
            found.warn("clock", f"{told} of the Cluster's", remedy)
        else:
            found.ok("clock", "it agrees with the Cluster's")

    # The Session, and what the Cluster says of itself

    def _session(self) -> None:
        found, client = self._found, self._client
        if found.broken is not None:
            found.skip_all(("session", "gateway"), f"there is no way to ask: {found.broken.name}")
            return
        try:
            status = client.api.user.call("GetStatus", user.GetStatusRequest(), deadline=_DEADLINE)
        except NotLoggedIn as error:
            told = f"the Session has ended, or was ended: {error}"
            found.fail("session", told, _LOGIN.format(client.domain))
        except ClientError as error:
            self._refused(error)
        else:
            self._alive(status)
            return
        found.skip_all(("gateway",), "the Cluster is not asked without a Session")

    def _refused(self, error: ClientError) -> None:
        login = _LOGIN.format(self._client.domain)
        if isinstance(error, ApiError) and error.code == "UNAUTHENTICATED":
            self._found.fail("session", f"the Session is not taken any more ({error})", login)
        elif isinstance(error, ApiError) and error.code == "PERMISSION_DENIED":
            told = "the Policies do not let this Session call the API"
            self._found.fail("session", told, "ask who administers the Cluster")
        else:
            remedy = error.remedy or "see whether the Cluster runs; its log tells more"
            self._found.fail("session", f"the API does not answer: {error}", remedy)

    def _alive(self, status: Any) -> None:
        found = self._found
        who = f"{status.user.metadata.name}, Session {status.session.metadata.name}"
        try:
            reply = self._client.api.ext.call(
                "CheckConnection", ext.CheckConnectionRequest(), deadline=_DEADLINE
            )
        except ApiError as error:
            found.ok("session", who)
            found.skip("gateway", f"this Cluster does not tell this Session of it ({error})")
            return
        ends = reply.session_ends_at.ToDatetime(dt.UTC)
        left = ends - self._clock()
        told = f"{who}, until {ends:%Y-%m-%d %H:%M} UTC"
        if reply.HasField("session_ends_at") and left < _SOON:
            found.warn("session", told, _LOGIN.format(self._client.domain))
        else:
            found.ok("session", told if reply.HasField("session_ends_at") else who)
        self._gateway(reply)

    def _gateway(self, reply: ext.CheckConnectionResponse) -> None:
        if not reply.has_gateway:
            told = "this Cluster offers no tunnels"
            remedy = "ask who administers it: octelium up --tunnel on"
            self._found.skip("gateway", told, remedy)
        elif reply.trouble:
            remedy = (
                "ask who administers the Cluster: UDP must come in to the gateway's port (53820 if "
                "nothing else is set); octeliumctl doctor and the log of `octelium up` tell more"
            )
            self._found.fail("gateway", f"the Cluster says: {reply.trouble}", remedy)
        else:
            self._found.ok("gateway", "the Cluster says that traffic flows through it")

    # The tunnel

    def _tunnel(self, target: Target) -> None:
        found = self._found
        raw = self._ask()
        if raw is None:
            found.skip("connection", "this host is not connected", _JOIN)
            self._leftover()
            self._public(target)
            found.skip_all(_TUNNEL, "this host is not connected", _JOIN)
            return
        told = Told(raw)
        self._connection(told)
        if not told.addresses:
            found.skip_all(_TUNNEL, "there is no tunnel yet")
            return
        self._find_service()
        if not self._packets(told):
            found.skip_all(_TUNNEL, f"nothing comes through the tunnel: {self._first()}")
            return
        if told.is_of_host:
            self._names(told, target)
        else:
            why = "the tunnel is `octelium connect`'s own; no other program may ask through it"
            found.skip_all(("packet size", "private dns", "resolver"), why)
        self._service(told, target)

    def _first(self) -> str:
        broken = self._found.broken
        return "udp" if broken is None else broken.name

    def _connection(self, told: Told) -> None:
        state = told.raw.get("state")
        if state == "connected":
            self._found.ok("connection", f"as {', '.join(told.addresses)}")
        elif state == "away":
            remedy = (
                "it comes back by itself; if it does not: octelium disconnect, octelium connect"
            )
            self._found.warn("connection", "the Cluster is not heard; packets still flow", remedy)
        else:
            trouble = told.raw.get("trouble") or "it is joining"
            self._found.warn("connection", f"not yet: {trouble}", "wait, and look at what it says")

    def _leftover(self) -> None:
        try:
            left = tunnel.leftover()
        except OSError as error:
            self._found.skip("resolver", f"/etc/resolv.conf cannot be read: {error.strerror}")
            return
        if left:
            remedy = "the next `octelium connect` of root repairs it, or restore it by hand"
            self._found.fail("resolver", left, remedy)

    def _packets(self, told: Told) -> bool:
        """Whether packets come back; routes come first, as without them none leave."""
        found = self._found
        if told.is_of_host and (addresses := [*told.servers, *self._addresses(told)]):
            try:
                device = tunnel.own_way(told, addresses[0])
                for each in addresses[1:]:
                    tunnel.own_way(told, each)
                found.ok("routes", f"the private network is reached by {device}")
            except Broken as broken:
                found.fail("routes", broken.detail, broken.remedy)
                return False
        else:
            found.skip("routes", "no other program of this host may use the tunnel")
        try:
            found.ok("udp", tunnel.carries(told, self._again, self._client.domain))
        except Broken as broken:
            self._silent(broken)
            return False
        return True

    def _silent(self, broken: Broken) -> None:
        """Nothing comes back: by UDP that is lost, or by a gateway that is."""
        found = self._found
        known = next((each for each in found.checks if each.name == "gateway"), None)
        if known is not None and known.outcome == "ok":
            # It may have fallen silent just before we asked, and is missed only after a while.
            found.checks.remove(known)
            try:
                reply = self._client.api.ext.call(
                    "CheckConnection", ext.CheckConnectionRequest(), deadline=_DEADLINE
                )
                self._gateway(reply)
            except ClientError as error:
                found.skip("gateway", f"the Cluster does not tell of it any more: {error}")
        found.fail("udp", broken.detail, broken.remedy)

    def _again(self) -> Told | None:
        raw = self._ask()
        return None if raw is None else Told(raw)

    def _names(self, told: Told, target: Target) -> None:
        found = self._found
        if not told.servers:
            found.skip_all(("packet size", "private dns", "resolver"), "the Cluster has no DNS")
            return
        server = told.servers[0]
        try:
            found.ok("packet size", tunnel.large_packets(server, target.domain))
        except OSError as error:
            found.skip("packet size", f"none can be sent: {error.strerror}")
        except Broken as broken:
            found.fail("packet size", broken.detail, broken.remedy)
        name = private_fqdn(self._name or "dns.octelium", target.domain)
        if self._name and self._wanted is None:
            found.skip_all(("private dns", "resolver"), "there is no such Service to look up")
            return
        addresses = self._addresses(told)
        try:
            known = tunnel.cluster_name(server, name, addresses)
            found.ok("private dns", f"the Cluster has {known[0]} for {name}")
        except Broken as broken:
            found.fail("private dns", broken.detail, broken.remedy)
            found.skip("resolver", "the Cluster itself does not say where it is")
            return
        if not told.names_are_looked_up:
            why = (told.raw.get("dns") or {}).get("names") or "this host's resolver is not set up"
            found.skip("resolver", str(why))
            return
        try:
            found.ok("resolver", tunnel.host_name(name, [*known, *addresses]))
        except Broken as broken:
            found.fail("resolver", broken.detail, broken.remedy)

    # The Service

    def _find_service(self) -> None:
        found = self._found
        if not self._name:
            found.skip("service", "none was named", "octelium doctor SERVICE")
            return
        if found.broken is not None:
            return
        options = meta.GetOptions(name=self._name)
        try:
            self._wanted = self._client.api.user.call("GetService", options, deadline=_DEADLINE)
        except ApiError as error:
            if error.code == "NOT_FOUND":
                remedy = "octelium get services lists them"
                found.fail("service", f"there is no Service {self._name}", remedy)
                return
            found.fail("service", f"{self._name} cannot be looked up: {error}", error.remedy)
        except ClientError as error:
            found.fail("service", f"{self._name} cannot be looked up: {error}", error.remedy)

    def _public(self, target: Target) -> None:
        """Ask a public Service by its URL, which needs no tunnel."""
        found = self._found
        if not self._name:
            return
        self._find_service()
        wanted = self._wanted
        is_page = wanted is not None and wanted.spec.is_public and wanted.spec.type in service.HTTP
        if not is_page or target.socket is not None or target.insecure:
            return
        host, port = public_fqdn(self._name, target.domain), target.port
        try:
            place = front_door.reach(front_door.addresses(host, port), port), port
            told = service.request(self._name, host, place, target, is_public=True)
            found.ok("service", told)
        except Broken as broken:
            found.fail("service", broken.detail, broken.remedy)

    def _addresses(self, told: Told) -> list[str]:
        """Of the Service, in the families that the connection has."""
        if self._wanted is None:
            return []
        families = {":" in each for each in told.addresses}
        return [each for each in self._wanted.status.addresses if (":" in each) in families]

    def _service(self, told: Told, target: Target) -> None:
        found, wanted = self._found, self._wanted
        if wanted is None:
            found.skip_all(("service",), "there is no way to ask for it")
            return
        if wanted.spec.type in service.DATAGRAMS:
            found.skip("service", f"{self._name} is asked by datagrams of its own protocol")
            return
        host = private_fqdn(self._name, target.domain)
        told_of_mode = service.unserved(wanted.spec.type)
        try:
            if told.is_of_host:
                address = service.connect(self._name, self._addresses(told), wanted.spec.port)
                place = address, wanted.spec.port
            elif (published := told.published(self._name)) is not None:
                place, host = published, "localhost"
            else:
                why = (
                    f"no port of this host leads to {self._name}, and no program may use the tunnel"
                )
                remedy = f"octelium connect -p {self._name}:PORT"
                if told_of_mode:
                    why, remedy = f"{self._name} is {told_of_mode}", _OTHER_MODE
                found.skip("service", why, remedy)
                return
            if wanted.spec.type not in service.HTTP:
                found.ok("service", service.talk(self._name, place))
                return
            trusted = target if wanted.spec.is_tls else None
            found.ok("service", service.request(self._name, host, place, trusted))
        except Broken as broken:
            if told_of_mode:  # tried all the same: another Cluster may serve it
                text = f"{self._name} is {told_of_mode}: {broken.detail}"
                found.fail("service", text, _OTHER_MODE)
            else:
                found.fail("service", broken.detail, broken.remedy)
