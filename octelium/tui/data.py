"""What the screens ask of a Cluster. No method draws; those that call the API may take a while."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from octelium.client import accesslog, authlog, invitations
from octelium.client.errors import ApiError
from octelium.client.resources import Page
from octelium.client.watching import ChangeType, Watching
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import user_v1_pb2 as user
from octelium.tui import reports
from octelium.tui.changing import Changing
from octelium.tui.feeds import Feed, through_outages, until_stopped
from octelium.tui.journal import access_row, attempt_row
from octelium.tui.lines import Line, Tone, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from octelium.client.client import Client
    from octelium.schema.kinds import Kind
    from octelium.tui.changing import Plan
    from octelium.tui.kinds import View
    from octelium.tui.rows import Row

FIRST: Final = 200
"""Resources of the first page, which is shown while the others come."""
_PAGE: Final = 1000
_AGAIN: Final = 10.0
"""Seconds between two lists of what cannot be watched."""
_BACKLOG: Final = 500
"""Entries that were there before a log is followed."""
_LATE: Final = 60.0
"""Seconds by which a request may have begun before its entry is written."""
_AHEAD: Final = 5000
"""Entries that wait to be drawn; older ones are left out."""
SYSTEM: Final = "system"
"""Among what a log is narrowed to: it is not, and shows the Cluster's own Services too."""
_COUNTED: Final = 10_000
"""Sessions up to which it is counted how many are connected: all have to be read for it."""
_FOREIGN: Final = (
    "this Cluster does not diagnose itself, as it is another implementation of Octelium or an "
    "older version"
)
_HIDDEN: Final = ("PERMISSION_DENIED", "UNIMPLEMENTED")


@dataclass(frozen=True, slots=True)
class Update:
    """Rows that came: all of a view (`whole`), or those that changed, and uids that went."""

    rows: list[Row] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    whole: bool = False
    complete: bool = True
    """With `whole`: whether no further page follows."""


class Invited(NamedTuple):
    """A link for one person."""

    user: str
    url: str
    expires_at: int


class Data(Protocol):
    """The seam between screens and a Cluster. Methods raise ClientError, Invalid."""

    domain: str

    def whoami(self) -> str:
        """The name of the User."""

    def can(self, kind: Kind | None) -> frozenset[str]:
        """The verbs that the API has for a kind."""

    def rows(self, view: View) -> Feed[Update]:
        """The rows of a view, then what changes."""

    def log(self, view: View, narrowed: dict[str, str]) -> Feed[tuple[Row, Any]]:
        """The entries of a log, then those that come."""

    def describe(self, view: View, name: str) -> list[Line]:
        """A resource for reading."""

    def yaml(self, view: View, name: str) -> list[Line]:
        """A resource as YAML."""

    def get(self, kind: Kind, name: str) -> Any:
        """A resource."""

    def used_by(self, kind: Kind, name: str) -> list[Line]:
        """What refers to a resource."""

    def access(self, kind: Kind, name: str) -> list[Line]:
        """Who may open a Service, or what a User may open."""

    def subjects(self) -> list[tuple[str, str]]:
        """Kind and name of each Service and User."""

    def effect(self, kind: Kind, name: str, columns: int) -> list[Line]:
        """Whose access a Policy changes."""

    def explain(self, entry_id: str) -> list[Line]:
        """Why a logged request was decided so."""

    def health(self) -> list[Line]:
        """What works in the Cluster."""

    def status(self) -> list[Line]:
        """Who one is."""

    def counts(self) -> dict[str, int]:
        """How many resources there are, by plural."""

    def plan(self, kind: Kind, original: Any, text: str) -> Plan:
        """What a text would change; nothing changes."""

    def preview(self, plan: Plan, columns: int) -> list[Line]:
        """Whose access a plan would change."""

    def carry_out(self, plan: Plan) -> str:
        """Do what was planned; what was done."""

    def delete(self, kind: Kind, name: str) -> str:
        """Delete a resource; what was done."""

    def set_state(self, kind: Kind, name: str, state: str) -> str:
        """Approve or reject; what was done."""

    def set_value(self, kind: Kind, name: str, value: str, *, is_new: bool) -> str:
        """Set a value that is never shown; what was done."""

    def token(self, name: str) -> list[Line]:
        """A new token of a Credential, which is shown once."""

    def invite(self, name: str) -> Invited:
        """A link by which a person signs in for the first time."""


