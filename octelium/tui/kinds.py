"""The views: for each kind its columns, what words mean it, and which rows stand out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.cli.columns import enum_name, policies, yes
from octelium.schema.kinds import KINDS
from octelium.schema.suggestion import did_you_mean
from octelium.tui.lines import Tone
from octelium.tui.rows import Column, Form, Row, made

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octelium.schema.kinds import Kind
    from octelium.tui.rows import Value


@dataclass(frozen=True, slots=True)
class View:
    """What can be looked at: a kind's resources, a log, or the overview.

    `kind` is absent for what is no kind; `words` go to it after `:`.
    """

    id: str
    title: str
    words: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    kind: Kind | None = None
    tone: Callable[[Any], Tone] | None = None
    empty: str = ""
    """How one comes to have any, where nobody makes them here."""

    def row(self, item: Any) -> Row:
        """The row of a resource."""
        return made(item, self.columns, self.tone(item) if self.tone else Tone.PLAIN)


def _name(item: Any) -> str:
    return str(item.metadata.name)


def _created(item: Any) -> float:
    return float(item.metadata.created_at.seconds)


def _spec(field: str) -> Callable[[Any], Value]:
    return lambda item: enum_name(item.spec, field)


def _status(field: str) -> Callable[[Any], Value]:
    return lambda item: enum_name(item.status, field)


def _flag(value: bool) -> str:
    """What is rare: a column where it is nowhere is left out."""
    return "yes" if value else ""


def _user(item: Any) -> str:
    return str(item.status.user_ref.name)


def _display(item: Any) -> str:
    return str(item.metadata.display_name)


NAME: Final = Column("NAME", _name, rank=0, least=24, most=48, is_name=True)
_AGE: Final = Column("AGE", _created, Form.AGE, rank=3, least=5, most=6)
_USER: Final = Column("USER", _user, rank=1, least=6, most=30)
_DISABLED: Final = Column(
    "DISABLED", lambda item: "disabled" if item.spec.is_disabled else "", rank=4, least=8, most=8
)
_EXPIRES: Final = Column(
    "EXPIRES", lambda item: float(item.spec.expires_at.seconds), Form.UNTIL, 2, 7, 7
)
_POLICIES: Final = Column("POLICIES", policies, rank=5, least=8, most=40)
_DISPLAY: Final = Column("DISPLAY NAME", _display, rank=6, least=12, most=32)


def _state(item: Any) -> Tone:
    state = enum_name(item.spec, "state")
    return {"PENDING": Tone.WARN, "REJECTED": Tone.BAD}.get(state, Tone.PLAIN)


def _enabled(item: Any) -> Tone:
    return Tone.DIM if item.spec.is_disabled else Tone.PLAIN


def _system(item: Any) -> Tone:
    if "is_disabled" in item.spec.DESCRIPTOR.fields_by_name and item.spec.is_disabled:
        return Tone.DIM
    return Tone.DIM if item.metadata.is_system else Tone.PLAIN


def _kind(
    name: str,
    *columns: Column,
    tone: Callable[[Any], Tone] | None = None,
    title: str = "",
    empty: str = "",
) -> View:
    kind = KINDS[name]
    return View(
        kind.command,
        title or kind.plural.capitalize(),
        (kind.command, kind.plural, *kind.aliases),
        (NAME, *columns, _DISPLAY),
        kind,
        tone,
        empty,
    )


OVERVIEW: Final = View("overview", "Overview", ("overview", "pulses", "home"))
ACCESS: Final = View("access", "Access log", ("access", "logs", "log", "accesslog"))
AUTHENTICATION: Final = View("authlog", "Authentication log", ("authlog", "auth", "logins"))
STATUS: Final = View("status", "Status", ("status", "me", "whoami"))

ADMINISTRATION: Final = (
    OVERVIEW,
    _kind(
        "Service",
        Column("MODE", _spec("mode"), rank=1, least=4, most=10),
        Column("PORT", lambda item: int(item.status.port), Form.PORT, 3, 4, 5),
        Column("PUBLIC", lambda item: yes(item.spec.is_public), rank=2, least=6, most=6),
        Column("ANON", lambda item: _flag(item.spec.is_anonymous), rank=5, least=4, most=4),
        Column("TLS", lambda item: _flag(item.spec.is_tls), rank=6, least=3, most=3),
        _POLICIES,
        _AGE,
        _DISABLED,
        tone=_system,
    ),
    _kind(
        "Session",
        _USER,
        Column("TYPE", _status("type"), rank=1, least=6, most=10),
        Column("STATE", _spec("state"), rank=1, least=6, most=8),
        Column(
            "CONN",
            lambda item: "connected" if item.status.is_connected else "",
            rank=2,
            least=4,
            most=9,
        ),
        _EXPIRES,
        _AGE,
        tone=_state,
        empty="They appear when people and workloads sign in.",
    ),
    _kind(
        "User",
        Column("TYPE", _spec("type"), rank=1, least=5, most=8),
        Column("GROUPS", lambda item: ",".join(item.spec.groups), rank=2, least=8, most=30),
        Column("EMAIL", lambda item: str(item.spec.email), rank=3, least=12, most=36),
        _POLICIES,
        _AGE,
        _DISABLED,
        tone=_enabled,
    ),
    _kind("Group", _POLICIES, _AGE),
    _kind(
        "Policy",
        Column("RULES", lambda item: len(item.spec.rules), Form.NUMBER, 1, 5, 5),
        _AGE,
        _DISABLED,
        tone=_enabled,
    ),
    _kind(
        "Device",
        _USER,
        Column("STATE", _spec("state"), rank=1, least=6, most=8),
        Column("OS", _status("os_type"), rank=2, least=5, most=8),
        Column("HOSTNAME", lambda item: str(item.status.hostname), rank=3, least=8, most=30),
        _AGE,
        tone=_state,
        empty="They appear when clients of people register them.",
    ),
    _kind(
        "Authenticator",
        _USER,
        Column("TYPE", _status("type"), rank=1, least=4, most=6),
        Column("STATE", _spec("state"), rank=1, least=6, most=8),
        Column("REG", lambda item: yes(item.status.is_registered), rank=2, least=3, most=3),
        _AGE,
        tone=_state,
        empty="They appear when people make passkeys, or register keys and apps.",
    ),
    _kind(
        "Credential",
        Column(
            "USER", lambda item: str(item.status.user_ref.name or item.spec.user), rank=1, least=6
        ),
        Column("TYPE", _spec("type"), rank=1, least=6, most=12),
        _EXPIRES,
        _AGE,
        _DISABLED,
        tone=_enabled,
    ),
    _kind("Secret", _AGE),
    _kind("Config", _AGE),
    _kind(
        "IdentityProvider",
        Column("TYPE", _status("type"), rank=1, least=6, most=16),
        _AGE,
        _DISABLED,
        tone=_enabled,
        title="Identity providers",
    ),
    _kind("Namespace", _POLICIES, _AGE),
    _kind(
        "Gateway",
        Column("REGION", lambda item: str(item.status.region_ref.name), rank=1, least=8, most=20),
        Column("NODE", lambda item: str(item.status.node_ref.name), rank=2, least=8, most=30),
        _AGE,
        empty="They appear when the Cluster has a private network.",
    ),
    _kind("Region", _AGE),
    _kind("ClusterConfig", _AGE, title="Cluster configuration"),
    ACCESS,
    AUTHENTICATION,
    STATUS,
)
"""The views of who administers a Cluster."""

PERSON: Final = (
    View(
        "service",
        "My Services",
        (*KINDS["Service"].aliases, "service", "services"),
        (
            NAME,
            Column("TYPE", _spec("type"), rank=1, least=4, most=10),
            Column("PORT", lambda item: int(item.spec.port), Form.PORT, 3, 4, 5),
            Column("PUBLIC", lambda item: yes(item.spec.is_public), rank=2, least=6, most=6),
            Column("ADDRESSES", lambda item: ",".join(item.status.addresses), rank=5, least=10),
            _DISPLAY,
            Column(
                "DESCRIPTION",
                lambda item: str(item.metadata.description),
                rank=4,
                least=12,
                most=60,
            ),
        ),
    ),
    View("namespace", "Namespaces", ("namespace", "namespaces", "ns"), (NAME, _DISPLAY)),
    next(view for view in ADMINISTRATION if view.id == "session"),
    next(view for view in ADMINISTRATION if view.id == "device"),
    STATUS,
)
"""The views of a person who uses a Cluster."""


class Views:
    """Some views, by the words that mean them."""

    def __init__(self, views: tuple[View, ...]) -> None:
        self.all = views
        self._by_word: Mapping[str, View] = {word: view for view in views for word in view.words}

    @property
    def words(self) -> list[str]:
        """Every word that means a view, in order."""
        return sorted(self._by_word)

    def find(self, word: str) -> View | None:
        """The view that a word means, in any case."""
        return self._by_word.get(word.strip().lower())

    def hint(self, word: str) -> str:
        """What may have been meant."""
        known = ", ".join(view.id for view in self.all)
        return did_you_mean(word, self._by_word, otherwise=f"there are {known}")
