"""The settings of `octelium up`: from flags, environment, configuration file, defaults."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from octelium.schema.names import is_label

GITHUB = "https://github.com"
ADMIN = "admin"
WIREGUARD_PORT = 53820
TUNNEL = ("auto", "on", "off")
ENGINE = ("auto", "own", "wireguard-go")
DEFAULT_TUNNEL = "auto"
CONTROLLER = ("on", "off")
_ORIGIN = re.compile(r"https://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class SettingsError(Exception):
    """A setting that cannot be used; the text names it and says what to write."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: an IP address (empty for all) and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, setting: str) -> Address:
        """Read `ADDR:PORT`, `[V6]:PORT`, `:PORT`.

        Raises:
            SettingsError: the text is no such address.
        """
        host, colon, port = text.strip().rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        valid = bool(colon) and port.isascii() and port.isdigit() and 0 < int(port) < 65536
        try:
            if host not in ("", "*", "localhost"):
                ipaddress.ip_address(host)
        except ValueError:
            valid = False
        if not valid:
            raise SettingsError(f"{setting}: {text!r} is not ADDR:PORT, such as 127.0.0.1:8443")
        host = {"*": "", "localhost": "127.0.0.1"}.get(host, host)
        return cls(host, int(port))

    def for_clients(self) -> Address:
        """Where clients on this machine find it: the loopback interface instead of all."""
        loopback = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
        return Address(loopback.get(self.host, self.host), self.port)

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one machine's Cluster is started with."""

    domain: str
    data_dir: Path
    listen: tuple[Address, ...]
    admin_listen: Address
    workers: int
    public_port: int
    """Port that clients use; URLs carry it unless it is 443."""
    proxy_protocol_from: tuple[str, ...] = ()
    """Networks whose connections begin with a PROXY header."""
    log_retention_days: float = 30
    log_capacity_mb: int = 1024
    refuse_when_unlogged: bool = False
    """Refuse requests while the access log cannot be written."""
    max_connections: int = 20_000
    """Open downstream connections per worker."""
    github_url: str = GITHUB
    """Where people sign in by GitHub: there, or at a GitHub Enterprise Server."""
    admin: str = ADMIN
    """Name of the person that a first start on a terminal invites; empty for nobody."""
    tunnel: str = "off"
    """Whether this machine is a Gateway: `on`, `off`, or `auto` for whether it can be one."""
    engine: str = "auto"
    """What encrypts: `own`, `wireguard-go`, or `auto` for the fastest that is there."""
    wireguard_listen: Address = Address("", WIREGUARD_PORT)
    """Where clients' datagrams arrive."""
    public_address: tuple[str, ...] = ()
    """IP addresses that clients are told to send to; empty for that of `wireguard_listen`, or, if
    that is all, for this machine's own."""
    network_v4: str = ""
    network_v6: str = ""
    """The Cluster's networks; empty for the default. They are chosen at the first start."""
    user: str = ""
    """Who it runs as if root starts it; empty for the owner of the data directory."""
    controller: str = "off"
    """Whether `octelium controller` deploys the containers of Services: `on` or `off`."""
    controller_socket: str = ""
    """Where that process connects; empty for a place in the data directory."""

    @property
    def told_addresses(self) -> tuple[str, ...]:
        """Those that clients of the tunnel are told, as far as they are set."""
        host = self.wireguard_listen.host
        if self.public_address or not host or ipaddress.ip_address(host).is_unspecified:
            return self.public_address
        return (host,)

    @property
    def api_endpoint(self) -> str:
        """Where clients elsewhere reach the API."""
        return f"octelium-api.{self.domain}:{self.public_port}"

    @property
    def port_suffix(self) -> str:
        """`:PORT` for URLs, empty for the standard port."""
        return "" if self.public_port == 443 else f":{self.public_port}"


