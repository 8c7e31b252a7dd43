"""Secrets; their data goes in and never comes out."""

from octelium.apiserver.core.rules import Rules


class SecretRules(Rules):
    """`spec.data`, such as a certificate chain, is public; `data` is not."""

    name = "Secret"
    hidden = True


RULES = SecretRules()
