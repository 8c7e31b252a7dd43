"""IdentityProviders."""

from octelium.apiserver.core.rules import Rules


class IdentityProviderRules(Rules):
    """Looked up by a uid or a name, not by both."""

    name = "IdentityProvider"
    exclusive_lookup = True


RULES = IdentityProviderRules()
