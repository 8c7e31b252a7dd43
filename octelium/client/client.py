"""One Cluster from the point of view of one command: what is remembered, and its API."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from octelium.client.connections import Connections, Remembered
from octelium.client.contexts import Contexts
from octelium.client.errors import ApiError, SettingsError
from octelium.client.home import state_directory
from octelium.client.settings import Flags, Target, choose_domain, resolve
from octelium.client.state import LoginState
from octelium.client.storage import MemoryStorage, Storage, storage_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import grpc

    from octelium.client.api import Api, Authorized, TokenSource
    from octelium.client.authenticators import Authenticators
    from octelium.client.login_host import LoginHost
    from octelium.client.resources import Resources
    from octelium.client.tokens import Proof, TokenKeeper


@dataclass(frozen=True, slots=True)
class TokenAtHand:
    """An access token, and whether it should still be good."""

    text: str = field(repr=False)
    is_valid: bool


class Client:
    """Settings, logins and API of one Cluster; each is looked up when it is first needed.

    `warn` is told what a person should know, `note` which Cluster was meant where there are several
    and none was named. Every member may raise ClientError.
    """

    def __init__(
        self,
        flags: Flags,
        environ: Mapping[str, str],
        *,
        homedir: str | None = None,
        warn: Callable[[str], None],
        note: Callable[[str], None] | None = None,
        storage: Storage | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._flags = flags
        self._environ = environ
        self._homedir = homedir
        self._warn = warn
        self._note = note
        self._given_storage = storage
        self._clock = clock
        self._sleep = sleep
        self._channel: grpc.Channel | None = None

    @cached_property
    def storage(self) -> Storage:
        """Where logins and connections are kept."""
        return self._given_storage or storage_at(state_directory(self._homedir, self._environ))

    @cached_property
    def logins(self) -> LoginState:
        """The remembered logins of all Clusters."""
        return LoginState(self.storage)

    @cached_property
    def connections(self) -> Connections:
        """The remembered connection settings of all Clusters."""
        return Connections(self.storage)

    @cached_property
    def contexts(self) -> Contexts:
        """Which of the known Clusters is meant when none is named."""
        return Contexts(self.storage)

    @cached_property
    def domain(self) -> str:
        """The Cluster's domain."""
        if self._flags.domain or self._environ.get("OCTELIUM_DOMAIN"):
            return choose_domain(self._flags.domain, self._environ, [])
        known = self.known_domains()
        chosen = choose_domain(None, self._environ, known, self.contexts.current())
        if self._note is not None and {*known} - {chosen}:
            self._note(f"Cluster: {chosen}")
        return chosen

    def known_domains(self) -> list[str]:
        """The Clusters with a remembered login or connection, in order."""
        return sorted({*self.logins.domains(), *self.connections.domains()})

    @cached_property
    def target(self) -> Target:
        """Where the API is."""
        return resolve(self.domain, self._flags, self._environ, self._remembered)

    @property
    def channel(self) -> grpc.Channel:
        """The connection to the API, which is made at the first call."""
        if self._channel is None:
            from octelium.client.channel import open_channel

            self._channel = open_channel(self.target, self._warn)
        return self._channel

    @cached_property
    def api(self) -> Api:
        """The API with the token that the environment or the remembered login gives."""
        return self.connect(self._token_source())

    def connect(self, tokens: TokenSource) -> Api:
        """The API with other tokens."""
        from octelium.client.api import Api

        return Api(self.channel, tokens, sleep=self._sleep, domain=self.domain)

    @property
    def core(self) -> Authorized:
        """`core.v1`."""
        return self.api.core

    @cached_property
    def resources(self) -> Resources:
        """The resources of the Cluster, by kind."""
        from octelium.client.resources import Resources

        return Resources(self.core)

    def keeper(self, proof: Proof | None = None, scopes: Sequence[str] = ()) -> TokenKeeper:
        """The tokens of the remembered login; a proof makes a new one.

        Without one it is that of the environment, if there is one there. Raises SettingsError where
        identity comes from a socket, which logs in by itself.
        """
        from octelium.client.exchange import AuthExchange
        from octelium.client.proofs import environment_proof
        from octelium.client.stub import Stub
        from octelium.client.tokens import TokenKeeper
        from octelium.schema.pb import auth_v1_pb2 as auth

        if self.target.socket is not None:
            raise SettingsError(
                "OCTELIUM_AUTH_PROXY_SOCKET is set: its owner logs in and out",
                "unset it to use a login of your own",
            )
        service = auth.DESCRIPTOR.services_by_name["MainService"]
        return TokenKeeper(
            self.domain,
            self.logins,
            AuthExchange(Stub(self.channel, service, sleep=self._sleep, domain=self.domain)),
            proof=proof or environment_proof(self._environ, self.domain),
            scopes=scopes,
            clock=self._clock,
        )

    @cached_property
    def login_host(self) -> LoginHost:
        """The Cluster's own web pages."""
        from octelium.client.login_host import LoginHost

        return LoginHost(self.target)

    @cached_property
    def authenticators(self) -> Authenticators:
        """The Authenticators of who is logged in."""
        from octelium.client.authenticators import Authenticators
        from octelium.client.stub import Stub
        from octelium.schema.pb import auth_v1_pb2 as auth

        service = auth.DESCRIPTOR.services_by_name["MainService"]
        stub = Stub(self.channel, service, sleep=self._sleep, domain=self.domain)
        return Authenticators(stub, self.keeper())

    def remember_connection(self) -> None:
        """Keep what the flags say of this connection for later commands."""
        ca = self.target.ca if self._flags.ca_file else None
        old = self._remembered
        self.connections.put(
            self.domain,
            Remembered(
                endpoint=self._flags.endpoint or old.endpoint,
                tls_server_name=self._flags.tls_server_name or old.tls_server_name,
                ca=old.ca if ca is None else ca.decode("ascii", "replace"),
            ),
        )

    def adopt_context(self) -> str:
        """Have later commands mean this Cluster, if they mean none yet; the one that they mean."""
        return self.contexts.adopt(self.domain, self.logins.domains())

    def choose_context(self) -> bool:
        """Have later commands mean this Cluster; whether that is new, beside another one."""
        is_new = self.contexts.current() != self.domain
        self.contexts.use(self.domain)
        return is_new and bool({*self.known_domains()} - {self.domain})

    def forget(self) -> None:
        """Forget how the Cluster is reached, and its context; after `logout`."""
        self.connections.forget(self.domain)
        self.contexts.forget(self.domain)

    def logout(self) -> bool:
        """End the remembered Session and forget it; whether there was one.

        Raises ApiError after forgetting.
        """
        keeper = self.keeper()
        known = keeper.is_logged_in()
        keeper.logout()
        return known

    def end_unkept(self) -> None:
        """End the Session that this process made and that nobody remembers after it.

        Raises ApiError.
        """
        if self._given_storage is not None or "logins" not in self.__dict__:
            return
        if isinstance(self.storage, MemoryStorage) and self.logins.domains():
            self.logout()

    def token_at_hand(self) -> TokenAtHand | None:
        """The access token as it is: it is neither renewed nor is one got. None without any."""
        if self.target.socket is not None:
            return TokenAtHand("", is_valid=True)
        if token := self._environ.get("OCTELIUM_ACCESS_TOKEN"):
            return TokenAtHand(token, is_valid=True)
        login = self.logins.get(self.domain)
        if login is None:
            return None
        life = login.token.expires_in
        valid = login.is_valid(self._clock()) and (life == 0 or login.set_at + life > self._clock())
        return TokenAtHand(login.token.access_token, is_valid=valid)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    @cached_property
    def _remembered(self) -> Remembered:
        return self.connections.get(self.domain)

    def _token_source(self) -> TokenSource:
        from octelium.client.api import FixedToken

        if self.target.socket is not None:
            return FixedToken("")
        if token := self._environ.get("OCTELIUM_ACCESS_TOKEN"):
            return FixedToken(token)
        return self.keeper()


def is_foreign(error: ApiError) -> bool:
    """Whether an error of `octelium.ext.v1` means that the Cluster is another implementation."""
    return error.code == "UNIMPLEMENTED"
