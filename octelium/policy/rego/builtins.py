"""Which functions a module may call.

Those that Octelium's own engine offers
(https://octelium.com/docs/octelium/latest/management/core/policy#open-policy-agent) work as OPA
documents them, or are refused by name when a module is stored; nothing is ever undefined because
nobody knows the function. Names are those of
https://www.openpolicyagent.org/docs/policy-reference/builtins.
"""

from __future__ import annotations

from typing import Final

OPERATORS: Final = frozenset(
    {
        "and", "div", "equal", "gt", "gte", "internal.member_2", "internal.member_3", "lt", "lte",
        "minus", "mul", "neq", "or", "plus", "rem",
    }
)  # fmt: skip
"""Functions that stand for an infix operator."""

OFFERED: Final = frozenset(
    {
        # numbers
        "abs", "ceil", "floor", "round", "numbers.range", "numbers.range_step",
        "bits.and", "bits.lsh", "bits.negate", "bits.or", "bits.rsh", "bits.xor",
        # collections
        "count", "sum", "product", "max", "min", "sort",
        "array.concat", "array.flatten", "array.reverse", "array.slice",
        "intersection", "union",
        "object.filter", "object.get", "object.keys", "object.remove", "object.subset",
        "object.union", "object.union_n",
        # documents
        "json.filter", "json.is_valid", "json.marshal", "json.marshal_with_options", "json.patch",
        "json.remove", "json.unmarshal",
        "yaml.is_valid", "yaml.unmarshal",
        # strings
        "concat", "contains", "endswith", "format_int", "indexof", "indexof_n", "lower", "replace",
        "split", "sprintf", "startswith", "strings.any_prefix_match", "strings.any_suffix_match",
        "strings.count", "strings.replace_n", "strings.reverse", "substring", "trim", "trim_left",
        "trim_prefix", "trim_right", "trim_space", "trim_suffix", "upper",
        "regex.find_all_string_submatch_n", "regex.find_n", "regex.is_valid", "regex.match",
        "regex.replace", "regex.split", "regex.template_match",
        "glob.match", "glob.quote_meta",
        # types
        "is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string",
        "to_number", "type_name",
        # encodings
        "base64.decode", "base64.encode", "base64.is_valid", "base64url.decode",
        "base64url.encode", "base64url.encode_no_pad", "hex.decode", "hex.encode",
        "urlquery.decode", "urlquery.decode_object", "urlquery.encode", "urlquery.encode_object",
        # cryptography
        "crypto.hmac.equal", "crypto.hmac.md5", "crypto.hmac.sha1", "crypto.hmac.sha256",
        "crypto.hmac.sha512", "crypto.md5", "crypto.sha1", "crypto.sha256",
        "io.jwt.decode", "io.jwt.decode_verify",
        "io.jwt.verify_eddsa", "io.jwt.verify_es256", "io.jwt.verify_es384", "io.jwt.verify_es512",
        "io.jwt.verify_hs256", "io.jwt.verify_hs384", "io.jwt.verify_hs512", "io.jwt.verify_ps256",
        "io.jwt.verify_ps384", "io.jwt.verify_ps512", "io.jwt.verify_rs256", "io.jwt.verify_rs384",
        "io.jwt.verify_rs512",
        # time
        "time.add_date", "time.clock", "time.date", "time.diff", "time.format", "time.now_ns",
        "time.parse_duration_ns", "time.parse_ns", "time.parse_rfc3339_ns", "time.weekday",
        # networks, versions, chance
        "net.cidr_contains", "net.cidr_contains_matches", "net.cidr_expand", "net.cidr_intersects",
        "net.cidr_is_valid", "net.cidr_merge",
        "semver.compare", "semver.is_valid",
        "rand.intn", "uuid.rfc4122",
    }
)  # fmt: skip
"""Functions that modules may call by name."""

VOLATILE: Final = frozenset({"io.jwt.decode_verify", "rand.intn", "time.now_ns", "uuid.rfc4122"})
"""Functions whose result holds for one evaluation only: they look at the clock, or at chance."""

_REASONS: Final = {
    "crypto.x509.parse_and_verify_certificates": "certificates are not offered in Rego",
    "crypto.x509.parse_certificates": "certificates are not offered in Rego",
    "http.send": "a decision opens no connections",
    "io.jwt.encode_sign": "a decision signs nothing",
    "io.jwt.encode_sign_raw": "a decision signs nothing",
    "regex.globs_match": "intersections of patterns are not offered; use regex.match or glob.match",
    "yaml.marshal": "there are many ways to write YAML; use json.marshal",
    "strings.render_template": "templates are not offered; use sprintf or concat",
}
"""Functions that Octelium's own engine offers and this one does not."""


def refusal(name: str) -> str | None:
    """Why a module may not call a function, or None if it may."""
    if name in OFFERED or name in OPERATORS:
        return None
    reason = _REASONS.get(name)
    return f"{name} may not be called" + (f": {reason}" if reason else "")
