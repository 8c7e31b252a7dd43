from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from octelium.schema.errors import Invalid
from octelium.schema.url_ports import url_port
from octelium.schema.validation import texts
from octelium.schema.validation.rules import Validator
from tests.schema.validation.world import World, service

ACCEPTED: list[tuple[Any, list[str]]] = [
    (texts.text, ["a\nb\tc", "é", ""]),
    (texts.line, ["Corp SSO", "日本", ""]),
    (texts.ascii_line, ["a b~"]),
    (texts.token, ["nginx:1.25", "a"]),
    (texts.label, ["ab", "a1-b"]),
    (texts.email, ["a@b", "first.last+x@sub.acme.test", "a'b@x.org"]),
    (texts.seconds, ["600", "-1"]),
    (texts.sha256, ["a" * 64, ":".join(["AB"] * 32)]),
    (texts.regex, ["a+", r"^\d{3}$"]),
    (texts.host, ["h", "a.b-c.d", "10.0.0.1", "::1", "[::1]", "_dmarc.x", "x.org."]),
    (texts.host_and_port, ["h", "h:80", "[::1]:80", "10.0.0.1"]),
    (texts.upstream_url, ["http://h", "https://h:8443/x?y#z", "tcp://h:1", "postgres://10.0.0.6",
                          "http://[::1]:80", "ssh://h"]),
    (texts.http_url, ["http://h", "https://h/x"]),
    (texts.https_url, ["https://h"]),
    (texts.dns_server, ["1.1.1.1", "dot://1.1.1.1", "dns.x", "1.1.1.1:5353", "::1"]),
    (texts.origin, ["*", "https://a.b", "http://h:8080"]),
    (texts.header_name, ["X-A", "a"]),
    (texts.header_value, ["a b", "", "ü"]),
    (texts.request_path, ["/", "/a/b%20c", "/a;b=c"]),
    (texts.endpoint_path, ["/", "/mcp", "/a/b/"]),
    (texts.xml, ["<a><b c='d'/></a>"]),
    (texts.issuer, ["https://sso.acme.test", "https://h/realms/x/", "HTTPS://H"]),
    (texts.json_schema, ["true", '{"type": "object"}']),
    (texts.anything, ["\x00"]),
]  # fmt: skip

