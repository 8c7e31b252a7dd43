from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client import settings
from octelium.client.connections import Remembered
from octelium.client.errors import SettingsError
from octelium.client.settings import Flags, Target, choose_domain, resolve, split_endpoint

if TYPE_CHECKING:
    from pathlib import Path

PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


def test_the_defaults() -> None:
    target = resolve("lab.test", Flags(), {}, Remembered())
    assert (target.host, target.port) == ("octelium-api.lab.test", 443)
    assert target.tls_server_name == "octelium-api.lab.test"
    assert target.api_name == "octelium-api.lab.test"
    assert not target.insecure
    assert target.socket is None


def test_flags_go_before_the_environment_before_memory(tmp_path: Path) -> None:
    files = {}
    for name in ("flag", "environment"):
        files[name] = tmp_path / name
        files[name].write_text(PEM + name)
    remembered = Remembered("memory:1", "memory.test", PEM + "memory")
    environ = {
        "OCTELIUM_API_ENDPOINT": "environment:2",
        "OCTELIUM_TLS_SERVER_NAME": "environment.test",
        "SSL_CERT_FILE": str(files["environment"]),
    }
    flags = Flags(endpoint="flag:3", tls_server_name="flag.test", ca_file=str(files["flag"]))

    def described(target: Target) -> tuple[str, str, str]:
        assert target.ca is not None
        return target.endpoint, target.tls_server_name, target.ca.decode().removeprefix(PEM)

    assert described(resolve("d", flags, environ, remembered)) == ("flag:3", "flag.test", "flag")
    from_environment = described(resolve("d", Flags(), environ, remembered))
    both = f"memory\n{PEM}environment"  # the machine's authorities add to the Cluster's own
    assert from_environment == ("environment:2", "environment.test", both)
    alone = described(resolve("d", Flags(), environ, Remembered()))
    assert alone == ("environment:2", "environment.test", "environment")
    from_memory = described(resolve("d", Flags(), {}, remembered))
    assert from_memory == ("memory:1", "memory.test", "memory")


def test_switches_of_the_environment() -> None:
    environ = {"OCTELIUM_INSECURE_TLS": "true", "OCTELIUM_AUTH_PROXY_SOCKET": "/run/x.sock"}
    target = resolve("lab.test", Flags(), environ, Remembered())
    assert target.insecure
    assert target.socket == "/run/x.sock"
    assert not resolve("d", Flags(), {"OCTELIUM_INSECURE_TLS": "false"}, Remembered()).insecure


def test_public_authorities_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(PEM)
    monkeypatch.setattr(settings, "_BUNDLES", (str(tmp_path / "none"), str(bundle)))
    assert resolve("d", Flags(), {}, Remembered()).ca == PEM.encode()
    monkeypatch.setattr(settings, "_BUNDLES", ())
    assert resolve("d", Flags(), {}, Remembered()).ca is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h", ("h", 443)),
        ("h:8443", ("h", 8443)),
        ("dns:///h:8443", ("h", 8443)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("[::1]", ("::1", 443)),
    ],
)
def test_endpoints(text: str, expected: tuple[str, int]) -> None:
    assert split_endpoint(text) == expected


def test_an_address_as_browsers_show_it() -> None:
    assert split_endpoint("https://h.test:8443/") == ("h.test", 8443)
    assert split_endpoint("HTTPS://h.test") == ("h.test", 443)
    with pytest.raises(SettingsError, match="HOST:PORT"):
        split_endpoint("https://h.test/path")


@pytest.mark.parametrize(
    "text", ["", ":1", "h:", "h:0", "h:65536", "h:x", "::1:443", "http://h:1", "a b:1", "h:\u0661"]
)
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(SettingsError, match="endpoint"):
        split_endpoint(text)


@given(st.text(max_size=30))
def test_any_text_is_an_endpoint_or_an_error(text: str) -> None:
    try:
        host, port = split_endpoint(text)
    except SettingsError:
        return
    assert host
    assert 0 < port < 65536


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    assert Target("d", "::1", 1, "d").endpoint == "[::1]:1"


def test_which_cluster() -> None:
    environ = {"OCTELIUM_DOMAIN": "Env.Test."}
    assert choose_domain("flag.test", environ, []) == "flag.test"
    assert choose_domain(None, environ, ["known.test"]) == "env.test"
    assert choose_domain(None, {}, ["known.test"]) == "known.test"
    assert choose_domain(None, {}, ["a", "b"], "b") == "b"
    assert choose_domain(None, environ, ["a", "b"], "b") == "env.test"
    with pytest.raises(SettingsError, match="several Clusters are known: a, b") as several:
        choose_domain(None, {}, ["a", "b"])
    assert "octelium context use" in several.value.remedy
    with pytest.raises(SettingsError, match="domain is not set") as caught:
        choose_domain(None, {}, [])
    assert "OCTELIUM_DOMAIN" in caught.value.remedy


@pytest.mark.parametrize(
    "domain", ["https://example.com", "a b", "example.com:443", "b\u00fccher.de"]
)
def test_what_is_no_domain(domain: str) -> None:
    with pytest.raises(SettingsError, match="not a domain name"):
        choose_domain(domain, {}, [])


def test_a_file_of_authorities_must_hold_certificates(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    for name, problem in (("key.pem", "no certificate"), ("none.pem", "No such file")):
        with pytest.raises(SettingsError, match=problem):
            resolve("d", Flags(ca_file=str(tmp_path / name)), {}, Remembered())


@pytest.mark.parametrize(
    ("endpoint", "place", "line"),
    [
        (None, "https://lab.test/ca.pem", "--domain lab.test --ca-file ca.pem"),
        ("127.0.0.1:443", "https://lab.test/ca.pem", "--domain lab.test --ca-file ca.pem"),
        (
            "127.0.0.1:8443",
            "https://lab.test:8443/ca.pem",
            "--domain lab.test --endpoint octelium-api.lab.test:8443 --ca-file ca.pem",
        ),
    ],
)
def test_a_file_of_authorities_that_is_elsewhere(
    tmp_path: Path, endpoint: str | None, place: str, line: str
) -> None:
    """The line that `octelium up` shows is for its own machine."""
    flags = Flags(endpoint=endpoint, ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(SettingsError, match="cannot read the CA file") as raised:
        resolve("lab.test", flags, {}, Remembered())
    assert f"save {place} (compare its fingerprint)" in raised.value.remedy
    assert f"octelium login {line}; without --ca-file if" in raised.value.remedy
