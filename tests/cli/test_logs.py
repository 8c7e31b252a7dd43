from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest

from octelium.cli.logs import StatusRange
from octelium.identity.attempts import Way
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.cli.runner import Runner, resource
from tests.cli.test_loglines import NAMED, entry
from tests.client.standin import NOW, RefusedError

if TYPE_CHECKING:
    from tests.client.standin import StandIn


def log(number: int, **changes: object) -> core.AccessLog:
    made: core.AccessLog = entry(details=NAMED, **changes).log  # type: ignore[arg-type]  # any of its options
    made.metadata.id = f"id-{number}"
    made.entry.common.started_at.FromNanoseconds(int((NOW + number) * 1e9))
    return made


@pytest.fixture
def logged(cluster: StandIn, terminal: Runner) -> Runner:
    cluster.log = [
        (log(1), ""),
        (log(2, user="bob", status="DENIED"), "Octelium refused it"),
    ]
    return terminal


def test_the_log_as_text(logged: Runner) -> None:
    assert logged.works("logs") == (
        "TIME                      WHO           SERVICE           REQUEST                   STATUS"
        "  DECISION  WHY\n"
        "2027-01-15T08:00:01.000Z  ann           wiki.default      GET /a                    200   "
        "  allowed   policy staff, rule mail\n"
        "2027-01-15T08:00:02.000Z  bob           wiki.default      GET /a                    200   "
        "  denied    policy staff, rule mail; Octelium refused it\n"
    )


def test_the_log_as_json(logged: Runner) -> None:
    lines = logged.works("logs", "-o", "json").splitlines()
    found = [from_json(core.AccessLog, json.loads(line)) for line in lines]
    assert found == [log(1), log(2, user="bob", status="DENIED")]


def test_one_entry_is_explained(logged: Runner) -> None:
    out = logged.works("logs", "--id", "id-2")
    assert out.endswith("Octelium refused it\n\nwhy id-2\n  a rule\n")
    assert out.count("wiki.default") == 1
    (line,) = logged.works("logs", "--id", "id-2", "-o", "json").splitlines()
    assert from_json(core.AccessLog, json.loads(line)) == log(2, user="bob", status="DENIED")


def test_every_filter_is_sent(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("Service", "wiki"))
    words = (
        "--service wiki --user ann --session ann-1 -n prod --status 4xx --decision DENIED "
        "--reason no-policy-match --path /admin --since 1h --until 2027-01-15T08:00:00Z --id x"
    )
    result = terminal.ctl("logs", *words.split())
    assert (result.code, result.err) == (0, "There are no such entries.\n")
    request = next(call.request for call in cluster.calls if call.method == "ListAccessLog")
    sent = {field.name: value for field, value in request.ListFields()}
    assert sent.pop("from").seconds == int(NOW) - 3600
    assert sent.pop("to").seconds == int(NOW)
    assert sent.pop("limit") == 1000
    assert sent == {
        "service": "wiki",
        "user": "ann",
        "session": "ann-1",
        "namespace": "prod",
        "decision": "denied",
        "reason": "NO_POLICY_MATCH",
        "http_status_min": 400,
        "http_status_max": 499,
        "path_prefix": "/admin",
        "id": "x",
    }


def test_a_service_that_does_not_exist(cluster: StandIn, terminal: Runner) -> None:
    for more in ([], ["-f"]):
        result = terminal.ctl("logs", "--service", "nosuch", *more)
        assert (result.code, result.out) == (1, "")
        assert result.err == "Error: NotFound: core.v1.Service nosuch.default does not exist\n"
    cluster.failures["GetService"] = [RefusedError("PERMISSION_DENIED", "no")]
    assert terminal.ctl("logs", "--service", "nosuch").code == 0


def test_without_the_clusters_own_services(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("Service", "default")).metadata.is_system = True
    cluster.add(resource("Service", "wiki"))
    own = {"serviceRef": {"name": "default.default"}}
    cluster.log = [(log(1), ""), (log(2, user="bob"), ""), (log(3, user="eve", **own), "")]
    cluster.live.put(log(4, user="sys", **own))
    cluster.live.put(log(5, user="cyd"))
    cluster.live.put(RefusedError("PERMISSION_DENIED", "your Session has ended"))
    result = terminal.ctl("logs", "--no-system", "--tail", "1", "-f")
    assert [row.split()[1] for row in result.out.splitlines()] == ["WHO", "bob", "cyd"]


def test_the_last_ones_since_a_time(cluster: StandIn, terminal: Runner) -> None:
    cluster.log = [(log(number, user=f"u{number}"), "") for number in range(5)]
    out = terminal.works("logs", "--since", "1h", "--tail", "2")
    assert [row.split()[1] for row in out.splitlines()] == ["WHO", "u3", "u4"]


