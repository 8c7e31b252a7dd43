"""What is likely wrong with expressions that compile: typos, comparisons that never hold.

The compiler takes `ctx` for anything; here its form is known (`octelium.policy.shape`). Findings
are warnings. What has no fixed form (`attrs`, `ext`, labels, headers, …) is never found fault with.
"""

from __future__ import annotations

from octelium.policy.lint.conditions import lint_condition, lint_value
from octelium.policy.lint.finding import Finding
from octelium.policy.lint.review import Attachments, attachment_of, review

__all__ = [
    "Attachments",
    "Finding",
    "attachment_of",
    "lint_condition",
    "lint_value",
    "review",
]
