"""Whatever happens to Sessions in whatever order: what counts, and what has ended for good.

Beside a model in plain Python (`session_life`), after each step, in the store, in a worker's
replica and at the data plane's check of tokens.
"""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from octelium.apiserver.janitor import JOBS
from octelium.identity.errors import AuthenticationError
from octelium.schema.pb import core_v1_pb2 as core
from tests.conftest import SOAK
from tests.identity.authenticators.people import TYPES, asking
from tests.security.session_life import ACCESS, HOUR, REFRESH, STATES
from tests.security.session_steps import Steps, issued_as

PICK = st.integers(0, 63)
BARRABLE = ["alice", "robot", "okta", "github", "k8s", "of alice", "of robot", "secret", "access"]
SIGNING_IN: Any = {
    "way": st.sampled_from(["browser", "browser", "token", "token", "secret", "access", "assert"]),
    "name": st.sampled_from(["of alice", "twice", "of robot", "of guest"]),
    "provider": st.sampled_from(["okta", "okta", "github"]),
    "pick": st.none() | PICK,
    "flag": st.booleans(),
}
GOING_ON: Any = {
    "pick": PICK,
    "times": st.sampled_from([1, 1, 1, 7]),
    "access": st.sampled_from([False, False, False, False, True]),
}
"""Each of these stands for two rules, as they are to come often."""
KINDS = ("Session", "Credential", "Authenticator", "Device", "User", "IdentityProvider")


