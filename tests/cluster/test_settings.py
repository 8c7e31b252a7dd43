from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from octelium.cluster.settings import (
    Address,
    SettingsError,
    check_domain,
    default_data_dir,
    from_wire,
    load,
    to_wire,
)


def test_flags_beat_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    file = tmp_path / "up.yaml"
    file.write_text("domain: file.example\nworkers: 3\nlisten: ['127.0.0.1:1']\n")
    environment = {"OCTELIUM_DOMAIN": "env.example", "OCTELIUM_WORKERS": "4"}
    settings = load({"domain": "flag.example"}, environment, str(file))
    assert (settings.domain, settings.workers) == ("flag.example", 4)
    assert settings.listen == (Address("127.0.0.1", 1),)


def test_defaults() -> None:
    settings = load({"domain": "Example.COM."}, {}, None)
    assert settings.domain == "example.com"
    assert settings.listen == (Address("", 443),)
    assert settings.port_suffix == ""
    assert settings.data_dir == default_data_dir()
    assert settings.workers >= 1


def test_urls_carry_another_port() -> None:
    settings = load({"domain": "a.example", "listen": ("127.0.0.1:8443",)}, {}, None)
    assert (settings.public_port, settings.port_suffix) == (8443, ":8443")


def test_github_is_itself_or_an_enterprise_server() -> None:
    assert load({"domain": "a.example"}, {}, None).github_url == "https://github.com"
    for text in ("https://GitHub.example.com/", " https://github.example.com"):
        settings = load({"domain": "a.example"}, {"OCTELIUM_GITHUB_URL": text}, None)
        assert settings.github_url == "https://github.example.com"
    for text in (
        "http://github.example.com",
        "github.example.com",
        "https://github.example.com/path",
        "https://user@github.example.com",
        "https://",
    ):
        with pytest.raises(SettingsError, match="OCTELIUM_GITHUB_URL"):
            load({"domain": "a.example"}, {"OCTELIUM_GITHUB_URL": text}, None)


def test_the_person_of_the_first_start() -> None:
    assert load({"domain": "a.example"}, {}, None).admin == "admin"
    assert load({"domain": "a.example"}, {"OCTELIUM_ADMIN": "ann"}, None).admin == "ann"
    assert load({"domain": "a.example", "admin": ""}, {"OCTELIUM_ADMIN": "ann"}, None).admin == ""


def test_the_tunnel_is_set_as_everything_else() -> None:
    settings = load({"domain": "a.example"}, {}, None)
    assert (settings.wireguard_listen, settings.tunnel) == (Address("", 53820), "auto")
    assert (settings.public_address, settings.network_v4, settings.engine) == ((), "", "auto")
    environment = {
        "OCTELIUM_TUNNEL": "on",
        "OCTELIUM_PUBLIC_ADDRESS": "192.0.2.1, 2001:db8::1",
        "OCTELIUM_NETWORK_V4": "10.192.0.0/12",
        "OCTELIUM_NETWORK_V6": "fdee:1:2:3::/64",
        "OCTELIUM_WIREGUARD_LISTEN": "[::1]:7",
    }
    settings = load({"domain": "a.example"}, environment, None)
    assert settings.public_address == ("192.0.2.1", "2001:db8::1")
    assert (settings.network_v4, settings.network_v6) == ("10.192.0.0/12", "fdee:1:2:3::/64")
    assert settings.wireguard_listen == Address("::1", 7)
    assert settings.tunnel == "on"
    assert from_wire(json.loads(json.dumps(to_wire(settings)))) == settings


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ((), ""),
        ((":8443",), ""),
        (("127.0.0.1:8443",), "127.0.0.1"),
        (("[::1]:8443", "127.0.0.1:8443"), "::1"),
        (("192.0.2.1:443", "192.0.2.1:8443"), "192.0.2.1"),
        (("192.0.2.1:443", "127.0.0.1:443"), ""),
    ],
)
def test_the_tunnel_is_no_more_public_than_the_front_door(
    listen: tuple[str, ...], host: str
) -> None:
    settings = load({"domain": "a.example", "listen": listen}, {}, None)
    assert settings.wireguard_listen == Address(host, 53820)
    assert settings.told_addresses == ((host,) if host else ())
    environment = {"OCTELIUM_PUBLIC_ADDRESS": "198.51.100.1"}
    settings = load({"domain": "a.example", "listen": listen}, environment, None)
    assert settings.told_addresses == ("198.51.100.1",)


@pytest.mark.parametrize(("written", "meant"), [("on", "on"), ("off", "off"), ("auto", "auto")])
def test_on_and_off_are_words_in_yaml_too(tmp_path: Path, written: str, meant: str) -> None:
    file = tmp_path / "up.yaml"
    file.write_text(f"domain: a.example\ntunnel: {written}\n")
    assert load({}, {}, str(file)).tunnel == meant