ENVIRONMENT = {
    "domain": "OCTELIUM_DOMAIN",
    "data_dir": "OCTELIUM_DATA_DIR",
    "listen": "OCTELIUM_LISTEN",
    "admin_listen": "OCTELIUM_ADMIN_LISTEN",
    "workers": "OCTELIUM_WORKERS",
    "public_port": "OCTELIUM_PUBLIC_PORT",
    "proxy_protocol_from": "OCTELIUM_PROXY_PROTOCOL_FROM",
    "log_retention_days": "OCTELIUM_LOG_RETENTION_DAYS",
    "log_capacity_mb": "OCTELIUM_LOG_CAPACITY_MB",
    "refuse_when_unlogged": "OCTELIUM_REFUSE_WHEN_UNLOGGED",
    "max_connections": "OCTELIUM_MAX_CONNECTIONS",
    "github_url": "OCTELIUM_GITHUB_URL",
    "admin": "OCTELIUM_ADMIN",
    "tunnel": "OCTELIUM_TUNNEL",
    "engine": "OCTELIUM_ENGINE",
    "wireguard_listen": "OCTELIUM_WIREGUARD_LISTEN",
    "public_address": "OCTELIUM_PUBLIC_ADDRESS",
    "network_v4": "OCTELIUM_NETWORK_V4",
    "network_v6": "OCTELIUM_NETWORK_V6",
    "user": "OCTELIUM_USER",
    "controller": "OCTELIUM_CONTROLLER",
    "controller_socket": "OCTELIUM_CONTROLLER_SOCKET",
}
"""Setting → environment variable."""