class SessionLife(Steps, RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._by_authentication_token("of alice", cli=True)
        self._by_authentication_token("of robot", cli=False)
        self._by_authentication_token("of guest", cli=True)
        self._by_browser("okta", None, required=False)
        self._by_client_secret()

    def teardown(self) -> None:
        self.life.close()

    @invariant()
    def all_agree(self) -> None:
        self.life.check()

    @rule(**SIGNING_IN)
    def sign_in(self, **how: Any) -> None:
        self._sign_in(**how)

    @rule(**SIGNING_IN)
    def sign_in_too(self, **how: Any) -> None:
        self._sign_in(**how)

    def _sign_in(self, way: str, name: str, provider: str, pick: int | None, flag: bool) -> None:
        match way:
            case "browser":
                self._by_browser(provider, pick, flag)
            case "token":
                self._by_authentication_token(name, flag)
            case "secret":
                self._by_client_secret()
            case "access":
                self._by_generating_an_access_token()
            case _:
                self._by_assertion()

    @rule(**GOING_ON)
    def refresh(self, **how: Any) -> None:
        self._refresh_often(**how)

    @rule(**GOING_ON)
    def refresh_too(self, **how: Any) -> None:
        self._refresh_often(**how)

    def _refresh_often(self, pick: int, times: int, access: bool) -> None:
        for _ in range(times):
            self._refresh(pick, access=access)

    @rule(pick=PICK, right=st.sampled_from([True, True, False]))
    def step_up(self, pick: int, right: bool) -> None:
        self._step_up(pick, right)

    @precondition(lambda self: self.life.held)
    @rule(
        way=st.sampled_from(["log out", "log out", "revoke", "others", "credential", "guest"]),
        pick=PICK,
        other=PICK,
        name=st.sampled_from(["of alice", "secret", "access"]),
    )
    def end(self, way: str, pick: int, other: int, name: str) -> None:
        match way:
            case "log out":
                self._log_out(pick)
            case "revoke":
                self._revoke(pick, other)
            case "others":
                self._revoke_others(pick)
            case "credential":
                self._delete_credential(name)
            case _:
                self._delete_guest()

    @precondition(lambda self: self.life.held)
    @rule(
        pick=PICK,
        state=st.sampled_from([*[STATES.ACTIVE] * 3, STATES.PENDING, STATES.REJECTED]),
        locked=st.sampled_from([False, False, False, True]),
    )
    def judge(self, pick: int, state: Any, locked: bool) -> None:
        uid, held = self._session(pick)

        def change(tx: Any) -> None:
            session = tx.get(core.Session, uid=uid)
            session.spec.state, session.status.is_locked = state, locked
            tx.update(session)

        self._write(change)
        held.state, held.locked = state, locked

    @rule(pending=st.sampled_from([False, False, True]))
    def want_approval(self, pending: bool) -> None:
        def change(tx: Any) -> None:
            config = tx.get(core.ClusterConfig, name="default")
            config.spec.session.human.default_state = STATES.PENDING if pending else STATES.ACTIVE
            tx.update(config)

        self._write(change)
        self.life.pending_for_people = pending

    @rule(name=st.sampled_from(BARRABLE), off=st.sampled_from([False, False, True]))
    def switch(self, name: str, off: bool) -> None:
        life = self.life
        if name in life.gone:
            return
        known = {**life.users, **life.providers, **life.credentials}[name]

        def change(tx: Any) -> Any:
            stored = tx.get(known.kind, uid=known.metadata.uid)
            stored.spec.is_disabled = off
            return tx.update(stored)

        changed = self._write(change)
        if name in life.providers:
            life.providers[name] = changed
        (life.barred.add if off else life.barred.discard)(name)

    @rule(
        way=st.sampled_from(["register", "register", "judge", "delete"]),
        pick=PICK,
        machine=st.sampled_from("ab"),
        state=st.sampled_from([1, 1, 2, 3]),
    )
    def on_a_device(self, way: str, pick: int, machine: str, state: int) -> None:
        if way == "register" or not self.life.devices:
            self._register_device(pick, machine)
        elif way == "judge":
            self._judge_device(pick, state)
        else:
            self._delete_device(pick)

    @rule(seconds=st.sampled_from([1, 600, 1800, 1800, HOUR, HOUR, 4 * HOUR]))
    def later(self, seconds: int) -> None:
        self.life.cluster.clock.now += seconds

    @precondition(lambda self: self.life.held)
    @rule(
        pick=PICK,
        of=st.sampled_from(["access token", "refresh token", "Session"]),
        before=st.booleans(),
    )
    def until_the_end(self, pick: int, of: str, before: bool) -> None:
        """To the second in which something ends, or the one before."""
        _, held = self._session(pick)
        ends = {
            "access token": held.set_at + ACCESS[held.user],
            "refresh token": held.set_at + REFRESH[held.user],
            "Session": held.ends_at,
        }
        clock = self.life.cluster.clock
        clock.now = max(clock.now, ends[of] - before)

    @rule(pick=PICK)
    def begin_a_registration(self, pick: int) -> None:
        life, pair = self.life, self._pair(pick)
        who = asking(issued_as(pair.access, pair.refresh, core.Session()))
        with contextlib.suppress(AuthenticationError):
            made = life.run(life.people.authenticators.create(who, TYPES.TOTP, ""))
            life.unfinished[made.metadata.uid] = life.now

    @rule()
    def clean_up(self) -> None:
        """What must go goes, and nothing else."""
        life, now = self.life, self.life.now
        before = self._everything()
        for job in JOBS:
            self._write(lambda tx, run=job.run: run(tx, now))
        sessions = {
            uid
            for uid, held in life.held.items()
            if not life.lives(held) or now >= held.set_at + REFRESH[held.user]
        }
        over = set()
        if "twice" not in life.gone and now >= life.credentials["twice"].spec.expires_at.seconds:
            over = {life.credentials["twice"].metadata.uid}
            life.gone.add("twice")
        abandoned = {uid for uid, at in life.unfinished.items() if now >= at + HOUR}
        assert before - self._everything() == sessions | over | (abandoned & before)
        life.forget(*sessions)
        for uid in abandoned:
            del life.unfinished[uid]

    def _everything(self) -> set[str]:
        return {
            item.metadata.uid
            for kind in KINDS
            for item in self.life.cluster.resources.peek_all(kind)
        }


TestSessionLife = SessionLife.TestCase
TestSessionLife.settings = settings(
    max_examples=500 if SOAK else 20,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def drawn(life: SessionLife, chance: random.Random) -> None:
    """One step, whatever it is."""
    one = chance.choice
    pick = chance.randrange(64)
    step = chance.random()
    if not life.life.held or step < 0.2:
        life.sign_in(
            way=one(["browser", "browser", "token", "token", "secret", "access", "assert"]),
            name=one(["of alice", "twice", "twice", "of robot", "of robot", "of guest"]),
            provider=one(["okta", "okta", "github"]),
            pick=one([None, pick]),
            flag=one([True, False]),
        )
    elif step < 0.4:
        life.refresh(pick=pick, times=one([1, 1, 1, 7]), access=chance.random() < 0.1)
    elif step < 0.5:
        for each in range(4):
            life.step_up(pick=4 * each, right=chance.random() < 0.7)
    elif step < 0.56:
        way = one(["log out", "log out", "revoke", "others"])
        life.end(way=way, pick=pick, other=chance.randrange(64), name="")
    elif step < 0.64:
        state = one([STATES.ACTIVE, STATES.ACTIVE, STATES.PENDING, STATES.REJECTED])
        life.judge(pick=pick, state=state, locked=chance.random() < 0.2)
    elif step < 0.74:
        off = chance.random() < 0.5
        for name in chance.sample(BARRABLE, 2 if off else 6):
            life.switch(name=name, off=off)
    elif step < 0.84:
        way = one(["register", "register", "register", "judge", "judge", "delete"])
        life.on_a_device(way=way, pick=pick, machine=one("ab"), state=one([1, 2, 3]))
    elif step < 0.9:
        life.later(seconds=one([1, 600, 1800, HOUR]))
    elif step < 0.94:
        of = one(["access token", "refresh token", "Session"])
        life.until_the_end(pick=pick, of=of, before=one([True, False]))
    elif step < 0.96:
        life.clean_up()
    elif step < 0.98:
        life.want_approval(pending=chance.random() < 0.3)
    else:
        life.begin_a_registration(pick=pick)


@pytest.mark.parametrize("seed", range(200 if SOAK else 4))
def test_long_histories(seed: int) -> None:
    """Longer than those above, and the same in each run."""
    life, chance = SessionLife(), random.Random(seed)
    try:
        for _ in range(250):
            drawn(life, chance)
            life.all_agree()
        life.end(way="guest", pick=0, other=0, name="")
        life.all_agree()
    finally:
        life.teardown()
