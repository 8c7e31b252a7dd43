"""Moves that let one User use one Service, as `octeliumctl grant` does.

The inline Policy is the one that the command would make, so that it can be named as the remedy.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.explain.moves import RULE, Move, add_item, named, set_field
from octelium.policy.cel.unparse import escaped
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.octovigil.explain.trace import Trace
    from octelium.replica.replica import Entry, ServiceEntry

_AT: Final = ("spec", "authorization", "inlinePolicies")
_RULE: Final = "granted"
_PATH: Final = "ctx.request.http.path"
_HTTP: Final = (core.ServiceSpecMode__.HTTP, core.ServiceSpecMode__.WEB)
_MAX_PATH: Final = 80
"""Characters of a path that somebody would write on a command line."""


def grants(told: Trace) -> Iterator[Move]:
    """Moves that grant the User the path that is asked for, and the whole Service."""
    user, service = told.parties.user, told.parties.service
    if user is None or service.message.metadata.is_system:
        return
    inline = service.message.spec.authorization.inline_policies
    name = f"grant-{user.name}"
    places = [index for index, policy in enumerate(inline) if policy.name == name]
    if not places:
        path = _path(told)
        if path:
            form = inline_policy(user, path)
            yield add_item(service, _AT, form, _text(user, service, path), RULE)
        yield add_item(service, _AT, inline_policy(user), _text(user, service), RULE)
    elif len(places) == 1 and [rule.name for rule in inline[places[0]].spec.rules] == [_RULE]:
        # The command replaces an earlier grant; what that let in must stay so.
        whole = inline_policy(user)
        yield set_field(service, (*_AT, places[0]), whole, _text(user, service), RULE)


def inline_policy(user: Entry[Any], path: str = "") -> dict[str, Any]:
    """The grant of a User in JSON form: of the whole Service, or of a path and those below it."""
    matches = [
        f"ctx.user.metadata.name == {json.dumps(user.name)}",
        f"ctx.user.metadata.uid == {json.dumps(user.uid)}",
    ]
    if prefix := path.rstrip("/"):
        own, below = json.dumps(prefix), json.dumps(f"{prefix}/")
        matches.append(f"{_PATH} == {own} || {_PATH}.startsWith({below})")
    condition = {"all": {"of": [{"match": match} for match in matches]}}
    rule = {"name": _RULE, "effect": "ALLOW", "condition": condition}
    return {"name": f"grant-{user.name}", "spec": {"rules": [rule]}}


def _path(told: Trace) -> str:
    """The path of the request; empty for all of them, and where a grant of it makes no sense."""
    if told.parties.service.message.spec.mode not in _HTTP:
        return ""
    http = (told.supposition.request or {}).get("http")
    path = http.get("path") if isinstance(http, dict) else None
    if not isinstance(path, str) or not path.startswith("/") or len(path) > _MAX_PATH:
        return ""
    return path if path.isprintable() and path.strip("/") else ""


def _text(user: Entry[Any], service: ServiceEntry, path: str = "") -> str:
    words = ["octeliumctl", "grant", user.name, service.name.removesuffix(".default")]
    if path:
        words += ["--path", path]
    text = f"let {named(user)} use {named(service)}: {escaped(shlex.join(words))}"
    return f"{text} (all of it: without --path)" if path else text
