"""A Cluster whose people have Sessions and Authenticators, as the tests here want it."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from octelium.identity import admission
from octelium.identity.authenticators import totp
from octelium.identity.authenticators.authenticators import Asking, Authenticators
from octelium.identity.authenticators.rate_limits import RateLimits
from octelium.identity.authenticators.registration import Response
from octelium.identity.authenticators.relying_party import RelyingParty
from octelium.identity.errors import RefusedError
from octelium.identity.sessions import Beginning, Downstream
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.metadata import reference
from tests.identity.authenticators.soft_key import SoftKey
from tests.identity.cluster import Cluster, add_user, open_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from octelium.identity.admission import IssuedTokens

TYPES = core.AuthenticatorStatusType__
ACTIONS = core.SessionStatusAuthenticatorAction__
STATES = core.AuthenticatorSpecState__
PARTY = RelyingParty("example.com", "https://example.com")
BROWSER = Downstream("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "192.0.2.7")


class Rules:
    """Refuses Authenticators whose display name is in `refused`; wants what `wanted` says."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.wanted: Any = ACTIONS.AUTHENTICATOR_ACTION_UNSET
        self.asked: list[tuple[core.Session, core.SessionStatusAuthenticationInfo]] = []
        self.usable: list[list[str]] = []

    def requirement(
        self,
        config: core.ClusterConfig,
        user: core.User,
        provider: core.IdentityProvider,
        session: core.Session,
        authenticators: Iterable[core.Authenticator],
    ) -> Any:
        self.usable.append([one.metadata.name for one in authenticators])
        return self.wanted

    def post_authenticator(
        self,
        config: core.ClusterConfig,
        authenticator: core.Authenticator,
        user: core.User,
        session: core.Session,
        info: core.SessionStatusAuthenticationInfo,
    ) -> None:
        self.asked.append((session, info))
        if authenticator.spec.display_name in self.refused:
            raise RefusedError("a rule refuses this")


class People:
    """`alice` has a browser; `bob` is another HUMAN."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.rules = Rules()
        self.limits = RateLimits(clock=cluster.clock)
        self.authenticators = Authenticators(
            cluster.resources,
            cluster.keyring,
            cluster.authentication,
            PARTY,
            self.rules,
            clock=cluster.clock,
            limits=self.limits,
        )
        self.bob: core.User

    async def begin(self) -> None:
        self.bob = await self.cluster.write(lambda tx: add_user(tx, "bob", human=True))

    async def session(
        self, user: core.User | None = None, *, client: bool = False, **status: Any
    ) -> IssuedTokens:
        """A Session: a browser's unless `client`."""
        types = core.SessionStatusType__
        beginning = Beginning(
            user=user or self.cluster.alice,
            type=types.CLIENT if client else types.CLIENTLESS,
            info=core.SessionStatusAuthenticationInfo(),
            is_browser=not client,
        )

        def write(tx: Any) -> core.Session:
            config = admission.cluster_config(tx)
            session = admission.open_session(tx, beginning, config, int(self.cluster.clock()))
            for field, value in status.items():
                if field == "state":
                    session.spec.state = value
                elif field == "device_ref":
                    session.status.device_ref.CopyFrom(value)
                else:
                    setattr(session.status, field, value)
            return tx.update(session)  # type: ignore[no-any-return]  # of what went in

        return admission.issue(self.cluster.keyring.signer, await self.cluster.write(write))

    async def configure(self, **settings: Any) -> None:
        """Set members of `spec.authenticator` of the ClusterConfig."""
        config = self.cluster.resources.get(core.ClusterConfig, name="default")
        for field, value in settings.items():
            if field == "user_verification":
                config.spec.authenticator.fido.user_verification = value
            else:
                setattr(config.spec.authenticator, field, value)
        await self.cluster.change(config)

    async def add_totp(self, session: IssuedTokens, name: str = "phone") -> tuple[Any, bytes]:
        """A registered TOTP Authenticator, and its secret."""
        made = await self.authenticators.create(asking(session), TYPES.TOTP, name)
        challenge = await self.authenticators.register_begin(asking(session), ref(made))
        secret = secret_of(challenge.text)
        await self.authenticators.register_finish(
            asking(session), ref(made), Response(TYPES.TOTP, self.password(secret))
        )
        self.cluster.clock.now += 60  # its first password cannot be used again
        return self.get(made), secret

    async def add_fido(
        self, session: IssuedTokens, name: str = "key", key: SoftKey | None = None
    ) -> tuple[Any, SoftKey]:
        """A registered FIDO Authenticator, and what answers for it."""
        key = key or SoftKey(PARTY.origin, PARTY.domain)
        made = await self.authenticators.create(asking(session), TYPES.FIDO, name)
        challenge = await self.authenticators.register_begin(asking(session), ref(made))
        await self.authenticators.register_finish(
            asking(session), ref(made), Response(TYPES.FIDO, key.create(challenge.text))
        )
        return self.get(made), key

    async def step_up(self, session: IssuedTokens, made: Any, key: SoftKey | bytes) -> IssuedTokens:
        """Authenticate with an Authenticator, all well."""
        challenge = await self.authenticators.authenticate_begin(asking(session), ref(made))
        text = self.password(key) if isinstance(key, bytes) else key.get(challenge.text)
        return await self.answer(session, made, text)

    async def answer(self, session: IssuedTokens, made: Any, text: str) -> IssuedTokens:
        return await self.authenticators.authenticate(
            asking(session), ref(made), Response(made.status.type, text), downstream=BROWSER
        )

    def password(self, secret: bytes) -> str:
        return totp.code(secret, totp.step_at(self.cluster.clock()))

    def get(self, message: Any) -> Any:
        return self.cluster.get(message)


def asking(session: IssuedTokens) -> Asking:
    return Asking(session.refresh_token, "test")


def ref(message: Any) -> meta.ObjectReference:
    return reference(message)


def secret_of(url: str) -> bytes:
    """The secret in an `otpauth:` URL."""
    (text,) = parse_qs(urlsplit(url).query)["secret"]
    return base64.b32decode(text + "=" * (-len(text) % 8))


def wrong_code(secret: bytes, at: float) -> str:
    """Six digits that no app shows within minutes of a moment."""
    near = {totp.code(secret, totp.step_at(at) + step) for step in range(-15, 16)}
    return next(code for code in map("{:06}".format, range(32)) if code not in near)


@asynccontextmanager
async def open_people(directory: Path) -> AsyncIterator[People]:
    async with open_cluster(directory) as cluster:
        people = People(cluster)
        await people.begin()
        yield people