def test_settings_travel_to_a_child(tmp_path: Path) -> None:
    flags = {"domain": "a.example", "data_dir": str(tmp_path), "listen": ("[::1]:8443", ":9")}
    settings = load(flags, {"OCTELIUM_PROXY_PROTOCOL_FROM": "10.0.0.0/8, ::1/128"}, None)
    assert settings.proxy_protocol_from == ("10.0.0.0/8", "::1/128")
    assert from_wire(json.loads(json.dumps(to_wire(settings)))) == settings


@pytest.mark.parametrize(
    ("flags", "environment", "named"),
    [
        ({}, {}, "--domain"),
        ({"domain": "nodots"}, {}, "--domain"),
        ({"domain": "a..b"}, {}, "--domain"),
        ({"domain": "a.example", "workers": 0}, {}, "--workers"),
        ({"domain": "a.example"}, {"OCTELIUM_WORKERS": "many"}, "OCTELIUM_WORKERS"),
        ({"domain": "a.example", "listen": ("443",)}, {}, "--listen"),
        ({"domain": "a.example", "listen": ("host.example:443",)}, {}, "--listen"),
        ({"domain": "a.example", "listen": ("127.0.0.1:70000",)}, {}, "--listen"),
        ({"domain": "a.example", "admin_listen": "x"}, {}, "--admin-listen"),
        ({"domain": "a.example", "admin": "a.b"}, {}, "--admin"),
        ({"domain": "a.example"}, {"OCTELIUM_ADMIN": "Ann Smith"}, "OCTELIUM_ADMIN"),
        ({"domain": "a.example"}, {"OCTELIUM_PROXY_PROTOCOL_FROM": "10.0.0.1/8"}, "PROXY_PROTOCOL"),
        ({"domain": "a.example"}, {"OCTELIUM_REFUSE_WHEN_UNLOGGED": "perhaps"}, "REFUSE_WHEN"),
        ({"domain": "a.example", "tunnel": "perhaps"}, {}, "--tunnel"),
        ({"domain": "a.example"}, {"OCTELIUM_ENGINE": "steam"}, "OCTELIUM_ENGINE"),
        ({"domain": "a.example", "wireguard_listen": "53820"}, {}, "--wireguard-listen"),
        ({"domain": "a.example", "public_address": ("a.example",)}, {}, "--public-address"),
        ({"domain": "a.example", "controller": "auto"}, {}, "--controller"),
        ({"domain": "a.example", "network_v4": "10.0.0.1/8"}, {}, "--network-v4"),
        ({"domain": "a.example", "network_v4": "fdee::/64"}, {}, "--network-v4"),
        ({"domain": "a.example", "network_v6": "10.0.0.0/8"}, {}, "--network-v6"),
    ],
)
def test_what_cannot_be_used_is_named(
    flags: dict[str, Any], environment: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        load(flags, environment, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("listn: x", "unknown setting 'listn'"),
        ("- a", "not a mapping"),
        ("a: [", "--config"),
        ("domain: a.example\nlisten: 5", "listen in the configuration file"),
    ],
)
def test_a_bad_file_is_explained(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "up.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=problem):
        load({}, {}, str(file))


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "up.yaml"
    file.write_text("")
    assert load({"domain": "a.example"}, {}, str(file)).domain == "a.example"


@pytest.mark.parametrize(
    "text", ["", "*.a.example", "-a.example", "a_b.example", "é.example", "a" * 201]
)
def test_domains_are_dns_names(text: str) -> None:
    with pytest.raises(SettingsError):
        check_domain(text, "--domain")


def test_the_controller_is_off_unless_wanted(tmp_path: Path) -> None:
    settings = load({"domain": "a.example"}, {}, None)
    assert (settings.controller, settings.controller_socket) == ("off", "")
    environment = {
        "OCTELIUM_CONTROLLER": "on",
        "OCTELIUM_CONTROLLER_SOCKET": "/run/octelium/feed.sock",
    }
    settings = load({"domain": "a.example"}, environment, None)
    assert (settings.controller, settings.controller_socket) == ("on", "/run/octelium/feed.sock")
    assert from_wire(json.loads(json.dumps(to_wire(settings)))) == settings
    file = tmp_path / "up.yaml"
    file.write_text("controller: on\ncontroller_socket: feed.sock\n")
    settings = load({"domain": "a.example"}, {}, str(file))
    assert settings.controller == "on"
    assert settings.controller_socket == str(Path("feed.sock").absolute())


def test_a_machine_without_users_and_homes_has_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: nobody has the number, and no variable says where home is."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("os.geteuid", lambda: 10001)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    settings = load({"domain": "a.example", "data_dir": tmp_path}, {}, None)
    assert settings.data_dir == tmp_path
    with pytest.raises(SettingsError, match=r"--data-dir: .*home"):
        load({"domain": "a.example"}, {}, None)
