"""Documents of many Services."""

from __future__ import annotations

_SERVICE = """\
kind: Service
metadata: {name: svc%d.prod}
spec:
  mode: WEB
  isPublic: true
  config:
    upstream: {url: "http://10.0.0.5:8080"}
    http: {header: {addRequestHeaders: [{key: X-A, value: "1"}]}}
  authorization:
    inlinePolicies:
      - name: only-ops
        spec: {rules: [{effect: ALLOW, condition: {match: 'ctx.user.metadata.name == "alice"'}}]}
---
"""


def services(count: int) -> str:
    """As many of them, `svc0.prod` first."""
    return "".join(_SERVICE % number for number in range(count))
