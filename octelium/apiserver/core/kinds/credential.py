"""Credentials; deleting one leaves the Sessions that it opened."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any

from octelium.apiserver.core.rules import ListFilter, Rules

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction

_CHARACTERS = string.ascii_lowercase + string.digits


class CredentialRules(Rules):
    """A new Credential has an id, its OAuth2 client_id, and no token until one is generated."""

    name = "Credential"
    filters = (ListFilter("user_ref", "User", "status.userRef"),)

    def prepare(self, tx: Transaction, message: Any) -> None:
        """Give it an id that no other has."""
        while True:
            message.status.id = _new_id()
            if not tx.count("Credential", by={"status.id": message.status.id}):
                return


def _new_id() -> str:
    """Two groups of four letters and digits, a letter first: `k3x9-07ab`."""
    first = secrets.choice(string.ascii_lowercase)
    rest = "".join(secrets.choice(_CHARACTERS) for _ in range(7))
    return f"{first}{rest[:3]}-{rest[3:]}"


RULES = CredentialRules()
