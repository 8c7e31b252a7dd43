"""A Cluster's API in this process: real gRPC over real TLS, resources in memory.

It stands for any implementation of the official API, with `octelium.ext.v1` or without it, and
fails in whatever way a test wants. Times and uids are fixed, so that output can be compared.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf.message_factory import GetMessageClass

from octelium.client.changes import ERRORS_TRAILER, Stepwise, declared
from octelium.schema.kinds import KINDS, Kind, kind_of
from octelium.schema.names import full_service_name
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

DOMAIN = "lab.test"
NOW = 1_800_000_000.0
TOKEN = "authentication-token"
ASSERTION = "header.claims.signature"
_THREADS = 4


@dataclass(frozen=True)
class Authority:
    """A certificate authority made for a test run."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, name: str = "test authority") -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = _builder(subject, subject, key.public_key(), (-31, 30)).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        return cls(built.sign(key, hashes.SHA256()), key)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, *names: str, days: int = 20, between: tuple[int, int] | None = None
    ) -> tuple[bytes, bytes]:
        """Certificate and key in PEM form for DNS names or IP addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternatives: list[x509.GeneralName] = []
        for name in names:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                alternatives.append(x509.DNSName(name))
        good = between or (-abs(days) - 1, days)
        built = _builder(subject, self.certificate.subject, key.public_key(), good)
        built = built.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        signed = built.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM), key_pem(key)


def key_pem(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    """A private key in PEM form."""
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        protection = serialization.BestAvailableEncryption(password)
    pkcs8 = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, protection)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    days: tuple[int, int],
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
    )


class RefusedError(Exception):
    """A status to answer with."""

    def __init__(self, code: str, message: str = "", **trailers: bytes) -> None:
        super().__init__(code, message)
        self.code = grpc.StatusCode[code]
        self.message = message
        self.trailers = [(key.replace("_", "-"), value) for key, value in trailers.items()]


@dataclass
class Call:
    """A call as it arrived."""

    method: str
    metadata: dict[str, str]
    request: Any


@dataclass
class StandIn:
    """The server. Tests read `calls` and change everything else."""

    authority: Authority
    certificate_days: tuple[int, int] | None = None
    """From when to when its certificate is good, in days from now; by itself it is."""
    foreign: bool = False
    check_tokens: bool = True
    token_life: int = 3600 * 4
    delay: float = 0.0
    """Seconds before each reply, as over a long way."""
    clock: Callable[[], float] = lambda: NOW
    calls: list[Call] = field(default_factory=list)
    failures: dict[str, list[RefusedError]] = field(default_factory=dict)
    trailers: dict[str, dict[str, bytes]] = field(default_factory=dict)
    objects: dict[tuple[str, str], Any] = field(default_factory=dict)
    log: list[tuple[core.AccessLog, str]] = field(default_factory=list)
    attempts: list[ext.AuthenticationLogEntry] = field(default_factory=list)
    spared: list[ext.Spared] = field(default_factory=list)
    """What pruning leaves alone; what is not the caller's own only until it is asked for."""
    live: queue.Queue[
        core.AccessLog | ext.AuthenticationLogEntry | ext.WatchResponse | RefusedError | None
    ] = field(default_factory=queue.Queue)
    said: queue.Queue[Any] = field(default_factory=queue.Queue)
    heard: queue.Queue[Any] = field(default_factory=queue.Queue)
    insight: dict[str, Any] = field(default_factory=dict)
    generation: int = 0
    connected: bool = False
    alive: bool = False
    port: int = 0

    def start(self) -> StandIn:
        """Serve on a free port of the loopback interface."""
        certificate, key = self.authority.issue(
            f"octelium-api.{DOMAIN}", f"*.{DOMAIN}", DOMAIN, between=self.certificate_days
        )
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS), options=[("grpc.max_receive_message_length", -1)]
        )
        self._server.add_generic_rpc_handlers((_Handler(self),))
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()
        return self

    def stop(self) -> None:
        for queue_ in (self.live, self.said):
            for _ in range(_THREADS):  # of which each may wait there
                queue_.put(None)
        self._server.stop(None).wait()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def environ(self, directory: Path, **more: str) -> dict[str, str]:
        """The environment of a person who works with this Cluster."""
        ca = directory / "ca.pem"
        ca.write_bytes(self.authority.pem)
        return {
            "OCTELIUM_DOMAIN": DOMAIN,
            "OCTELIUM_HOME": str(directory / "home"),
            "OCTELIUM_API_ENDPOINT": self.endpoint,
            "OCTELIUM_AUTH_TOKEN": TOKEN,
            "SSL_CERT_FILE": str(ca),
            **more,
        }

    def methods(self) -> list[str]:
        """The names of the methods that were called, in order."""
        return [call.method for call in self.calls]

    def add(self, message: Any) -> Any:
        """Put a resource into the Cluster as if it had been created `len(objects)` hours ago."""
        kind = kind_of(message)
        stored = kind.message()
        stored.CopyFrom(message)
        stored.api_version, stored.kind = kind.api, kind.name
        stored.metadata.name = _stored_name(kind, message.metadata.name)
        number = len(self.objects) + 1
        stored.metadata.uid = f"00000000-0000-4000-8000-{number:012}"
        stored.metadata.resource_version = f"{number}-1"
        stored.metadata.created_at.FromSeconds(int(NOW) - 3600 * number)
        stored.spec.SetInParent()
        stored.status.SetInParent()
        if kind.name == "Service":
            stored.status.namespace_ref.name = stored.metadata.name.partition(".")[2]
        self.objects[kind.name, stored.metadata.name] = stored
        return stored

    def answer(self, service: str, method: str, request: Any, metadata: dict[str, str]) -> Any:
        """The reply to one call. Raises RefusedError."""
        self.calls.append(Call(method, metadata, request))
        time.sleep(self.delay)
        if pending := self.failures.get(method):
            raise pending.pop(0)
        if service == "octelium.api.main.auth.v1.MainService":
            return self._auth(method, request, metadata)
        if self.check_tokens and metadata.get("x-octelium-auth") != self.access_token:
            raise RefusedError("UNAUTHENTICATED", "no such token")
        if service == "octelium.ext.v1.MainService":
            if self.foreign:
                raise RefusedError("UNIMPLEMENTED", "unknown service")
            if method == "ListAuthenticationLog":
                return self._list_attempts(request)
            if method in self.insight:
                return self.insight[method]
            if method in ("Explain", "ListAccess", "PreviewAccess"):
                raise RefusedError("UNIMPLEMENTED", "unknown method")
            return self._apply(request) if method == "Apply" else self._list_log(request)
        if service == "octelium.api.main.user.v1.MainService":
            return self._user(method, request)
        return self._core(method, request)

    @property
    def access_token(self) -> str:
        return f"access-{self.generation}" if self.alive else "nothing"

    def new_session(self) -> auth.SessionToken:
        """Tokens of a new Session, which ends the former one."""
        self.generation += 1
        self.alive = True
        return auth.SessionToken(
            access_token=self.access_token,
            refresh_token=f"refresh-{self.generation}",
            expires_in=self.token_life,
            refresh_token_expires_in=self.token_life * 4,
        )

    def converse(
        self, method: str, requests: Iterator[Any], metadata: dict[str, str]
    ) -> Iterator[Any]:
        """What a client of `Connect` is told: what a test puts into `said`, until None."""
        assert method == "Connect"
        self.calls.append(Call(method, metadata, next(requests)))
        if pending := self.failures.get(method):
            raise pending.pop(0)
        if self.check_tokens and metadata.get("x-octelium-auth") != self.access_token:
            raise RefusedError("UNAUTHENTICATED", "no such token")
        heard = threading.Thread(target=self._hear, args=(requests,), daemon=True)
        heard.start()
        while (event := self.said.get()) is not None:
            if isinstance(event, RefusedError):
                raise event
            yield event

    def _hear(self, requests: Iterator[Any]) -> None:
        try:
            for request in requests:
                self.heard.put(request)
        except grpc.RpcError:
            pass  # the client is gone
        self.heard.put(None)

    def _auth(self, method: str, request: Any, metadata: dict[str, str]) -> Any:
        if method == "AuthenticateWithAuthenticationToken":
            if request.authentication_token != TOKEN:
                raise RefusedError("UNAUTHENTICATED", "invalid authentication token")
            return self.new_session()
        if method == "AuthenticateWithAssertion":
            if request.assertion != ASSERTION:
                raise RefusedError("UNAUTHENTICATED", "invalid assertion")
            return self.new_session()
        valid = metadata.get("x-octelium-refresh-token") == f"refresh-{self.generation}"
        if not valid or not self.alive:
            raise RefusedError("UNAUTHENTICATED", "invalid refresh token")
        if method == "AuthenticateWithRefreshToken":
            return self.new_session()
        assert method == "Logout"
        self.alive = False
        return auth.LogoutResponse()

    def _user(self, method: str, request: Any) -> Any:
        if method == "GetStatus":
            reply = user.GetStatusResponse(domain=DOMAIN)
            reply.user.metadata.name = "root"
            reply.session.metadata.name = f"root-{self.generation:06}"
            reply.user.spec.type = user.GetStatusResponseUserSpecType__.WORKLOAD
            if self.connected:
                reply.session.status.is_connected = True
            return reply
        if method == "Disconnect":
            return user.DisconnectResponse()
        if method == "ListNamespace":
            names = [name for kind, name in self.objects if kind == "Namespace"]
            return user.NamespaceList(
                items=[user.Namespace(metadata=meta.Metadata(name=name)) for name in names]
            )
        services = [item for (kind, _), item in self.objects.items() if kind == "Service"]
        seen = [_user_service(service) for service in services]
        if method == "GetService":
            wanted = full_service_name(request.name)
            for service in seen:
                if service.metadata.name == wanted:
                    return service
            raise RefusedError("NOT_FOUND", f"Service {request.name} does not exist")
        assert method == "ListService"
        return user.ServiceList(
            items=[s for s in seen if request.namespace in ("", s.status.namespace)]
        )

    def _core(self, method: str, request: Any) -> Any:
        if method == "GenerateCredentialToken":
            return self._credential_token(request)
        for verb in ("Create", "Update", "Get", "List", "Delete"):
            if method.startswith(verb):
                kind = KINDS[method.removeprefix(verb)]
                return getattr(self, f"_{verb.lower()}")(kind, request)
        raise AssertionError(method)

    def _credential_token(self, request: core.GenerateCredentialTokenRequest) -> Any:
        credential = self._find(KINDS["Credential"], request.credential_ref)
        token = core.CredentialToken()
        types = core.CredentialSpecType__
        if credential.spec.type == types.OAUTH2:
            token.oauth2_credentials.client_id = "abcd-1234"
            token.oauth2_credentials.client_secret = "oauth2-secret"
        elif credential.spec.type == types.ACCESS_TOKEN:
            token.access_token.access_token = "an-access-token"
        else:
            token.authentication_token.authentication_token = "an-authentication-token"
        return token

    def _find(self, kind: Kind, request: Any) -> Any:
        for (kind_name, name), item in self.objects.items():
            if kind_name == kind.name and (
                name == request.name or (not request.name and item.metadata.uid == request.uid)
            ):
                return item
        raise RefusedError(
            "NOT_FOUND", f"core.v1.{kind.name} {request.name or request.uid} does not exist"
        )

    def _create(self, kind: Kind, request: Any) -> Any:
        name = _stored_name(kind, request.metadata.name)
        if (kind.name, name) in self.objects:
            raise RefusedError("ALREADY_EXISTS", f"core.v1.{kind.name} {name} already exists")
        return _shown(kind, self.add(request))

    def _update(self, kind: Kind, request: Any) -> Any:
        name = "default" if kind.singleton else _stored_name(kind, request.metadata.name)
        old = self._find(kind, meta.GetOptions(name=name))
        if kind.has_data and not request.HasField("data"):
            raise RefusedError("INVALID_ARGUMENT", "data: a value is missing")
        old.spec.CopyFrom(request.spec)
        for key in ("display_name", "description"):
            setattr(old.metadata, key, getattr(request.metadata, key))
        number, _, version = old.metadata.resource_version.partition("-")
        old.metadata.resource_version = f"{number}-{int(version) + 1}"
        if kind.has_data:
            old.data.CopyFrom(request.data)
        return _shown(kind, old)

    def _get(self, kind: Kind, request: Any) -> Any:
        if kind.singleton:
            request = meta.GetOptions(name="default")
        return _shown(kind, self._find(kind, request))

    def _delete(self, kind: Kind, request: Any) -> Any:
        item = self._find(kind, request)
        del self.objects[kind.name, item.metadata.name]
        return meta.OperationResult()

    def _list(self, kind: Kind, request: Any) -> Any:
        items = [item for (name, _), item in self.objects.items() if name == kind.name]
        items = [item for item in items if _matches(item, request)]
        order = request.common.order_by
        if order.type == meta.CommonListOptionsOrderByType__.NAME:
            items.sort(key=lambda item: item.metadata.name)
        if order.mode == meta.CommonListOptionsOrderByMode__.DESC:
            items.reverse()
        size, page = request.common.items_per_page or 200, request.common.page
        part = items[page * size : (page + 1) * size]
        if page and not part:
            raise RefusedError("NOT_FOUND", "no such page")
        assert kind.list_message is not None
        return kind.list_message(
            api_version=kind.api,
            kind=f"{kind.name}List",
            items=[_shown(kind, item) for item in part],
            list_response_meta=meta.ListResponseMeta(
                page=page,
                items_per_page=size,
                total_count=len(items),
                has_more=len(items) > (page + 1) * size,
            ),
        )

    def _apply(self, request: ext.ApplyRequest) -> ext.ApplyResponse:
        messages = [getattr(r, str(r.WhichOneof("resource"))) for r in request.resources]
        self._validate(messages)
        plan = Stepwise(cast(Any, _Direct(self))).plan(messages, request.prune_kinds)
        for operation, message in plan:
            kind = KINDS[operation.kind]
            if operation.action == ext.Action__.UPDATED and kind.has_data:
                old = self.objects[kind.name, operation.name]
                if declared(old) == declared(message) and old.data == message.data:
                    operation.action = ext.Action__.UNCHANGED
                    del operation.changed[:]
            if request.dry_run:
                continue
            operation.ClearField("before")
            operation.ClearField("after")
            if operation.action == ext.Action__.CREATED:
                self._create(kind, message)
            elif operation.action == ext.Action__.UPDATED:
                self._update(kind, message)
            elif operation.action == ext.Action__.DELETED:
                self._delete(kind, meta.DeleteOptions(name=operation.name))
        spared = [one for one in self.spared if request.prune]
        if request.prune_builtin:
            spared = [one for one in spared if one.own]
        operations = [operation for operation, _ in plan]
        return ext.ApplyResponse(operations=operations, revision=7, spared=spared)

    def _validate(self, messages: Sequence[Any]) -> None:
        groups = {name for kind, name in self.objects if kind == "Group"}
        groups |= {m.metadata.name for m in messages if m.kind == "Group"}
        errors = ext.ApplyErrors()
        for index, message in enumerate(messages):
            if message.kind != "User":
                continue
            for place, group in enumerate(message.spec.groups):
                if group not in groups:
                    errors.errors.add(
                        index=index,
                        kind="User",
                        name=message.metadata.name,
                        path=f"spec.groups[{place}]",
                        problem=f"there is no Group {group!r}",
                        remedy="create it first",
                    )
        if errors.errors:
            trailers = {ERRORS_TRAILER: errors.SerializeToString()}
            raise RefusedError("INVALID_ARGUMENT", "refused", **trailers)

    def _list_log(self, request: ext.ListAccessLogRequest) -> ext.ListAccessLogResponse:
        entries = [pair for pair in self.log if _wanted(pair[0], request)][::-1]
        if request.before_id:
            ids = [log.metadata.id for log, _ in entries]
            entries = entries[ids.index(request.before_id) + 1 :]
        limit = request.limit or 100
        return ext.ListAccessLogResponse(
            items=[log for log, _ in entries[:limit]],
            details=[
                ext.AccessLogDetail(error=error, explanation=f"why {log.metadata.id}\n  a rule\n")
                if request.id
                else ext.AccessLogDetail(error=error)
                for log, error in entries[:limit]
            ],
            has_more=len(entries) > limit,
        )

    def _list_attempts(
        self, request: ext.ListAuthenticationLogRequest
    ) -> ext.ListAuthenticationLogResponse:
        start = getattr(request, "from")
        entries = [
            entry
            for entry in self.attempts[::-1]
            if request.user in ("", entry.user.name)
            and (not request.HasField("from") or entry.at.seconds >= start.seconds)
        ]
        if request.before_id:
            ids = [entry.id for entry in entries]
            entries = entries[ids.index(request.before_id) + 1 :]
        limit = request.limit or 100
        return ext.ListAuthenticationLogResponse(
            items=entries[:limit], has_more=len(entries) > limit
        )

    def watch_log(self, request: Any, metadata: dict[str, str]) -> Iterator[Any]:
        """The live entries that a test puts into the queue; None ends the stream."""
        name = type(request).DESCRIPTOR.name.removesuffix("Request")
        for verb in ("List", "Watch"):
            name = name.removeprefix(verb)
        self.calls.append(Call(f"Watch{name}", metadata, request))
        if self.foreign:
            raise RefusedError("UNIMPLEMENTED", "unknown service")
        while (item := self.live.get()) is not None:
            if isinstance(item, RefusedError):
                raise item
            if isinstance(item, ext.WatchResponse):
                yield item
                continue
            if isinstance(item, ext.AuthenticationLogEntry):
                self.attempts.append(item)
                yield ext.ListAuthenticationLogResponse(items=[item])
                continue
            self.log.append((item, ""))
            yield ext.ListAccessLogResponse(items=[item], details=[ext.AccessLogDetail()])


