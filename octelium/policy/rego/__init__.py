"""Rego modules: what they may contain, how they are evaluated, and what they result in.

The language is Rego v1 (https://www.openpolicyagent.org/docs/policy-language). The way of a module:
`tokens`, `parser` (with `terms`) to a tree of `ast`, `resolver` (with `rulebook` and `names`) to
one of `tree`, whose names are known to mean something, `compiler` (with `safety` and `steps`) to
closures, `program` to results. Conditions and configurations use it by `module`.
"""
