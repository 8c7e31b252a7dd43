"""What can happen to Sessions: each step done to a Cluster, and to the model beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.apiserver import cascade
from octelium.identity.admission import IssuedTokens
from octelium.identity.authenticators.errors import RateLimitError, WrongResponseError
from octelium.identity.devices import BoundError, DeviceError, DeviceInfo
from octelium.identity.errors import (
    AuthenticationError,
    CredentialUnusableError,
    DisabledUserError,
    RefusedError,
    ReusedTokenError,
    SessionLimitError,
    SessionRefusedError,
    TooEarlyError,
    UnauthenticatedError,
    UnknownUserError,
)
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference
from tests.identity.authenticators.people import ACTIONS, BROWSER, asking
from tests.identity.cluster import CLI, SDK
from tests.identity.providers import vouched
from tests.security.session_life import STATES, Held, Life, Pair

if TYPE_CHECKING:
    from collections.abc import Coroutine


def issued_as(access_token: str, refresh_token: str, session: core.Session) -> IssuedTokens:
    """Tokens, as some helpers of the tests want them."""
    return IssuedTokens(access_token, refresh_token, 0, 0, session)


class Steps:
    """Steps on `life`; each says what is to come of it before it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life()

    def _try(self, work: Coroutine[Any, Any, Any], wanted: type[AuthenticationError] | None) -> Any:
        """What comes of it; None if it is refused as it should be."""
        done, refusal = self._outcome(work)
        told = "nothing" if wanted is None else wanted.__name__
        assert type(refusal) is (wanted or type(None)), f"{refusal!r} instead of {told}"
        return done

    def _outcome(
        self, work: Coroutine[Any, Any, Any]
    ) -> tuple[Any, None] | tuple[None, AuthenticationError]:
        try:
            return self.life.run(work), None
        except AuthenticationError as error:
            return None, error

    def _pair(self, pick: int) -> Pair:
        """Any tokens; mostly current ones, if there are some."""
        life = self.life
        current = [
            pair
            for pair in life.pairs
            if pair.refresh and pair.uid in life.held and life.held[pair.uid].number == pair.number
        ]
        chosen = current if current and pick % 4 < 3 else life.pairs
        return chosen[-1 - pick // 4 % len(chosen)]

    def _session(self, pick: int) -> tuple[str, Held]:
        known = list(self.life.held.items())
        return known[pick % len(known)]

    def _write(self, change: Any) -> Any:
        return self.life.run(self.life.cluster.write(change))

    def _by_authentication_token(self, name: str, cli: bool) -> None:
        life = self.life
        user = life.owner(name)
        wanted: type[AuthenticationError] | None = None
        if not life.counts(name):
            wanted = UnauthenticatedError
        elif user in life.gone:
            wanted = UnknownUserError
        elif user in life.barred:
            wanted = DisabledUserError
        elif life.is_full(user):
            wanted = SessionLimitError
        token = life.cluster.token(life.credentials[name])
        issued = self._try(
            life.cluster.authentication.with_authentication_token(
                token, downstream=CLI if cli else SDK, operation="sign-in"
            ),
            wanted,
        )
        if issued is not None:
            life.used[name] = life.used.get(name, 0) + 1
            if name == "twice" and life.used[name] == 2:
                life.gone.add(name)
            life.began(issued, user, "client" if cli else "program", credential=name)

    def _by_client_secret(self) -> None:
        life = self.life
        credential = life.credentials["secret"]
        held = self._of_credential("secret")
        wanted: type[AuthenticationError] | None = None
        if not life.counts("secret"):
            wanted = UnauthenticatedError
        elif "robot" in life.barred:
            wanted = DisabledUserError
        elif held is None:
            wanted = SessionLimitError if life.is_full("robot") else None
        elif held.locked or held.state == STATES.REJECTED:
            wanted = SessionRefusedError
        issued = self._try(
            life.cluster.authentication.with_client_secret(
                credential.status.id, life.cluster.token(credential), downstream=SDK, operation="x"
            ),
            wanted,
        )
        self._took("secret", held, issued)

    def _by_generating_an_access_token(self) -> None:
        life = self.life
        if "access" in life.gone:
            return
        held = self._of_credential("access")
        wanted: type[AuthenticationError] | None = None
        if not life.counts("access") or "robot" in life.barred:
            wanted = CredentialUnusableError
        elif held is None:
            wanted = SessionLimitError if life.is_full("robot") else None
        elif held.locked or held.state == STATES.REJECTED:
            wanted = CredentialUnusableError
        made = self._try(life.cluster.generate(life.credentials["access"]), wanted)
        if made is None:
            return
        claims = life.cluster.keyring.verifier.verify(
            made.access_token.access_token, TokenType.ACCESS
        )
        assert claims is not None
        session = life.cluster.resources.get(core.Session, uid=claims.subject)
        self._took("access", held, issued_as(made.access_token.access_token, "", session))

    def _of_credential(self, name: str) -> Held | None:
        own = (held for held in self.life.held.values() if held.credential == name)
        return next(filter(self.life.lives, own), None)

    def _took(self, name: str, held: Held | None, issued: Any) -> None:
        if issued is None:
            return
        if held is None:
            self.life.began(issued, "robot", "program", credential=name)
        else:
            assert self.life.renewed(issued) is held

    def _by_browser(self, name: str, pick: int | None, required: bool) -> None:
        life = self.life
        pair = None if pick is None or not life.pairs else self._pair(pick)
        before = None if pair is None else life.renews(pair)
        if before is not None and (before.kind != "browser" or before.user != "alice"):
            before = None
        ends = before is not None and before.provider != name
        wanted: type[AuthenticationError] | None = None
        if name in life.barred:
            wanted = RefusedError
        elif "alice" in life.barred:
            wanted = DisabledUserError
        elif (before is None or ends) and life.is_full(
            "alice", without=pair.uid if ends and pair is not None else ""
        ):
            wanted = SessionLimitError
        unset = ACTIONS.AUTHENTICATOR_ACTION_UNSET
        life.cluster.enforcement.wanted = ACTIONS.AUTHENTICATION_REQUIRED if required else unset
        issued = self._try(
            life.cluster.authentication.with_web_identity(
                vouched(life.providers[name], "alice"),
                refresh_token=None if pair is None else pair.refresh,
                downstream=BROWSER,
                operation="callback",
            ),
            wanted,
        )
        if issued is None:
            return
        if before is not None and not ends:
            life.renewed(issued).required = required
            return
        if ends and pair is not None:
            life.forget(pair.uid)
        life.began(issued, "alice", "browser", provider=name, required=required)

    def _by_assertion(self) -> None:
        life = self.life
        wanted: type[AuthenticationError] | None = None
        if "k8s" in life.barred:
            wanted = RefusedError
        elif "robot" in life.barred:
            wanted = DisabledUserError
        elif life.is_full("robot") and not life.make_room("k8s"):
            wanted = SessionLimitError
        issued = self._try(
            life.cluster.authentication.with_assertion(
                vouched(life.providers["k8s"], "robot"), downstream=SDK, operation="assert"
            ),
            wanted,
        )
        if issued is not None:
            life.began(issued, "robot", "program", provider="k8s")

    def _refresh(self, pick: int, access: bool) -> None:
        life, pair = self.life, self._pair(pick)
        held = None if access else life.renews(pair)
        wanted: type[AuthenticationError] | None = None
        if held is None and not access and life.was_replaced(pair):
            wanted = ReusedTokenError
            life.forget(pair.uid)
        elif held is None:
            wanted = UnauthenticatedError
        elif held.kind == "browser" or held.user in life.barred:
            wanted = RefusedError
        elif life.too_early(held):
            wanted = TooEarlyError
        elif {held.credential, held.provider} & (life.barred - life.gone):
            wanted = RefusedError
        token = pair.access if access else pair.refresh
        issued = self._try(
            life.cluster.authentication.with_refresh_token(token, downstream=CLI, operation="x"),
            wanted,
        )
        if issued is not None:
            assert life.renewed(issued) is held

    def _step_up(self, pick: int, right: bool) -> None:
        life, pair = self.life, self._pair(pick)
        life.cluster.clock.now += 60  # so that the password is another one each time
        held = life.renews(pair)
        people, made = life.people, life.totp
        password = people.password(life.secret) if right else "0" * 7

        async def prove() -> Any:
            who = issued_as(pair.access, pair.refresh, core.Session())
            await people.authenticators.authenticate_begin(asking(who), reference(made))
            return await people.answer(who, made, password)

        issued, refusal = self._outcome(prove())
        if isinstance(refusal, RateLimitError):
            return
        if held is None:
            assert type(refusal) is UnauthenticatedError
        elif held.user != "alice" or held.kind == "program" or held.user in life.barred:
            assert isinstance(refusal, RefusedError)
        elif not held.required and life.too_early(held):
            assert type(refusal) is TooEarlyError
        elif not right:
            assert type(refusal) is WrongResponseError
        else:
            assert refusal is None
            assert isinstance(issued, IssuedTokens)
            assert life.renewed(issued) is held
            held.required = False

    def _log_out(self, pick: int) -> None:
        pair = self._pair(pick)
        counts = self.life.renews(pair) is not None
        out = self.life.cluster.authentication.log_out(pair.refresh, operation="x")
        if self._try(out, None if counts else UnauthenticatedError) is not None:
            self.life.forget(pair.uid)

    def _revoke(self, pick: int, other: int) -> None:
        life = self.life
        (mine, asks), (uid, held) = self._session(pick), self._session(other)
        may = life.is_usable(asks) and asks.user == held.user
        revoked = life.cluster.authentication.revoke_session(mine, uid, operation="x")
        if self._try(revoked, None if may else RefusedError) is not None:
            life.forget(uid)

    def _revoke_others(self, pick: int) -> None:
        life = self.life
        mine, asks = self._session(pick)
        revoked = life.cluster.authentication.revoke_other_sessions(mine, operation="x")
        wanted = None if life.is_usable(asks) else RefusedError
        if self._try(revoked, wanted) is not None:
            others = [u for u, held in life.held.items() if held.user == asks.user and u != mine]
            life.forget(*others)

    def _delete_credential(self, name: str) -> None:
        life = self.life
        if name not in life.gone:
            uid = life.credentials[name].metadata.uid
            self._write(lambda tx: tx.delete("Credential", uid))
            life.gone.add(name)

    def _delete_guest(self) -> None:
        life = self.life
        if "guest" in life.gone:
            return

        def delete(tx: Any) -> None:
            user = tx.get(core.User, name="guest")
            tx.delete("User", user.metadata.uid)
            cascade.delete_belongings(tx, user)

        self._write(delete)
        life.gone.add("guest")
        life.forget(*[uid for uid, held in life.held.items() if held.user == "guest"])
        owned = [each for each, (_, owner, _) in life.devices.items() if owner == "guest"]
        for each in owned:
            del life.devices[each]

    def _register_device(self, pick: int, machine: str) -> None:
        life, pair = self.life, self._pair(pick)
        held = life.renews(pair)
        known = life.devices.get(machine)
        wanted: type[AuthenticationError] | None = None
        if held is None:
            wanted = UnauthenticatedError
        elif held.kind != "client" or held.state != STATES.ACTIVE or held.user in life.barred:
            wanted = RefusedError
        elif held.device:
            wanted = BoundError
        elif known is not None:
            wanted = BoundError if known[1] == held.user else DeviceError
        info = DeviceInfo(os_type=1, id=machine * 64)
        made = self._try(life.devices_of_clients.register(pair.refresh, info, "x"), wanted)
        if made is not None and held is not None:
            life.devices[machine] = made.metadata.uid, held.user, made.spec.state
        if held is not None and (wanted is None or (wanted is BoundError and not held.device)):
            held.device = machine

    def _judge_device(self, pick: int, state: Any) -> None:
        life = self.life
        machine, (uid, owner, _) = list(life.devices.items())[pick % len(life.devices)]

        def change(tx: Any) -> None:
            device = tx.get(core.Device, uid=uid)
            device.spec.state = state
            tx.update(device)

        self._write(change)
        life.devices[machine] = uid, owner, state

    def _delete_device(self, pick: int) -> None:
        life = self.life
        machine, (uid, _, _) = list(life.devices.items())[pick % len(life.devices)]

        def delete(tx: Any) -> None:
            cascade.delete_device_sessions(tx, tx.get(core.Device, uid=uid))
            tx.delete("Device", uid)

        self._write(delete)
        del life.devices[machine]
        life.forget(*[u for u, held in life.held.items() if held.device == machine])
