from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cluster.authentication_log import AuthenticationLog
from octelium.cluster.refusals import SECONDS, Refusals
from octelium.identity.attempts import Attempt, AttemptLog, Outcome, Way
from octelium.identity.errors import RefusedError
from octelium.identity.sessions import Downstream
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.visibility.attempt_query import OUTCOMES, AuthenticationLogReader
from octelium.visibility.attempt_store import SUCCEEDED, AttemptStore
from tests.identity.cluster import Clock

if TYPE_CHECKING:
    from pathlib import Path


def test_attempts_are_kept_as_they_are_told(tmp_path: Path) -> None:
    store = AttemptStore(tmp_path / "log.db")
    log: AttemptLog = AuthenticationLog(store, lambda: 12.5)
    attempt = Attempt(
        way=Way.ASSERTION,
        downstream=Downstream("curl/8", "192.0.2.1"),
        operation="sign-in",
        provider=meta.ObjectReference(kind="IdentityProvider", name="k8s", uid="p"),
        user=meta.ObjectReference(),
        identifier="sa:bot",
        aal="AAL2",
        country="NL",
    )
    attempt.failed(RefusedError("no", detail="rule 1"))
    log.record(attempt)
    (entry,) = AuthenticationLogReader(store).query(ext.ListAuthenticationLogRequest()).items
    assert entry.at.ToMilliseconds() == 12_500
    assert (entry.way, entry.outcome, entry.code) == ("assertion", "refused", "PERMISSION_DENIED")
    assert entry.reason == "no: rule 1"
    assert entry.identity_provider.name == "k8s"
    assert entry.identity_provider.kind == "IdentityProvider"
    assert not entry.HasField("user")
    assert (entry.identifier, entry.aal, entry.country) == ("sa:bot", "AAL2", "NL")
    assert (entry.client_address, entry.user_agent) == ("192.0.2.1", "curl/8")
    assert entry.operation == "sign-in"


def test_outcomes_have_one_spelling() -> None:
    assert tuple(outcome.value for outcome in Outcome) == OUTCOMES
    assert Outcome.SUCCEEDED.value == SUCCEEDED


def test_a_full_store_refuses_nobody(tmp_path: Path) -> None:
    store = AttemptStore(tmp_path / "log.db", free=lambda _path: 0)
    AuthenticationLog(store).record(Attempt(way=Way.PASSKEY))
    assert store.failures == 1


def test_a_flood_is_told_of_in_few_entries(tmp_path: Path) -> None:
    store, clock = AttemptStore(tmp_path / "log.db"), Clock(1000.0)
    log = AuthenticationLog(store, clock, Refusals(clock, each=3))
    for number in range(100):
        attempt = Attempt(way=Way.ASSERTION, downstream=Downstream("curl/8", "192.0.2.1"))
        attempt.failed(RefusedError(f"no {number}"))
        log.record(attempt)
    succeeded = Attempt(way=Way.ASSERTION, outcome=Outcome.SUCCEEDED)
    log.record(succeeded)
    clock.now += SECONDS
    log.settle()
    log.settle()
    told, good, *singly = (
        AuthenticationLogReader(store).query(ext.ListAuthenticationLogRequest()).items
    )
    assert good.outcome == "succeeded"
    assert [entry.reason for entry in singly] == ["no 2", "no 1", "no 0"]
    assert told.reason == (
        "97 more attempts within a minute, which are not listed one by one; the last of them: no 99"
    )
    assert (told.client_address, told.outcome, told.way) == ("192.0.2.1", "refused", "assertion")
    assert log.unlisted == 97
