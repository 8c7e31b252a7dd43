"""Rules for single texts, by the names that the tables of `limits` use."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit
from xml.parsers import expat

from octelium.schema import names
from octelium.schema.dns_servers import REMEDY, parse_dns_server
from octelium.schema.errors import Invalid
from octelium.schema.url_ports import SCHEME_PORTS, url_port
from octelium.schema.validation.rules import Validator, context_rule, text_rule

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\uffff]*")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_EMAIL = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_REQUEST_PATH = re.compile(r"/[\x21-\x22\x24-\x3e\x40-\x7e]*")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}|[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){31}")


# Texts of any kind.


@text_rule("anything")
def anything(value: Any, path: str) -> None:
    """Texts and bytes that only their length limits."""


@text_rule("text")
@text_rule("program")
def text(value: str, path: str) -> None:
    """Text of several lines."""
    if _CONTROL_IN_TEXT.search(value):
        raise Invalid(path, "holds a control character")


@text_rule("line")
def line(value: str, path: str) -> None:
    """Text of one line, in any script."""
    if _CONTROL.search(value):
        raise Invalid(path, "holds a control character or a line break")


@text_rule("ascii")
def ascii_line(value: str, path: str) -> None:
    """Text of one line in ASCII."""
    if not value.isascii() or _CONTROL.search(value):
        raise Invalid(path, "may hold only printable ASCII characters")


@text_rule("token")
def token(value: str, path: str) -> None:
    """A word of printable ASCII characters."""
    if _TOKEN.fullmatch(value) is None:
        raise Invalid(path, f"{value!r} is not a word of printable ASCII characters")


@text_rule("label")
def label(value: str, path: str) -> None:
    """The name of a part of a resource."""
    if not names.is_label(value):
        raise Invalid(path, f"{value!r} is not a valid name", names.LABEL_RULE)


@text_rule("email")
def email(value: str, path: str) -> None:
    """An e-mail address in lower case (RFC 5321, without quoted local parts)."""
    if value != value.lower():
        raise Invalid(path, f"{value!r} is not in lower case", f"write {value.lower()}")
    if _EMAIL.fullmatch(value) is None:
        raise Invalid(path, f"{value!r} is not an e-mail address")


@text_rule("seconds")
def seconds(value: str, path: str) -> None:
    """A number of seconds written as a text."""
    if not re.fullmatch(r"-?[0-9]+", value):
        raise Invalid(path, f"{value!r} is not a number of seconds")


@text_rule("sha256")
def sha256(value: str, path: str) -> None:
    """A SHA-256 fingerprint in hexadecimal, with or without colons."""
    if _SHA256.fullmatch(value) is None:
        raise Invalid(path, f"{value!r} is not a SHA-256 fingerprint", "write 64 hex digits")


@text_rule("regex")
def regex(value: str, path: str) -> None:
    """A regular expression of RE2 (https://github.com/google/re2/wiki/Syntax)."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(value, options=options)
    except re2.error as error:
        raise Invalid(path, f"not a regular expression: {error}") from None


# Hosts and URLs.


def is_host(value: str) -> bool:
    """Whether a text is a DNS name or an IP address (IPv6 with or without brackets)."""
    bracketed = value.startswith("[") and value.endswith("]")
    try:
        ipaddress.ip_address(value[1:-1] if bracketed else value)
    except ValueError:
        name = value.removesuffix(".")
        return len(name) <= 253 and all(_HOST_LABEL.fullmatch(part) for part in name.split("."))
    return True


@text_rule("host")
def host(value: str, path: str) -> None:
    """A DNS name or an IP address."""
    if not is_host(value):
        raise Invalid(path, f"{value!r} is not a host name")


@text_rule("host and port")
def host_and_port(value: str, path: str) -> None:
    """A host, with or without a port."""
    try:
        parts = urlsplit(f"//{value}")
        sound = parts.netloc == value and "@" not in value and is_host(parts.hostname or "")
        port = parts.port
    except ValueError:
        sound, port = False, None
    if not sound or port == 0:
        raise Invalid(path, f"{value!r} is not a host, or a host and a port")


def split_url(value: str, path: str) -> SplitResult:
    """The parts of an absolute URL with a host. Raises Invalid for anything else."""
    remedy = "write it as scheme://host or scheme://host:port"
    if _TOKEN.fullmatch(value) is None or not value.isascii():
        raise Invalid(path, "is not a URL: it is empty or holds other than ASCII characters")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise Invalid(path, f"{value!r} is not a URL: {error}", remedy) from None
    if "://" not in value or not parts.scheme:
        raise Invalid(path, f"{value!r} has no scheme", remedy)
    if not parts.hostname or not is_host(parts.hostname):
        raise Invalid(path, f"{value!r} has no valid host", remedy)
    if port == 0:
        raise Invalid(path, f"{value!r} has the port 0", "ports are 1 to 65535")
    return parts


@text_rule("upstream url")
def upstream_url(value: str, path: str) -> None:
    """A URL with a scheme whose port is known or written."""
    parts = split_url(value, path)
    if url_port(parts) is None:
        known = ", ".join(sorted(SCHEME_PORTS))
        raise Invalid(
            path,
            f"the scheme {parts.scheme!r} has no known port",
            f"add a port, or use one of {known}",
        )


@text_rule("http url")
def http_url(value: str, path: str) -> None:
    """A URL of http or https."""
    if split_url(value, path).scheme not in {"http", "https"}:
        raise Invalid(path, f"{value!r} is neither an http nor an https URL")


@text_rule("https url")
def https_url(value: str, path: str) -> None:
    """A URL of https."""
    if split_url(value, path).scheme != "https":
        raise Invalid(path, f"{value!r} is not an https URL")


@text_rule("dns server")
def dns_server(value: str, path: str) -> None:
    """A DNS name, an IP address or a URL such as `dot://1.1.1.1`."""
    try:
        parse_dns_server(value)
    except ValueError as error:
        raise Invalid(path, str(error), REMEDY) from None


@text_rule("origin")
def origin(value: str, path: str) -> None:
    """A web origin (RFC 6454) or `*`."""
    if value == "*":
        return
    parts = split_url(value, path)
    if value != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise Invalid(path, f"{value!r} is not an origin", "write * or scheme://host[:port]")


# HTTP.


@text_rule("header name")
def header_name(value: str, path: str) -> None:
    """A field name (RFC 9110, section 5.1)."""
    if _HEADER_NAME.fullmatch(value) is None:
        raise Invalid(path, f"{value!r} is not a header name")


@text_rule("header value")
def header_value(value: str, path: str) -> None:
    """A field value (RFC 9110, section 5.5)."""
    if _HEADER_VALUE.fullmatch(value) is None or value != value.strip():
        raise Invalid(path, "is not a header value", "no line breaks, no spaces at its ends")


@text_rule("request path")
def request_path(value: str, path: str) -> None:
    """The path of a request: begins with a slash, has neither query nor fragment."""
    if _REQUEST_PATH.fullmatch(value) is None:
        raise Invalid(path, f"{value!r} is not the path of a request", "begin it with /")


@text_rule("endpoint path")
def endpoint_path(value: str, path: str) -> None:
    """The canonical path of an endpoint, not one of the well-known ones (RFC 8615)."""
    request_path(value, path)
    segments = value[1:].split("/")
    if any(part in {".", ".."} for part in segments) or "" in segments[:-1]:
        raise Invalid(path, f"{value!r} is not canonical", "write it without //, . and ..")
    if value == "/.well-known" or value.startswith("/.well-known/"):
        raise Invalid(path, "is under /.well-known/", "choose another path")


# Structured texts.


@text_rule("certificates")
def certificates(value: str, path: str) -> None:
    """One or more X.509 certificates in PEM."""
    from cryptography import x509

    try:
        x509.load_pem_x509_certificates(value.encode())
    except ValueError:
        raise Invalid(
            path,
            "is not a PEM certificate",
            "begin it with -----BEGIN CERTIFICATE----- (in YAML after a | on the line before)",
        ) from None


@text_rule("xml")
def xml(value: str, path: str) -> None:
    """A well-formed XML document without a document type."""

    def refuse(*_: object) -> None:
        raise Invalid(path, "has a document type", "remove the <!DOCTYPE> declaration")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(value, True)
    except expat.ExpatError as error:
        raise Invalid(path, f"is not well-formed XML: {error}") from None


@text_rule("jwks")
def jwks(value: str, path: str) -> None:
    """A JSON Web Key Set (RFC 7517) with at least one key that is understood."""
    remedy = 'write {"keys": [...]} with at least one public key'
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        raise Invalid(path, "is not JSON", remedy) from None
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list):
        raise Invalid(path, "is not a key set", remedy)
    if not any(_is_key(key) for key in keys):
        raise Invalid(path, "holds no key that is understood", remedy)


