"""Credentials; deleting one leaves the Sessions that it opened."""

from octelium.apiserver.core.rules import ListFilter, Rules


class CredentialRules(Rules):
    """A new Credential has no token until one is generated."""

    name = "Credential"
    filters = (ListFilter("user_ref", "User", "status.userRef"),)


RULES = CredentialRules()
