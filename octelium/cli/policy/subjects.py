"""From who is named in a test to the User and the Session that take part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.cli.policy.suite_reader import merged
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octelium.cli.policy.suite import Who


def subject(who: Who, find: Callable[[str, str], Any | None]) -> tuple[str, Mapping[str, Any]]:
    """The User's name (empty: nobody), and the fields of the Session in JSON form.

    A Session that a Credential opens has its type and a copy of its authorization. `find` looks
    a resource up by kind and name. Raises Invalid for a Credential that does not exist.
    """
    if not who.credential:
        return who.user, who.session
    credential = find("Credential", who.credential)
    if credential is None:
        raise Invalid("who", f"there is no Credential {who.credential}")
    spec = to_json(credential.spec)
    # The usual client of an authentication token is the command line.
    usual = "CLIENT" if spec.get("type") == "AUTH_TOKEN" else "CLIENTLESS"
    fields: dict[str, Any] = {"status": {"type": spec.get("sessionType", usual)}}
    if "authorization" in spec:
        fields["spec"] = {"authorization": spec["authorization"]}
    return credential.spec.user, merged(fields, who.session)
