"""What a new resource looks like before it is one: YAML to begin with, by kind."""

from __future__ import annotations

from typing import Final

_TEXTS: Final = {
    "Service": """\
kind: Service
metadata:
  name: NAME
spec:
  mode: HTTP
  isPublic: true
  config:
    upstream:
      url: http://127.0.0.1:8080
  authorization:
    policies: []
""",
    "User": """\
kind: User
metadata:
  name: NAME
spec:
  type: HUMAN
  # email: NAME@example.com
  groups: []
""",
    "Group": """\
kind: Group
metadata:
  name: NAME
spec:
  authorization:
    policies: []
""",
    "Policy": """\
kind: Policy
metadata:
  name: NAME
spec:
  rules:
    - name: the-group-may
      effect: ALLOW
      condition:
        match: '"ops" in ctx.user.spec.groups'
""",
    "Credential": """\
kind: Credential
metadata:
  name: NAME
spec:
  type: AUTH_TOKEN
  user: SOMEBODY
  sessionType: CLIENT
""",
    "Namespace": """\
kind: Namespace
metadata:
  name: NAME
spec: {}
""",
    "IdentityProvider": """\
kind: IdentityProvider
metadata:
  name: NAME
spec:
  github:
    clientID: CLIENT-ID
    clientSecret:
      fromSecret: NAME-secret
""",
}
_HEADER: Final = """\
# Fill this in, save and close: it is checked and shown before anything is made.
# Leave it as it is, or empty it, to make nothing.
"""


def template(kind: str) -> str:
    """The YAML that a new resource of a kind begins with. Raises KeyError."""
    return _HEADER + _TEXTS[kind]


def has_template(kind: str) -> bool:
    """Whether resources of a kind can be begun so."""
    return kind in _TEXTS