REFUSED: list[tuple[Any, list[str]]] = [
    (texts.text, ["\x00", "\x1b[0m", "\x7f"]),
    (texts.line, ["a\nb", "\x85", "\r"]),
    (texts.ascii_line, ["é", "a\nb"]),
    (texts.token, ["", "a b", "é"]),
    (texts.label, ["a", "A1", "a_b", ""]),
    (texts.email, ["", "a", "A@b.c", "a@", "@b", "a b@c", "a@b@c", "a..b@c", "é@x", "a@-b",
                   "a@b\n"]),
    (texts.seconds, ["", "1.5", "1s"]),
    (texts.sha256, ["", "a" * 63, "g" * 64]),
    (texts.regex, ["(", "[", r"(?=a)"]),
    (texts.host, ["", "a b", "-a", "a..b", "h:80", "a/b", "[::1", "x" * 64, "é"]),
    (texts.host_and_port, ["", "h:0", "h:70000", "a@h", "h/x", "a b:1"]),
    (texts.upstream_url, ["", "h", "h:80", "http:h", "http://", "http://a b", "tcp://h",
                          "http://h:0", "http://h:99999", "http://h:x", "http://[::1", "http://é",
                          "http://h\n", "//h", "unix:///x"]),
    (texts.http_url, ["ftp://h"]),
    (texts.https_url, ["http://h"]),
    (texts.dns_server, ["", "a b", "dot://", "1.1.1.1:0"]),
    (texts.origin, ["", "h", "https://h/", "https://h/x", "https://u@h", "https://h?"]),
    (texts.header_name, ["", "a b", "a:", "é", "a\r\n"]),
    (texts.header_value, ["a\nb", "a\r\nX: y", "\x00", " a", "a "]),
    (texts.request_path, ["", "a", "/a b", "/a?b", "/a#b", "/é"]),
    (texts.endpoint_path, ["", "a", "//", "/a//b", "/a/../b", "/./a", "/.well-known/x",
                           "/.well-known"]),
    (texts.xml, ["", "<a>", "<a></b>", "text", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>']),
    (texts.issuer, ["http://h", "https://u@h", "https://h?x", "https://h#x", "h", "",
                    "https://h/.well-known/openid-configuration"]),
    (texts.json_schema, ["", "{", "5", '{"type": "objekt"}']),
    (texts.certificates, ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]),
    (texts.jwks, ["", "[]", "{}", '{"keys": []}', '{"keys": [{}]}', '{"keys": [5]}',
                  '{"keys": [{"kty": "EC"}]}']),
]  # fmt: skip


def call(rule: Any, value: str) -> None:
    rule(value, "spec.x")


@pytest.mark.parametrize(
    ("rule", "value"), [(rule, value) for rule, values in ACCEPTED for value in values]
)
def test_accepted(rule: Any, value: str) -> None:
    call(rule, value)


@pytest.mark.parametrize(
    ("rule", "value"), [(rule, value) for rule, values in REFUSED for value in values]
)
def test_refused(rule: Any, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        call(rule, value)
    assert refused.value.path == "spec.x"


@pytest.mark.parametrize("rule", [rule for rule, _ in REFUSED])
@given(value=st.text(max_size=30))
def test_any_text_is_accepted_or_refused(rule: Any, value: str) -> None:
    path = "spec.x"
    try:
        call(rule, value)
    except Invalid as refused:
        path = refused.path
    assert path == "spec.x"


def certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_certificates(world: World) -> None:
    pem = certificate()
    texts.certificates(pem + pem, "x")
    [made] = world.read(service("{mode: WEB, config: {upstream: {url: 'https://h'}, tls: {}}}"))
    made.spec.config.tls.trusted_c_as.append(pem)
    world.validate(made)
    made.spec.config.tls.trusted_c_as.append("not one")
    with pytest.raises(Invalid, match=r"spec\.config\.tls\.trustedCAs\[1\]"):
        world.validate(made)


def test_a_key_set_needs_one_key_that_is_understood() -> None:
    key = ECKey.generate_key("P-256").as_dict(private=False)
    texts.jwks(json.dumps({"keys": [{"kty": "unknown"}, key]}), "x")


@pytest.mark.parametrize(
    ("issuer", "canonical"),
    [
        (" HTTPS://SSO.Acme.Test/ ", "https://sso.acme.test"),
        ("https://h:8443/Realms/X//", "https://h:8443/Realms/X"),
    ],
)
def test_issuers_are_canonical(issuer: str, canonical: str) -> None:
    assert texts.canonical_issuer(issuer, "x") == canonical
    assert texts.canonical_issuer(canonical, "x") == canonical


def test_ports_of_urls() -> None:
    assert url_port(texts.split_url("http://h", "x")) == 80
    assert url_port(texts.split_url("http://h:1", "x")) == 1
    assert url_port(texts.split_url("tcp://h", "x")) is None


def test_the_secrets_of_the_cluster_itself_cannot_be_named(world: World) -> None:
    """Else whoever may write Services could have a signing key sent to an upstream."""
    [own] = world.read("kind: Secret\nmetadata: {name: token2}\nspec: {}\ndata: {value: x}\n")
    own.metadata.name = "sys:signing-key"
    world.put(own)
    validator = Validator(view=world, expressions=world, now=0)
    with pytest.raises(Invalid, match="not the name of a Secret"):
        texts.secret("sys:signing-key", "x", validator)
    with pytest.raises(Invalid, match="not the name of a Config"):
        texts.config("sys:x", "x", validator)


@pytest.mark.parametrize(("rule", "kind"), [(texts.secret, "Secret"), (texts.config, "Config")])
@pytest.mark.parametrize("mark", ["is_system", "is_system_hidden"])
def test_system_objects_are_refused_as_if_they_were_not_there(
    world: World, rule: Any, kind: str, mark: str
) -> None:
    [own] = world.read(
        f"kind: {kind}\nmetadata: {{name: token2}}\nspec: {{}}\ndata: {{value: x}}\n"
    )
    world.put(own)
    validator = Validator(view=world, expressions=world, now=0)
    rule("token2", "x", validator)
    setattr(own.metadata, mark, True)
    with pytest.raises(Invalid) as own_refused:
        rule("token2", "x", validator)
    world.resources.clear()
    with pytest.raises(Invalid) as missing:
        rule("token2", "x", validator)
    assert str(own_refused.value) == str(missing.value)


@pytest.mark.parametrize("view", [True, False])
def test_a_certificate_is_refused_by_its_name_alone(world: World, *, view: bool) -> None:
    """A configuration that an expression computes is checked without a view of the store."""
    validator = Validator(view=world if view else None, expressions=world, now=0)
    with pytest.raises(Invalid, match="there is no Secret 'crt-ns-default'"):
        texts.secret("crt-ns-default", "x", validator)


def test_a_service_cannot_send_the_certificate_upstream(world: World) -> None:
    [own] = world.read("kind: Secret\nmetadata: {name: ab}\nspec: {}\ndata: {value: x}\n")
    own.metadata.name = "crt-ns-default"
    own.metadata.is_system = own.metadata.is_system_hidden = True
    world.put(own)
    for auth in (
        "basic: {username: u, password: {fromSecret: crt-ns-default}}",
        "bearer: {fromSecret: crt-ns-default}",
        "custom: {header: X-Key, value: {fromSecret: crt-ns-default}}",
    ):
        text = (
            "kind: Service\nmetadata: {name: steal}\nspec: {mode: HTTP, config: {"
            f'upstream: {{url: "http://h"}}, http: {{auth: {{{auth}}}}}}}}}\n'
        )
        assert "there is no Secret 'crt-ns-default'" in str(world.refusal(text))


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (texts.policy, "Policy"),
        (texts.user, "User"),
        (texts.group, "Group"),
        (texts.identity_provider, "IdentityProvider"),
        (texts.region, "Region"),
        (texts.secret, "Secret"),
        (texts.config, "Config"),
    ],
)
def test_references(world: World, rule: Any, kind: str) -> None:
    validator = Validator(view=world, expressions=world, now=0)
    with pytest.raises(Invalid, match=f"there is no {kind} 'gone'"):
        rule("gone", "x", validator)


def test_expressions_are_not_blank(world: World) -> None:
    validator = Validator(view=world, expressions=world, now=0)
    for rule in (texts.cel, texts.rego):
        with pytest.raises(Invalid, match="is empty"):
            rule(" \n", "x", validator)
    with pytest.raises(Invalid, match="not a Rego module"):
        texts.rego("x", "x", validator)
