from __future__ import annotations

from google.protobuf import json_format

from octelium.schema.pb import core_v1_pb2 as core
from octelium.visibility.batch import decode, encode
from octelium.visibility.entry import make_detail, make_entry, without_query, without_secrets
from octelium.visibility.record import AuditSubject
from tests.visibility.samples import record

SERVICE = {"apiVersion": "core/v1", "kind": "Service", "uid": "s1", "name": "wiki.default"}
SESSION = {"apiVersion": "core/v1", "kind": "Session", "uid": "x1", "name": "alice-abc123"}
MATCH = {
    "type": "POLICY_MATCH",
    "details": {
        "policyMatch": {"ruleName": "main", "priority": -1, "policy": {"policyRef": {"name": "p"}}}
    },
}


def test_an_entry_says_who_what_and_why() -> None:
    subject = AuditSubject(
        "HTTP", True, True, MATCH, service=SERVICE, session=SESSION, is_public=True
    )
    batch = decode(encode("abcdefgh", [record(35, subject)]))
    entry = json_format.MessageToDict(make_entry(batch, batch.rows[0]))
    common, http = entry["entry"]["common"], entry["entry"]["info"]["http"]
    assert entry["metadata"]["id"] == "abcd-efgh-24-0000-000z"
    assert entry["metadata"]["actorRef"]["name"] == "alice-abc123"
    assert entry["metadata"]["targetRef"]["name"] == "wiki.default"
    assert common["reason"]["details"]["policyMatch"]["ruleName"] == "main"
    assert common["status"] == "ALLOWED"
    assert common["startedAt"] == "1970-01-01T00:01:40Z"
    assert common["endedAt"] == "1970-01-01T00:01:40.500Z"
    assert http["request"]["path"] == "/a"
    assert http["request"]["userAgent"] == "curl"
    assert http["response"] == {"code": 200, "bodyBytes": "3", "contentType": "text/plain"}
    assert make_detail(batch, batch.rows[0]).client_address == "::1"


def test_a_grpc_call_is_named_by_its_path() -> None:
    subject = AuditSubject("GRPC", False, False, {})
    made = record(1, subject)
    made.target = b"/a.b.v1.Main/Get"
    made.grpc_status = 16
    batch = decode(encode("abcdefgh", [made]))
    grpc = make_entry(batch, batch.rows[0]).entry.info.grpc
    assert (grpc.package, grpc.service, grpc.method) == ("a.b.v1", "Main", "Get")
    assert grpc.service_full_name == "a.b.v1.Main"
    assert grpc.status == 16


def test_a_question_has_the_official_form() -> None:
    subject = AuditSubject("DNS", True, True, {})
    made = record(1, subject)
    made.method, made.target, made.status = b"AAAA", b"wiki.local.", 3
    made.content_type = b"fdee::1"
    other = record(2, subject)
    other.method, other.target, other.status = b"HTTPS", b"a?b#c.local.", 0
    other.content_type = None
    batch = decode(encode("abcdefgh", [made, other]))
    first, second = (make_entry(batch, row).entry.info.dns for row in batch.rows)
    kinds = core.AccessLogEntryInfoDnsType__
    assert (first.type, first.type_id, first.rcode) == (kinds.AAAA, 28, 3)
    assert (first.name, first.answer) == ("wiki.local.", "fdee::1")
    assert (second.type, second.type_id, second.answer) == (kinds.TYPE_OTHER, 65, "")
    assert second.name == "a?b#c.local."


def test_secrets_in_urls_are_left_out() -> None:
    assert without_query(b"/a?token=x#y") == "/a"
    assert without_secrets(b"https://user:pass@host/p?q=1") == "https://host/p"
    assert without_secrets(b"nonsense") == "nonsense"
    assert without_query(b"/\xff") == "/\ufffd"


def test_streams_and_flows_have_the_official_form() -> None:
    made = []
    for number, (mode, kind) in enumerate(
        (mode, kind) for mode in ("TCP", "UDP") for kind in (b"START", b"END")
    ):
        one = record(number, AuditSubject(mode, True, True, {}))
        one.method, one.target, one.status, one.version = kind, b"", 0, 0
        one.request_bytes, one.response_bytes = 5_000_000_000, 7
        made.append(one)
    batch = decode(encode("abcdefgh", made))
    entries = [json_format.MessageToDict(make_entry(batch, row)) for row in batch.rows]
    counts = {"receivedBytes": "5000000000", "sentBytes": "7"}
    assert [one["entry"]["info"] for one in entries] == [
        {"tcp": {"type": "START", **counts}},
        {"tcp": {"type": "END", **counts}},
        {"udp": {"type": "START"}},
        {"udp": {"type": "END"}},
    ]
    assert [one["entry"]["common"]["mode"] for one in entries] == ["TCP", "TCP", "UDP", "UDP"]