@dataclass(slots=True)
class _Sources:
    """One look-up over the three places a setting may come from."""

    flags: dict[str, Any]
    environment: dict[str, str]
    file: dict[str, Any]
    names: dict[str, str] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        """The value, remembering where it came from for error texts."""
        if self.flags.get(name) not in (None, ()):
            self.names[name] = "--" + name.replace("_", "-")
            return self.flags[name]
        variable = ENVIRONMENT[name]
        if self.environment.get(variable):
            self.names[name] = variable
            return self.environment[variable]
        self.names[name] = f"{name} in the configuration file"
        return self.file.get(name, default)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        value = self.get(name, default)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = low - 1
        if isinstance(value, bool) or not low <= number <= high:
            raise SettingsError(
                f"{self.names[name]}: {value!r} is not a number from {low:g} to {high:g}"
            )
        return number

    def texts(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self.get(name, default)
        if isinstance(value, str):
            value = [part for part in re.split(r"[\s,]+", value) if part]
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise SettingsError(f"{self.names[name]}: {value!r} is not a list of texts")
        return tuple(value)

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.get(name, default)
        if isinstance(value, bool):  # what YAML makes of on and off
            value = "on" if value else "off"
        if value not in choices:
            known = ", ".join(choices)
            raise SettingsError(f"{self.names[name]}: {value!r} is none of {known}")
        return str(value)

    def network(self, name: str, kind: type[IPv4Network | IPv6Network]) -> str:
        value = self.get(name, "")
        try:
            return str(kind(value)) if value else ""
        except (ValueError, TypeError) as error:
            raise SettingsError(f"{self.names[name]}: {error}") from error

    def flag(self, name: str) -> bool:
        value = self.get(name, False)
        if isinstance(value, bool):
            return value
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if str(value).lower() not in words:
            raise SettingsError(f"{self.names[name]}: {value!r} is neither true nor false")
        return words[str(value).lower()]


def check_domain(domain: str, setting: str) -> str:
    """A Cluster domain in canonical form (lower case, ASCII).

    Raises:
        SettingsError: it is no DNS name of at least two labels.
    """
    text = domain.strip().rstrip(".").lower()
    labels = text.split(".")
    if len(text) > 200 or len(labels) < 2 or not all(_LABEL.fullmatch(part) for part in labels):
        raise SettingsError(
            f"{setting}: {domain!r} is not a DNS name such as example.com or octelium.localhost"
        )
    return text


def check_origin(url: str, setting: str) -> str:
    """The origin of an https URL, in lower case and without a slash at its end.

    Raises:
        SettingsError: it is none, or more than an origin.
    """
    text = url.strip().rstrip("/").lower()
    if _ORIGIN.fullmatch(text) is None:
        raise SettingsError(f"{setting}: {url!r} is not a URL such as https://github.example.com")
    return text


def check_admin(name: str, setting: str) -> str:
    """The name of a User to be made, or nothing.

    Raises:
        SettingsError: it is no such name.
    """
    if name and not is_label(name):
        raise SettingsError(f"{setting}: {name!r} is not a name such as admin")
    return name


def _host(addresses: tuple[Address, ...]) -> str:
    """Where the tunnel is by default: where the front door is, and no further."""
    hosts = {address.host for address in addresses}
    if len(hosts) == 1 or all(host and ipaddress.ip_address(host).is_loopback for host in hosts):
        return addresses[0].host
    return ""


def _absolute(path: str) -> str:
    """The same for processes that run elsewhere; nothing stays nothing."""
    return str(Path(path).absolute()) if path else ""


def _read_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    import yaml

    try:
        value = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"--config: {path}: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingsError(f"--config: {path}: not a mapping of settings")
    unknown = sorted(set(value) - set(ENVIRONMENT))
    if unknown:
        known = ", ".join(sorted(ENVIRONMENT))
        raise SettingsError(f"--config: {path}: unknown setting {unknown[0]!r}; known are {known}")
    return dict(value)


def default_data_dir() -> Path:
    """`/var/lib/octelium` for root, the user's data directory for others.

    Raises:
        SettingsError: this user has no home.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/octelium")
    try:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    except RuntimeError as error:
        raise SettingsError(
            f"--data-dir: it is needed, as nobody is at home here: {error}"
        ) from error
    return Path(base) / "octelium"


def load(flags: dict[str, Any], environment: dict[str, str], config: str | None) -> Settings:
    """Settings from all sources.

    Args:
        flags: setting → value, None or () where the flag was not given.
        environment: usually `os.environ`.
        config: path of a YAML file whose keys are the settings' names.

    Raises:
        SettingsError: a setting is missing or cannot be used.
    """
    sources = _Sources(flags, environment, _read_file(config))
    domain = sources.get("domain")
    if not domain:
        raise SettingsError("--domain: the Cluster's domain is needed (or OCTELIUM_DOMAIN)")
    listen = sources.texts("listen", (":443",))
    addresses = tuple(Address.parse(text, sources.names["listen"]) for text in listen)
    admin = str(sources.get("admin_listen", "127.0.0.1:8480"))
    proxies = sources.texts("proxy_protocol_from", ())
    for network in proxies:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise SettingsError(f"{sources.names['proxy_protocol_from']}: {error}") from error
    public = sources.texts("public_address", ())
    for text in public:
        try:
            ipaddress.ip_address(text)
        except ValueError as error:
            raise SettingsError(f"{sources.names['public_address']}: {error}") from error
    wireguard = str(sources.get("wireguard_listen", Address(_host(addresses), WIREGUARD_PORT)))
    github = str(sources.get("github_url", GITHUB))
    cores = len(os.sched_getaffinity(0))
    return Settings(
        domain=check_domain(str(domain), sources.names["domain"]),
        data_dir=Path(str(sources.get("data_dir") or default_data_dir())).absolute(),
        listen=addresses,
        admin_listen=Address.parse(admin, sources.names["admin_listen"]),
        workers=int(sources.number("workers", cores, 1, 256)),
        public_port=int(sources.number("public_port", addresses[0].port, 1, 65535)),
        proxy_protocol_from=proxies,
        log_retention_days=sources.number("log_retention_days", 30, 0.01, 3660),
        log_capacity_mb=int(sources.number("log_capacity_mb", 1024, 1, 1 << 20)),
        refuse_when_unlogged=sources.flag("refuse_when_unlogged"),
        max_connections=int(sources.number("max_connections", 20_000, 1, 1 << 20)),
        github_url=check_origin(github, sources.names["github_url"]),
        admin=check_admin(str(sources.get("admin", ADMIN)), sources.names["admin"]),
        tunnel=sources.choice("tunnel", TUNNEL, DEFAULT_TUNNEL),
        engine=sources.choice("engine", ENGINE, "auto"),
        wireguard_listen=Address.parse(wireguard, sources.names["wireguard_listen"]),
        public_address=public,
        network_v4=sources.network("network_v4", IPv4Network),
        network_v6=sources.network("network_v6", IPv6Network),
        user=str(sources.get("user", "")),
        controller=sources.choice("controller", CONTROLLER, "off"),
        controller_socket=_absolute(str(sources.get("controller_socket", ""))),
    )


def to_wire(settings: Settings) -> dict[str, Any]:
    """Settings as plain values, for a child process."""
    wire = {item.name: getattr(settings, item.name) for item in fields(settings)}
    wire["data_dir"] = str(settings.data_dir)
    wire["listen"] = [str(address) for address in settings.listen]
    wire["admin_listen"] = str(settings.admin_listen)
    wire["wireguard_listen"] = str(settings.wireguard_listen)
    return wire


def from_wire(wire: dict[str, Any]) -> Settings:
    """The reverse of `to_wire`."""
    values = dict(wire)
    values["data_dir"] = Path(values["data_dir"])
    values["listen"] = tuple(Address.parse(text, "listen") for text in values["listen"])
    values["admin_listen"] = Address.parse(values["admin_listen"], "admin_listen")
    values["wireguard_listen"] = Address.parse(values["wireguard_listen"], "wireguard_listen")
    for name in ("proxy_protocol_from", "public_address"):
        values[name] = tuple(values[name])
    return Settings(**values)
