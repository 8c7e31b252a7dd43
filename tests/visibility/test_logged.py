from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.visibility.batch import LONGEST_TARGET, LONGEST_TEXT, decode, encode
from octelium.visibility.logged import LoggedRequest
from octelium.visibility.record import AuditSubject
from tests.visibility.samples import record

if TYPE_CHECKING:
    from octelium.visibility.record import AccessRecord

SESSION = {"name": "ann-1", "uid": "s-1"}
SUBJECT = AuditSubject("GRPC", False, True, {"type": "NO_POLICY_MATCH"}, session=SESSION)


def logged(made: AccessRecord) -> LoggedRequest:
    batch = decode(encode("abcdefgh", [made]))
    return LoggedRequest(batch, batch.rows[0])


def test_what_is_remembered() -> None:
    made = record(35, SUBJECT)
    made.referer, made.error = b"https://h/from?secret=1", "why"
    request = logged(made)
    assert request.id == "abcd-efgh-24-0000-000z"
    assert request.at == 100.0
    assert request.mode == "GRPC"
    assert not request.allowed
    assert request.method == "GET"
    assert request.target == b"/a?b=c"
    assert request.host == "h"
    assert request.error == "why"
    assert request.client_address == "::1"
    assert request.headers() == {"user-agent": "curl", "referer": "https://h/from?secret=1"}
    assert request.reference("session") == SESSION
    assert request.reference("user") == {}
    assert not request.cut


def test_what_was_cut_off_is_told() -> None:
    made = record(1)
    made.target = b"/" * (LONGEST_TARGET + 1)
    assert logged(made).cut
    assert logged(record(1, agent=b"a" * (LONGEST_TEXT + 1))).cut