def test_following_goes_on_until_ctrl_c(cluster: StandIn, logged: Runner) -> None:
    cluster.live.put(log(3, user="eve"))
    cluster.live.put(RefusedError("PERMISSION_DENIED", "your Session has ended"))
    result = logged.ctl("logs", "-f", "--tail", "1")
    assert result.code == 1
    rows = result.out.splitlines()
    assert [row.split()[1] for row in rows] == ["WHO", "bob", "eve"]
    assert "your Session has ended" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["-f", "--id", "x"],
        ["-f", "--until", "1h"],
        ["--since", "soon"],
        ["--status", "abc"],
        ["--tail", "0"],
        ["--decision", "maybe"],
    ],
)
def test_what_makes_no_sense(logged: Runner, arguments: list[str]) -> None:
    assert logged.ctl("logs", *arguments).code == 2


def test_an_unknown_reason_with_a_suggestion(logged: Runner) -> None:
    result = logged.ctl("logs", "--reason", "no_policy_mach")
    assert result.code == 1
    assert "NO_POLICY_MATCH" in result.err


def test_a_cluster_without_a_log(cluster: StandIn, terminal: Runner) -> None:
    cluster.foreign = True
    result = terminal.ctl("logs")
    assert (result.code, result.out) == (1, "")
    assert "does not offer its access log" in result.err


def test_statuses() -> None:
    convert = StatusRange().convert
    assert convert("403", None, None) == (403, 403)
    assert convert("5XX", None, None) == (500, 599)
    assert convert("400-403", None, None) == (400, 403)
    for text in ("", "x", "-", "99", "600", "500-400", "4x", "\u0664xx"):
        with pytest.raises(click.BadParameter):
            convert(text, None, None)


def attempt(number: int, **fields: object) -> ext.AuthenticationLogEntry:
    values = {"way": "passkey", "outcome": "succeeded", **fields}
    user = meta.ObjectReference(name=str(values.pop("user", "ann")))
    made = ext.AuthenticationLogEntry(id=f"auth-{number}", user=user, **values)  # type: ignore[arg-type]  # any of its fields
    made.at.FromSeconds(int(NOW) + number)
    return made


def test_who_signed_in_as_text_and_as_json(cluster: StandIn, terminal: Runner) -> None:
    cluster.attempts = [
        attempt(1),
        attempt(2, user="", identifier="eve", outcome="refused", reason="no User"),
    ]
    assert terminal.works("logs", "auth") == (
        "TIME                      WHO           BY                        FROM          OUTCOME"
        "    WHY\n"
        "2027-01-15T08:00:01.000Z  ann           passkey                   -             succeeded"
        "  -\n"
        '2027-01-15T08:00:02.000Z  "eve"         passkey                   -             refused'
        "    no User\n"
    )
    lines = terminal.works("logs", "auth", "-o", "json", "--tail", "1").splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["no User"]


def test_every_filter_of_sign_ins_is_sent(cluster: StandIn, terminal: Runner) -> None:
    words = (
        "--user ann --provider okta --credential ci --session s-1 --outcome Refused "
        "--way refresh-token --address 192.0.2.1 --since 1h --until 1m --id auth-7"
    )
    terminal.ctl("logs", "auth", *words.split())
    request = next(call.request for call in cluster.calls if call.method == "ListAuthenticationLog")
    assert request.user == "ann"
    assert request.identity_provider == "okta"
    assert (request.credential, request.session) == ("ci", "s-1")
    assert (request.outcome, request.way) == ("refused", "refresh token")
    assert (request.client_address, request.id) == ("192.0.2.1", "auth-7")
    assert getattr(request, "from").seconds == int(NOW) - 3600
    assert request.to.seconds == int(NOW) - 60


def test_sign_ins_are_followed(cluster: StandIn, terminal: Runner) -> None:
    cluster.attempts = [attempt(1), attempt(2, user="bob")]
    cluster.live.put(attempt(3, user="eve"))
    cluster.live.put(RefusedError("PERMISSION_DENIED", "your Session has ended"))
    result = terminal.ctl("logs", "auth", "-f", "--tail", "1")
    assert result.code == 1
    assert [row.split()[1] for row in result.out.splitlines()] == ["WHO", "bob", "eve"]


def test_no_sign_ins(cluster: StandIn, terminal: Runner) -> None:
    assert terminal.ctl("logs", "auth", "--user", "nobody").err.strip() == (
        "There are no such entries."
    )
    cluster.foreign = True
    result = terminal.ctl("logs", "auth")
    assert result.code == 1
    assert "does not offer its authentication log" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--user", "ann", "auth"],
        ["auth", "-f", "--id", "auth-1"],
        ["auth", "--outcome", "maybe"],
        ["nonsense"],
    ],
)
def test_what_makes_no_sense_of_sign_ins(terminal: Runner, arguments: list[str]) -> None:
    assert terminal.ctl("logs", *arguments).code == 2


def test_the_ways_of_the_authentication_log(cluster: StandIn, terminal: Runner) -> None:
    result = terminal.ctl("logs", "auth", "--way", "nonsense")
    assert result.code == 2
    for way in Way:
        assert way.value in result.err
    assert cluster.calls == []
