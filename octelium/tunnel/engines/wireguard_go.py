"""wireguard-go as an engine: a process that is told what to do, and started again if it dies."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from octelium.tunnel.engines import uapi
from octelium.tunnel.engines.handover import Handovers
from octelium.tunnel.engines.interface import ConfigurationError, EngineError, PeerConfig, PeerStats
from octelium.tunnel.engines.places import check_place
from octelium.tunnel.engines.program import Program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LOG = logging.getLogger(__name__)
_LOOK: Final = 10.0
"""Seconds between looks at where peers are, to be told again to a new process."""
_TRIES: Final = 5
_PAUSE: Final = 0.2
_MOST_DEATHS: Final = 5
_DEATHS_WITHIN: Final = 60.0
_KEY: Final = 32
_REMIND: Final = 0.1
"""Seconds after a new private key."""
_CALLS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds after which peers that do not answer a new process are called again."""
_LIVE: Final = 180.0
"""Seconds for which a session lasts (REJECT_AFTER_TIME of the WireGuard paper, section 6.1)."""


class WireGuardGo:
    """An `Engine`; see there. The program makes the UDP sockets, with `port` of every address.

    `namespace` are the descriptors of the private network that has the TUN device, if it is not
    in our own: network, and its user namespace if there is one.
    """

    name = "wireguard-go"
    wants_sockets = False

    def __init__(
        self,
        program: Path,
        tun: int,
        *,
        device: str,
        folder: Path,
        port: int,
        private_key: bytes,
        previous: Sequence[bytes] = (),
        namespace: Sequence[int] = (),
        offload: bool = False,
    ) -> None:
        self.wants_offload = offload
        self._program = Program(
            program,
            tun=tun,
            device=device,
            folder=folder,
            port=port,
            namespace=namespace,
            offload=offload,
        )
        self._port = port
        self._peers: dict[bytes, PeerConfig] = {}
        self._stats: dict[bytes, PeerStats] = {}
        self._counters: Counter[str] = Counter(restarts=0)
        self._handovers = Handovers(self._looked, self.poke, self._hand_over)
        self._deaths: deque[float] = deque(maxlen=_MOST_DEATHS)
        self._up = False
        self._reminder: asyncio.TimerHandle | None = None
        self._caller: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self._failure: asyncio.Future[str] | None = None
        self._private_key = b""
        self.set_private_key(private_key, previous)

    # Life

    async def start(self) -> None:
        """Start the program and tell it everything."""
        if self._watch is not None:
            raise EngineError("the engine runs already")
        loop = asyncio.get_running_loop()
        self._failure = loop.create_future()
        for left in reversed(range(_TRIES)):
            try:
                await self._begin()
                break
            except EngineError:
                await self._program.stop()
                if not left:
                    raise
            except BaseException:
                await self._program.stop()
                raise
            await asyncio.sleep(_PAUSE)  # one before it may still have the port
        self._watch = loop.create_task(self._keep(), name="wireguard-go is watched")

    async def failed(self) -> str:
        """Wait until the program cannot be kept alive."""
        if self._failure is None:
            raise EngineError("the engine does not run")
        return await asyncio.shield(self._failure)

    async def close(self) -> None:
        """End the program."""
        self._up = False
        self._handovers.close()
        for timer in (self._reminder, self._caller):
            if timer is not None:
                timer.cancel()
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
        await self._program.stop()
        if self._failure is not None and not self._failure.done():
            self._failure.cancel()

    async def _begin(self) -> None:
        await self._program.start()
        lines = [f"private_key={self._private_key.hex()}", f"listen_port={self._port}"]
        lines.append("replace_peers=true")
        for peer in self._peers.values():
            known = self._stats.get(peer.public_key)
            endpoint = known.endpoint if known and known.endpoint else peer.endpoint
            lines += uapi.peer_lines(replace(peer, endpoint=endpoint))
        uapi.ask(self._program.uapi, _set(lines))
        self._up = True

    async def _keep(self) -> None:
        """Look after the program until it ends, and start another one."""
        loop = asyncio.get_running_loop()
        while True:
            ending = loop.create_task(self._program.ended(), name="the end of wireguard-go")
            try:
                while True:
                    done, _ = await asyncio.wait([ending], timeout=_LOOK)
                    if done:
                        break
                    self._look()
            finally:
                ending.cancel()
            self._up = False
            self._handovers.close()  # the next program is told of the new keys alone
            try:
                await self._again()
            except EngineError as error:
                assert self._failure is not None
                self._failure.set_result(str(error))
                return

    async def _again(self) -> None:
        """Start the program again, and let peers hear of it."""
        loop = asyncio.get_running_loop()
        if self._caller is not None:
            self._caller.cancel()
        while True:
            await self._program.stop()
            if len(self._deaths) == _MOST_DEATHS and loop.time() - self._deaths[0] < _DEATHS_WITHIN:
                raise EngineError(f"wireguard-go ended {_MOST_DEATHS} times within a minute")
            self._deaths.append(loop.time())
            self._counters["restarts"] += 1
            try:
                await self._begin()
                placed = [key for key, known in self._stats.items() if known.endpoint is not None]
                self._call(placed)
            except EngineError as error:
                _LOG.error("wireguard-go: %s", error)
            else:
                _LOG.warning("wireguard-go ended and was started again")
                return

    def _call(self, public_keys: Sequence[bytes], times: int = 0) -> None:
        """Let peers hear of a new process, which itself has no session, until each has one.

        It sends nothing before it has seen that its device is up, and tells nobody of that.
        """
        self._caller = None
        known = self.stats() if times else {}
        silent = [
            key
            for key in public_keys
            if key in self._peers and not (key in known and known[key].last_handshake)
        ]
        for key in silent:
            self.poke(key)
        if silent and self._up and times < len(_CALLS):
            loop = asyncio.get_running_loop()
            self._caller = loop.call_later(_CALLS[times], self._call, silent, times + 1)

    def _look(self) -> None:
        try:
            self._stats = uapi.peer_stats(uapi.ask(self._program.uapi, "get=1\n"))
        except EngineError as error:
            self._counters["unanswered"] += 1
            _LOG.warning("%s", error)

    def _tell(self, lines: Sequence[str]) -> None:
        """Say something now; who does not answer is started again, and told everything."""
        if not self._up or not lines:
            return
        try:
            uapi.ask(self._program.uapi, _set(lines))
        except EngineError as error:
            self._counters["unanswered"] += 1
            _LOG.warning("%s", error)
            self._up = False
            self._program.kill()

    # Settings

    def set_private_key(
        self,
        private_key: bytes,
        previous: Sequence[bytes] = (),  # noqa: ARG002  (the interface's)
    ) -> None:
        """Have another key. The program has one key at a time: `previous` counts for nothing."""
        if len(private_key) != _KEY:
            raise ConfigurationError(f"private key: {len(private_key)} bytes are not {_KEY}")
        if _public(private_key) in self._peers:
            raise ConfigurationError("private key: its public key is a peer's")
        if private_key != self._private_key:
            self._private_key = private_key
            self._tell([f"private_key={private_key.hex()}"])
            if self._up:
                loop = asyncio.get_running_loop()
                self._reminder = loop.call_later(_REMIND, self._remind, time.time())

    def _remind(self, changed_at: float) -> None:
        """Begin handshakes with those who had a session when our key changed, and have none since.

        A peer that heard of the key before the program had it met the wrong one, and would ask
        again only after REKEY_TIMEOUT (the WireGuard paper, section 6.1).
        """
        self._reminder = None
        for public_key, each in self.stats().items():
            if changed_at - _LIVE < each.last_handshake < changed_at:
                self.poke(public_key)

    def put_peer(self, peer: PeerConfig) -> None:
        """Have a peer."""
        self._check(peer)
        self._take(peer)
        self._tell(self._lines(peer))

    def change_peer_key(self, public_key: bytes, new: bytes) -> None:
        """Go on with a peer's present session until there is one with the new key."""
        before = self._peer(public_key)
        if new == public_key:
            return
        if new in self._peers:
            raise ConfigurationError(f"peer {new.hex()}: is there already")
        self._look_if_up()
        known = self._stats.get(public_key)
        endpoint = known.endpoint if known and known.endpoint else before.endpoint
        after = replace(before, public_key=new, endpoint=endpoint, timestamp=b"")
        self._check(after)
        del self._peers[public_key]
        self._take(after)
        old = self._handovers.drop(public_key)
        if old is not None:  # the session that goes on is of the key before
            self._tell(uapi.removal_lines([public_key]))
        if self._up:
            self._handovers.begin(old or public_key, new)
        self._tell(self._lines(after))

    def _hand_over(self, old: bytes, new: bytes) -> None:
        self._tell([*uapi.peer_lines(self._peers[new]), *uapi.removal_lines([old])])

    def _lines(self, peer: PeerConfig) -> list[str]:
        """All settings of a peer; a silent one without addresses, while they are its old key's."""
        held = peer.public_key in self._handovers
        return uapi.peer_lines(replace(peer, allowed_ips=(), keepalive=0) if held else peer)

    def remove_peer(self, public_key: bytes) -> None:
        """Have a peer no more."""
        if self._peers.pop(public_key, None) is not None:
            self._tell(self._removal([public_key]))

    def _removal(self, public_keys: Sequence[bytes]) -> list[str]:
        """Lines that remove peers, with the old keys of theirs; what is known of them goes too."""
        gone = [*public_keys]
        for key in public_keys:
            self._stats.pop(key, None)
            if (old := self._handovers.drop(key)) is not None:
                gone.append(old)
        return uapi.removal_lines(gone)

    def replace_peers(self, peers: Sequence[PeerConfig]) -> None:
        """Have these peers alone."""
        wanted = {each.public_key: each for each in peers}
        if len(wanted) != len(peers):
            raise ConfigurationError("peers: a public key comes twice")
        for each in peers:
            self._check(each)
        gone = [key for key in self._peers if key not in wanted]
        lines = self._removal(gone)
        for key in gone:
            del self._peers[key]
        for each in peers:
            if self._peers.get(each.public_key) != each:
                lines += self._lines(each)
                self._take(each)
        self._tell(lines)

    def poke(self, public_key: bytes) -> None:
        """Turn the keepalive off and on: the program sends one when it is turned on."""
        peer = self._peer(public_key)
        name = f"public_key={public_key.hex()}"
        interval = "persistent_keepalive_interval="
        on = [name, "update_only=true", f"{interval}0", f"{interval}{peer.keepalive or 1}"]
        self._tell(on)
        if not peer.keepalive:
            self._tell([name, "update_only=true", f"{interval}0"])

    def stats(self) -> dict[bytes, PeerStats]:
        """All peers; while the program is started again, what was known of them."""
        self._look_if_up()
        unknown = PeerStats(None, 0.0, 0, 0)
        return {key: self._stats.get(key, unknown) for key in self._peers}

    def counters(self) -> dict[str, int]:
        """How often the program was started again, and did not answer."""
        return dict(self._counters)

    def _looked(self) -> dict[bytes, PeerStats]:
        self._look_if_up()
        return self._stats

    def _look_if_up(self) -> None:
        if self._up:
            self._look()

    def _take(self, peer: PeerConfig) -> None:
        """Keep a peer's settings; its networks leave whoever had them."""
        networks = set(peer.allowed_ips)
        for key, other in self._peers.items():
            if key != peer.public_key and not networks.isdisjoint(other.allowed_ips):
                left = tuple(each for each in other.allowed_ips if each not in networks)
                self._peers[key] = replace(other, allowed_ips=left)
        self._peers[peer.public_key] = peer

    def _peer(self, public_key: bytes) -> PeerConfig:
        peer = self._peers.get(public_key)
        if peer is None:
            raise ConfigurationError(f"peer {public_key.hex()}: there is none")
        return peer

    def _check(self, peer: PeerConfig) -> None:
        name = f"peer {peer.public_key.hex()}"
        if len(peer.public_key) != _KEY:
            raise ConfigurationError(f"peer's public key: {len(peer.public_key)} bytes, not {_KEY}")
        if peer.public_key == _public(self._private_key):
            raise ConfigurationError(f"{name}: is this device's own public key")
        if peer.preshared_key is not None and len(peer.preshared_key) != _KEY:
            raise ConfigurationError(f"{name}: preshared key: not {_KEY} bytes")
        if not 0 <= peer.keepalive <= 65_535:
            raise ConfigurationError(f"{name}: the persistent keepalive must be 0 to 65535 s")
        if peer.endpoint is not None:
            check_place(peer.endpoint)
        try:
            for each in peer.allowed_ips:
                ip_network(each)
        except ValueError as error:
            raise ConfigurationError(f"{name}: {error}") from error


def _public(private_key: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def _set(lines: Sequence[str]) -> str:
    return "\n".join(["set=1", *lines]) + "\n"