class ClusterData:
    """A Cluster over its public API."""

    def __init__(self, client: Client, now: Callable[[], float], *, person: bool = False) -> None:
        self._client = client
        self._now = now
        self._person = person
        self._changing = Changing(client)
        self.domain = client.domain
        self.plan = self._changing.plan
        self.preview = self._changing.preview
        self.effect = self._changing.effect
        self.carry_out = self._changing.carry_out
        self.delete = self._changing.delete
        self.set_state = self._changing.set_state
        self.set_value = self._changing.set_value

    def whoami(self) -> str:
        """The name of the User."""
        return str(self._status().user.metadata.name)

    def can(self, kind: Kind | None) -> frozenset[str]:
        """The verbs that the API has for a kind."""
        if kind is None or self._person:
            return frozenset()
        resources = self._client.resources
        verbs = ("Create", "Update", "Delete")
        return frozenset(verb for verb in verbs if resources.can(kind, verb))

    def rows(self, view: View) -> Feed[Update]:
        """The rows of a view: the first page, all pages, then what changes."""
        produce = self._poll if self._person else self._watch
        made: Feed[Update] = Feed(
            lambda feed: through_outages(lambda: produce(view, feed), feed),
            name=f"rows of {view.id}",
        )
        return made.start()

    def log(self, view: View, narrowed: dict[str, str]) -> Feed[tuple[Row, Any]]:
        """The entries of a log, the last ones first; `narrowed`: fields of the request."""
        produce = self._accesses if view.id == "access" else self._attempts
        made: Feed[tuple[Row, Any]] = Feed(
            lambda feed: through_outages(lambda: produce(narrowed, feed), feed),
            name=view.id,
            most=_AHEAD,
        )
        return made.start()

    def describe(self, view: View, name: str) -> list[Line]:
        """A resource for reading."""
        if self._person or view.kind is None:
            return self.yaml(view, name)
        client = self._client
        return reports.describe(
            client.resources, client.api.ext, self.domain, view.kind, name, self._now()
        )

    def yaml(self, view: View, name: str) -> list[Line]:
        """A resource as YAML."""
        if self._person:
            for page in self._owned(view):
                for item in page:
                    if item.metadata.name == name:
                        return reports.yaml(item)
            raise ApiError("NOT_FOUND", f"{name} is not there any more", "")
        assert view.kind is not None
        return reports.yaml(self._client.resources.get(view.kind, name))

    def get(self, kind: Kind, name: str) -> Any:
        """A resource."""
        return self._client.resources.get(kind, name)

    def used_by(self, kind: Kind, name: str) -> list[Line]:
        """What refers to a resource."""
        return reports.used_by(self._client.resources, self.domain, kind, name)

    def access(self, kind: Kind, name: str) -> list[Line]:
        """Who may open a Service, or what a User may open."""
        if kind.name == "Service":
            return reports.access(self._client.api.ext, target=name)
        return reports.access(self._client.api.ext, user=name)

    def subjects(self) -> list[tuple[str, str]]:
        """Kind and name of each Service and User that may be listed."""
        found: list[tuple[str, str]] = []
        for name in ("Service", "User"):
            items = self._client.resources.list_all(KINDS[name])
            found += ((name, one.metadata.name) for one in items)
        return found

    def explain(self, entry_id: str) -> list[Line]:
        """Why a logged request was decided as it was."""
        return reports.explain(self._client.api.ext, entry_id)

    def health(self) -> list[Line]:
        """What works in the Cluster."""
        try:
            return reports.health(self._client.api.ext)
        except ApiError as error:
            if error.code not in _HIDDEN:
                raise
            why = "you may not ask for it" if error.code == "PERMISSION_DENIED" else _FOREIGN
            return told(f"Not told: {why}.", Tone.DIM)

    def status(self) -> list[Line]:
        """Who one is."""
        return reports.status(self._status())

    def counts(self) -> dict[str, int]:
        """How many resources there are of the kinds that are listed; connected Sessions."""
        found: dict[str, int] = {}
        for name in ("Service", "User", "Session", "Device"):
            try:
                page = self._client.resources.list_page(KINDS[name], Page(size=1))
            except ApiError as error:
                if error.code not in _HIDDEN:
                    raise
                continue
            found[KINDS[name].plural] = page.list_response_meta.total_count or len(page.items)
        if 0 < found.get("sessions", 0) <= _COUNTED:
            sessions = self._client.resources.list_all(KINDS["Session"])
            found["connected"] = sum(bool(one.status.is_connected) for one in sessions)
        return found

    def token(self, name: str) -> list[Line]:
        """A new token of a Credential, which is shown once."""
        request = core.GenerateCredentialTokenRequest()
        request.credential_ref.name = name
        made = self._client.core.call("GenerateCredentialToken", request)
        return reports.token(made)

    def invite(self, name: str) -> Invited:
        """A link by which a person signs in for the first time."""
        made = invitations.invite(self._client.api.ext, name)
        return Invited(made.user.name or name, made.url, made.expires_at.seconds)

    def _status(self) -> Any:
        return self._client.api.user.call("GetStatus", user.GetStatusRequest())

    # --- rows

    def _watch(self, view: View, feed: Feed[Update]) -> Iterator[Update]:
        assert view.kind is not None
        resources = self._client.resources
        if not view.kind.singleton:
            page = resources.list_page(view.kind, Page(size=FIRST))
            more = bool(page.list_response_meta.has_more)
            yield Update([view.row(item) for item in page.items], whole=True, complete=not more)
        watching = Watching(self._client.api, [view.kind], sleep=feed.pause, warn=feed.warn)
        feed.on_stop(watching.stop)
        yield Update([view.row(item) for item in watching.load()], whole=True)
        for change in watching.changes():
            if change.type is ChangeType.RESET:
                yield Update([view.row(item) for item in watching.load()], whole=True)
            elif change.type is ChangeType.DELETED:
                yield Update(removed=[change.uid])
            else:
                yield Update([view.row(change.resource)])

    def _poll(self, view: View, feed: Feed[Update]) -> Iterator[Update]:
        while True:
            rows: list[Row] = []
            for page in self._owned(view):
                rows += [view.row(item) for item in page]
                if len(rows) <= _PAGE:
                    yield Update(list(rows), whole=True, complete=False)
            yield Update(rows, whole=True)
            feed.pause(_AGAIN)

    def _owned(self, view: View) -> Iterator[Iterable[Any]]:
        """The pages of what a person may see."""
        if view.id in ("service", "namespace"):
            yield from self._of_user(view)
            return
        assert view.kind is not None
        mine = self.whoami()
        try:
            yield list(self._client.resources.list_all(view.kind, user=mine))
        except ApiError as error:
            if error.code != "PERMISSION_DENIED":
                raise
            where = f"https://{self.domain}/"
            raise ApiError(
                error.code, f"you may not list {view.kind.plural} here", "", f"see {where}"
            ) from error

    def _of_user(self, view: View) -> Iterator[Iterable[Any]]:
        number = 0
        while True:
            common = Page(number, FIRST, by_name=True).options()
            if view.id == "service":
                request: Any = user.ListServiceOptions(common=common)
                page = self._client.api.user.call("ListService", request)
            else:
                request = user.ListNamespaceOptions(common=common)
                page = self._client.api.user.call("ListNamespace", request)
            yield page.items
            number += 1
            if not page.list_response_meta.has_more or not page.items:
                return

    # --- logs

    def _accesses(
        self, narrowed: dict[str, str], feed: Feed[tuple[Row, Any]]
    ) -> Iterator[tuple[Row, Any] | None]:
        service = until_stopped(self._client.api.ext, feed)
        request = ext.ListAccessLogRequest()
        keep = accesslog.everything if SYSTEM in narrowed else self._without_system()
        _narrow(request, {key: value for key, value in narrowed.items() if key != SYSTEM})
        entries = accesslog.last_entries(service, request, _BACKLOG, keep)
        yield None
        if not entries:
            # Entries are written when a request ends: one may have begun before this.
            since: Any = getattr(request, "from")  # a keyword of Python
            since.FromNanoseconds(int((self._now() - _LATE) * 1e9))
        yield from ((access_row(entry), entry) for entry in entries)
        for entry in accesslog.follow_entries(
            service, request, entries, now=self._now, sleep=feed.pause, warn=feed.warn, keep=keep
        ):
            yield access_row(entry), entry

    def _without_system(self) -> Callable[[accesslog.Entry], bool]:
        """Leaves out the Cluster's own Services: reading a log is a request, too."""
        try:
            services = self._client.resources.list_all(KINDS["Service"])
            names = {one.metadata.name for one in services if one.metadata.is_system}
        except ApiError as error:
            if error.code not in _HIDDEN:
                raise
            return accesslog.everything
        return lambda entry: entry.log.entry.common.service_ref.name not in names

    def _attempts(
        self, narrowed: dict[str, str], feed: Feed[tuple[Row, Any]]
    ) -> Iterator[tuple[Row, Any] | None]:
        service = until_stopped(self._client.api.ext, feed)
        request = ext.ListAuthenticationLogRequest()
        _narrow(request, narrowed)
        entries = authlog.last_attempts(service, request, _BACKLOG)
        yield None
        yield from ((attempt_row(entry), entry) for entry in entries)
        last = entries[-1].id if entries else ""
        for entry in authlog.follow_attempts(
            service, request, last, now=self._now, sleep=feed.pause, warn=feed.warn
        ):
            yield attempt_row(entry), entry


def _narrow(request: Any, narrowed: dict[str, str]) -> None:
    for name, value in narrowed.items():
        setattr(request, name, value)