def _is_key(key: Any) -> bool:
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    try:
        import_key(key)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


# References and expressions.


@context_rule("secret")
def secret(value: str, path: str, validator: Validator) -> None:
    """The name of a Secret; the Cluster's own (`sys:…`, `crt-ns-…`) cannot be named."""
    _own_name("Secret", value, path)
    validator.own_reference("Secret", value, path)


@context_rule("config")
def config(value: str, path: str, validator: Validator) -> None:
    """The name of a Config; the Cluster's own cannot be named."""
    _own_name("Config", value, path)
    validator.own_reference("Config", value, path)


def _own_name(kind: str, value: str, path: str) -> None:
    if not names.is_label(value):
        raise Invalid(path, f"{value!r} is not the name of a {kind}", names.LABEL_RULE)


@context_rule("policy")
def policy(value: str, path: str, validator: Validator) -> None:
    """The name of a Policy."""
    validator.reference("Policy", value, path)


@context_rule("user")
def user(value: str, path: str, validator: Validator) -> None:
    """The name of a User."""
    validator.reference("User", value, path)


@context_rule("group")
def group(value: str, path: str, validator: Validator) -> None:
    """The name of a Group."""
    validator.reference("Group", value, path)


@context_rule("identity provider")
def identity_provider(value: str, path: str, validator: Validator) -> None:
    """The name of an IdentityProvider."""
    validator.reference("IdentityProvider", value, path)


