"""The functions that modules can call, one module per group of OPA's documentation.

https://www.openpolicyagent.org/docs/policy-reference/builtins. Each takes the evaluation's `Meter`
and its arguments, all of them defined, and raises `RegoError` for those it does not take: errors of
functions are errors of the evaluation, as OPA has it with strict errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.policy.rego.functions import (
    collections,
    documents,
    encodings,
    hashes,
    jwt,
    networks,
    numbers,
    objects,
    operators,
    patching,
    paths,
    patterns,
    regexes,
    strings,
    templates,
    times,
    types,
    versions,
)

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

FUNCTIONS: Final[Functions] = {
    **operators.FUNCTIONS,
    **numbers.FUNCTIONS,
    **collections.FUNCTIONS,
    **objects.FUNCTIONS,
    **documents.FUNCTIONS,
    **paths.FUNCTIONS,
    **patching.FUNCTIONS,
    **strings.FUNCTIONS,
    **templates.FUNCTIONS,
    **regexes.FUNCTIONS,
    **patterns.FUNCTIONS,
    **types.FUNCTIONS,
    **encodings.FUNCTIONS,
    **hashes.FUNCTIONS,
    **jwt.FUNCTIONS,
    **times.FUNCTIONS,
    **networks.FUNCTIONS,
    **versions.FUNCTIONS,
}
"""Every function by name, with the number of its arguments."""
