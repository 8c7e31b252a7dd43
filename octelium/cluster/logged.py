"""Logged requests as inquiries: what the log remembers of a request, and what it does not.

The log keeps queries and the addresses of referring pages whole, and shows them nobody but their
sender: they may hold secrets. Whoever else thinks about a request thinks about one of which these
are not known. What was never there cannot be told by a value, an error, a change or a verdict.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from octelium.http.message import MessageError
from octelium.http.target import is_ambiguous, normalise, query_parameters
from octelium.octovigil.inquiry import Inquiry, InquiryError
from octelium.octovigil.received import canonical_host
from octelium.visibility.dns import type_number
from octelium.visibility.entry import without_query, without_secrets

if TYPE_CHECKING:
    from octelium.octovigil.access.logged import LoggedRequest as Remembered
    from octelium.policy.request import Path
    from octelium.replica.replica import Replica
    from octelium.visibility.logged import LoggedRequest

_HTTP: Final = frozenset({"HTTP", "WEB"})
_GRPC: Final = "GRPC"
_DNS: Final = "DNS"
_PRIVATE: Final = re.compile(rb"[?#]")
"""Where that begins which entries of the log leave out of a target."""


class Recalled:
    """`ctx.request` of a logged request, with what is not known of it.

    With `private`, what only its sender may see is as unknown as what the log does not keep.
    """

    __slots__ = ("_private", "repeated", "request", "unknown", "withheld")

    def __init__(self, logged: LoggedRequest, host: str, *, private: bool) -> None:
        """`host` is the name by which policies know the Service."""
        self._private = private
        self.withheld: list[str] = []
        """What the log holds and only its sender may see, in words."""
        self.request: dict[str, Any] | None = None
        self.unknown: frozenset[Path] = frozenset()
        self.repeated: frozenset[Path] = frozenset()
        if logged.mode in _HTTP:
            prefix: Path = ("http",)
            self.request = {"http": self._http(logged, host, prefix)}
        elif logged.mode == _GRPC:
            self.request = {"grpc": self._grpc(logged, host)}
        elif logged.mode == _DNS:
            self.request = {"dns": _question(logged)}
            return
        if self.request is not None and logged.client_address:
            self.request["ip"] = logged.client_address

    def _grpc(self, logged: LoggedRequest, host: str) -> dict[str, Any]:
        http = self._http(logged, host, ("grpc", "http"))
        full, _, method = str(http["path"]).lstrip("/").partition("/")
        package, _, service = full.rpartition(".")
        return {
            "http": http,
            "serviceFullName": full,
            "service": service,
            "package": package,
            "method": method,
        }

    def _http(self, logged: LoggedRequest, host: str, prefix: Path) -> dict[str, Any]:
        raw, mark, query = logged.target.partition(b"?")
        # Clients may have sent any other header, and a body of a length that they did not tell.
        unknown = {("headers",)}
        repeated: set[Path] = set()
        http: dict[str, Any] = {
            "method": logged.method,
            "path": _path(raw),
            "uri": _text(logged.target),
            "host": host,
            "scheme": "https",
            "headers": {"host": logged.host, **self._headers(logged)},
        }
        if logged.row.request_bytes:
            unknown.add(("size",))
        if is_ambiguous(raw):
            repeated |= {("path",), ("uri",)}
        if logged.cut:
            unknown.add(("uri",))
            unknown.add(("queryParams",) if mark else ("path",))
        if self._private and _PRIVATE.search(logged.target):
            del http["uri"]
            self.withheld.insert(0, "query")
            unknown |= {("uri",), ("queryParams",)}
        elif mark and not logged.cut:
            parameters, again, clean = query_parameters(query)
            if parameters:
                http["queryParams"] = parameters
            repeated |= {("queryParams", name) for name in again}
            if not clean:
                repeated.add(("queryParams",))
        self.unknown = frozenset((*prefix, *path) for path in unknown)
        self.repeated = frozenset((*prefix, *path) for path in repeated)
        return http

    def _headers(self, logged: LoggedRequest) -> dict[str, str]:
        headers = logged.headers()
        referer = headers.get("referer", "")
        if self._private and referer != without_secrets(referer.encode()):
            del headers["referer"]
            self.withheld.append("address of the referring page")
        return headers


def inquiry_of(
    replica: Replica, logged: LoggedRequest, at: float | None = None, *, private: bool
) -> tuple[Inquiry, list[str]]:
    """The inquiry that asks a logged request again, and notes on how it differs.

    `at` are Unix seconds, the time of the request by default; `private` is as with `Recalled`.

    Raises:
        InquiryError: Its Service, or its Session and User, are gone.
    """
    notes = []
    reference = logged.reference("service")
    service = replica.services.get(str(reference.get("uid", "")))
    if service is None:
        raise InquiryError(f"the Service {reference.get('name', '')} is gone")
    session, user = "", ""
    if asked := logged.reference("session"):
        session, name = str(asked.get("uid", "")), str(asked.get("name", ""))
        if session not in replica.sessions:
            owner = replica.users.get(str(logged.reference("user").get("uid", "")))
            if owner is None:
                raise InquiryError(f"the Session {name} and its User are gone")
            session, user = "", owner.name
            notes.append(f"The Session {name} is gone; a new one of the same User is supposed.")
    recalled = Recalled(logged, canonical_host(replica, service.name), private=private)
    if recalled.withheld:
        what = " and ".join(recalled.withheld)
        notes.append(f"The {what} may hold secrets, and may be seen by the sender alone.")
    inquiry = Inquiry(
        service=service.name,
        session=session,
        user=user,
        request=recalled.request,
        at=logged.at if at is None else at,
        address=logged.client_address,
        unknown=recalled.unknown,
        repeated=recalled.repeated,
    )
    return inquiry, notes


def remembered(replica: Replica, logged: LoggedRequest) -> Remembered:
    """A logged request as a preview decides it again, which nobody's own expressions may search."""
    from octelium.octovigil.access.logged import LoggedRequest as Remembered  # for errands only

    service = logged.reference("service")
    name = str(service.get("name", ""))
    recalled = Recalled(logged, canonical_host(replica, name), private=True)
    return Remembered(
        id=logged.id,
        at=logged.at,
        service=str(service.get("uid", "")),
        session=str(logged.reference("session").get("uid", "")),
        user=str(logged.reference("user").get("uid", "")),
        method=logged.method,
        path=without_query(logged.target),
        request=recalled.request,
        unknown=recalled.unknown,
        repeated=recalled.repeated,
        address=logged.client_address,
    )


def _question(logged: LoggedRequest) -> dict[str, Any]:
    """A question to a Service of mode DNS, which is logged whole."""
    return {"name": _text(logged.target), "typeID": type_number(logged.method)}


def _path(raw: bytes) -> str:
    """The path as policies compare it."""
    try:
        return _text(normalise(raw).path)
    except MessageError:  # cut in the middle of an escape
        return _text(raw)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