class _Direct:
    """The resources of the stand-in, as a planner lists them."""

    def __init__(self, server: StandIn) -> None:
        self._server = server

    def list_all(self, kind: Kind) -> list[Any]:
        return [item for (name, _), item in self._server.objects.items() if name == kind.name]


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, server: StandIn) -> None:
        self._server = server

    def service(
        self, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        service, method = details.method.removeprefix("/").split("/")
        metadata = {key: str(value) for key, value in details.invocation_metadata}
        described = _SERVICES[service].methods_by_name[method]
        request_class = GetMessageClass(described.input_type)

        def unary(data: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                request = request_class.FromString(data)
                reply = self._server.answer(service, method, request, metadata)
            except RefusedError as refused:
                _refuse(context, refused)
            context.set_trailing_metadata(tuple(self._server.trailers.get(method, {}).items()))
            return bytes(reply.SerializeToString())

        def stream(data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            try:
                for reply in self._server.watch_log(request_class.FromString(data), metadata):
                    yield reply.SerializeToString()
            except RefusedError as refused:
                _refuse(context, refused)

        def conversation(data: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            try:
                requests = map(request_class.FromString, data)
                for reply in self._server.converse(method, requests, metadata):
                    yield reply.SerializeToString()
            except RefusedError as refused:
                _refuse(context, refused)

        if described.client_streaming:
            return grpc.stream_stream_rpc_method_handler(conversation)
        if described.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)


_SERVICES = {
    file.services_by_name["MainService"].full_name: file.services_by_name["MainService"]
    for file in (core.DESCRIPTOR, user.DESCRIPTOR, auth.DESCRIPTOR, ext.DESCRIPTOR)
}


def _refuse(context: grpc.ServicerContext, refused: RefusedError) -> None:
    context.set_trailing_metadata(tuple(refused.trailers))
    context.abort(refused.code, refused.message)


def _stored_name(kind: Kind, name: str) -> str:
    return full_service_name(name) if kind.name == "Service" else name


def _shown(kind: Kind, item: Any) -> Any:
    shown = kind.message()
    shown.CopyFrom(item)
    if kind.has_data:
        shown.ClearField("data")
    return shown


def _user_service(service: Any) -> user.Service:
    seen = user.Service(metadata=meta.Metadata(name=service.metadata.name))
    seen.spec.port = service.status.port
    seen.spec.type = service.spec.mode
    seen.spec.is_public = service.spec.is_public
    seen.status.namespace = service.status.namespace_ref.name
    return seen


def _matches(item: Any, request: Any) -> bool:
    fields = request.DESCRIPTOR.fields_by_name
    if "user_ref" in fields and request.user_ref.name:
        owner = item.status.user_ref.name or getattr(item.spec, "user", "")
        return bool(owner == request.user_ref.name)
    if "namespace_ref" in fields and request.namespace_ref.name:
        return bool(item.status.namespace_ref.name == request.namespace_ref.name)
    if "region_ref" in fields and request.region_ref.name and item.kind == "Gateway":
        return bool(item.status.region_ref.name == request.region_ref.name)
    return True


def _wanted(log: core.AccessLog, request: ext.ListAccessLogRequest) -> bool:
    common = log.entry.common
    if request.id:
        return bool(log.metadata.id == request.id)
    start = getattr(request, "from")
    if request.HasField("from") and common.started_at.ToNanoseconds() < start.ToNanoseconds():
        return False
    return request.user in ("", common.user_ref.name)
