"""Assertions of the platform that a workload runs on: how they are asked for, and their use.

Written `[IDENTITYPROVIDER:]TYPE[:KEY=VALUE,...]`, as Octelium's command line has it:
https://octelium.com/docs/octelium/latest/management/core/identity-provider/workloads
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from octelium.client.errors import ApiError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from octelium.client.tokens import Exchange
    from octelium.schema.pb import auth_v1_pb2 as auth

KUBERNETES_FILE: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"
FORM: Final = "[IDENTITYPROVIDER:]TYPE[:KEY=VALUE,...]"
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "k8s": frozenset(),
    "kubernetes": frozenset(),
    "azure": frozenset({"audience"}),
    "github-actions": frozenset({"audience"}),
    "jwt": frozenset({"env", "file"}),
}
_LONGEST: Final = 5000
_FILE_BYTES: Final = 64 << 10


@dataclass(frozen=True)
class Assertion:
    """An assertion for an IdentityProvider; without a name, for the one of its issuer.

    `read` gets it anew each time, since platforms exchange it before it expires.
    """

    provider: str
    read: Callable[[], str]

    def tokens(self, exchange: Exchange, scopes: Sequence[str]) -> auth.SessionToken:
        """Make a Session. Raises SettingsError, ApiError."""
        assertion = _checked(self.read())
        try:
            return exchange.vouch(assertion, self.provider, scopes)
        except ApiError as error:
            if error.code != "UNAUTHENTICATED":
                raise
            raise ApiError(
                error.code,
                "the Cluster does not accept this assertion",
                error.method,
                "it must come from an enabled IdentityProvider for workloads, be meant for this "
                "Cluster (its audience), still be good, and its subject must be an identity of a "
                "WORKLOAD User; administrators see why: octeliumctl logs auth --outcome refused",
            ) from error


def assertion_of(text: str, environ: Mapping[str, str], domain: str) -> Assertion:
    """The assertion that `text` asks for. Raises SettingsError when it makes no sense."""
    provider, kind, options = _parsed(text)
    return Assertion(provider, _source(kind, options, environ, domain))


def assertion_in(path: str) -> Assertion:
    """The assertion in a file, for the IdentityProvider of its issuer."""
    return Assertion("", lambda: _file(path))


def _parsed(text: str) -> tuple[str, str, dict[str, str]]:
    words = text.split(":")
    provider = ""
    if len(words) > 1 and words[1] in _KEYS:
        provider, *words = words
        if not provider:
            raise SettingsError(f"assertion {text!r} names no IdentityProvider", f"write {FORM}")
    kind, rest = words[0], ":".join(words[1:])
    if kind not in _KEYS:
        known = ", ".join(_KEYS)
        raise SettingsError(
            f"assertion {text!r} has no known type", f"write {FORM}; the types are {known}"
        )
    options: dict[str, str] = {}
    for pair in rest.split(",") if rest else ():
        key, equals, value = pair.partition("=")
        if not equals or not value or key not in _KEYS[kind] or key in options:
            takes = ", ".join(f"{known}=VALUE" for known in sorted(_KEYS[kind])) or "nothing more"
            raise SettingsError(f"assertion {text!r}: {pair!r} is wrong", f"{kind} takes {takes}")
        options[key] = value
    if kind == "jwt" and len(options) != 1:
        raise SettingsError(
            f"assertion {text!r} does not say where the token is",
            "write jwt:env=NAME or jwt:file=PATH",
        )
    return provider, kind, options


def _source(
    kind: str, options: dict[str, str], environ: Mapping[str, str], domain: str
) -> Callable[[], str]:
    if kind in ("k8s", "kubernetes"):
        return lambda: _file(KUBERNETES_FILE)
    if kind == "jwt":
        if "file" in options:
            return lambda: _file(options["file"])
        return lambda: _variable(environ, options["env"])
    # What asks a platform over the network brings an HTTP client along.
    from octelium.client import platforms

    if kind == "azure":
        return lambda: platforms.azure(options.get("audience", domain))
    return lambda: platforms.github_actions(environ, options.get("audience", f"https://{domain}"))


def _file(path: str) -> str:
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(_FILE_BYTES)
    except OSError as error:
        raise SettingsError(
            f"cannot read the assertion in {path}: {error.strerror}",
            "check that the platform puts a token there",
        ) from error
    return content.decode("ascii", "replace")


def _variable(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise SettingsError(f"the environment has no assertion in {name}", f"set {name}")
    return value


def _checked(assertion: str) -> str:
    assertion = assertion.strip()
    problem = ""
    if not assertion:
        problem = "is empty"
    elif len(assertion) > _LONGEST:
        problem = f"is longer than {_LONGEST} characters"
    elif not (assertion.isascii() and assertion.isprintable()) or assertion.count(".") != 2:
        problem = "is no signed JWT"
    if problem:
        raise SettingsError(f"the assertion {problem}", "check where it comes from")
    return assertion