@context_rule("region")
def region(value: str, path: str, validator: Validator) -> None:
    """The name of a Region."""
    validator.reference("Region", value, path)


@context_rule("cel")
def cel(value: str, path: str, validator: Validator) -> None:
    """A CEL expression."""
    if not value.strip():
        raise Invalid(path, "the expression is empty")
    validator.expressions.check_cel(value, path)


@context_rule("rego")
def rego(value: str, path: str, validator: Validator) -> None:
    """A Rego module."""
    if not value.strip():
        raise Invalid(path, "the module is empty")
    validator.expressions.check_rego(value, path)


@text_rule("issuer")
def issuer(value: str, path: str) -> None:
    """The issuer URL of an OpenID Provider (OpenID Connect Discovery 1.0, section 3)."""
    canonical_issuer(value, path)


_DISCOVERY = "/.well-known/openid-configuration"


def canonical_issuer(value: str, path: str) -> str:
    """The issuer URL as it is stored: scheme and host in lower case, no slash at the end."""
    parts = split_url(value.strip(), path)
    if parts.scheme != "https":
        raise Invalid(path, f"{value!r} is not an https URL")
    if "@" in parts.netloc or "?" in value or "#" in value:
        raise Invalid(path, "may have neither user, query nor fragment")
    trimmed = parts.path.rstrip("/")
    if trimmed.endswith(_DISCOVERY):
        raise Invalid(path, "is the discovery document, not the issuer", f"leave out {_DISCOVERY}")
    return f"https://{parts.netloc.lower()}{trimmed}"


@text_rule("json schema")
def json_schema(value: str, path: str) -> None:
    """A JSON Schema."""
    from octelium.schema.validation.json_schema import check_schema

    check_schema(value, path)
