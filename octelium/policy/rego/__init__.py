"""Rego modules: what they may contain, how they are evaluated, and what they result in.

The language is Rego v1 (https://www.openpolicyagent.org/docs/policy-language). A module is compiled
to OPA's intermediate representation (https://www.openpolicyagent.org/docs/ir) by another process;
`plan` verifies that and `machine` runs it. Conditions only say which result they need (`needed`).
"""
