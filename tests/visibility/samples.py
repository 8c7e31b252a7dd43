"""Records to test with."""

from __future__ import annotations

from octelium.visibility.record import AccessRecord, AuditSubject

SUBJECT = AuditSubject(mode="HTTP", allowed=True, authenticated=True, reason={"type": "X"})


def record(
    number: int = 1, subject: AuditSubject = SUBJECT, agent: bytes | None = b"curl"
) -> AccessRecord:
    return AccessRecord(
        number=number,
        started=100.0,
        duration=0.5,
        subject=subject,
        method=b"GET",
        target=b"/a?b=c",
        status=200,
        version=11,
        request_bytes=0,
        response_bytes=3,
        host=b"h",
        client_address="::1",
        user_agent=agent,
        referer=None,
        origin=None,
        content_type=b"text/plain",
        connection=7,
        error="",
    )
