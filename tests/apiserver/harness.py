"""A Cluster's API on a real store and a real socket, with one administrator signed in."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from octelium.apiserver.apply.applier import Applier
from octelium.apiserver.containers import ContainerService
from octelium.apiserver.core import service as core_service
from octelium.apiserver.core.deployment import ControllerHealth
from octelium.apiserver.core.service import CoreService
from octelium.apiserver.core.verbs import Verbs
from octelium.apiserver.doctor import DoctorService
from octelium.apiserver.ext import DESCRIPTOR as EXT
from octelium.apiserver.ext import MAX_REQUEST_BYTES, ExtService
from octelium.apiserver.insight.access import AccessLister
from octelium.apiserver.insight.explaining import Explainer
from octelium.apiserver.rpc import Binding
from octelium.apiserver.server import ApiServer
from octelium.apiserver.watch.watcher import WatchService
from octelium.identity.authentication import Authentication
from octelium.identity.errors import CredentialUnusableError
from octelium.identity.invitation_logins import InvitationLogins
from octelium.identity.keys import Keyring
from octelium.policy.checker import Checker
from octelium.schema.jsonform import from_json, to_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import InvalidArgument
from octelium.store.metadata import reference
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault
from octelium.visibility.batch import split_id
from tests.identity.cluster import AttemptLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from octelium.apiserver.insight.engine import Hypothesis, Question
    from octelium.apiserver.rpc import Call
    from octelium.store.transaction import Transaction
    from octelium.visibility.logged import LoggedRequest

START = 1_800_000_000.0
PATIENCE = 120.0
"""Seconds after which a test that waits has failed."""


def resource(kind: str, name: str = "", **parts: Any) -> Any:
    """A resource as a client writes it: `resource("User", "alice", spec={"type": "HUMAN"})`."""
    metadata = {"name": name} if name else {}
    value = {"kind": kind, "metadata": metadata, "spec": {}, **parts}
    value["metadata"] = {**metadata, **value["metadata"]}
    return from_json(KINDS[kind].message, value)


def wrapped(*messages: Any) -> list[ext.Resource]:
    """Resources as an apply takes them."""
    fields = {
        field.message_type.full_name: field.name
        for field in ext.Resource.DESCRIPTOR.fields
        if field.message_type is not None
    }
    return [ext.Resource(**{fields[m.DESCRIPTOR.full_name]: m}) for m in messages]


def trailer(error: grpc.aio.AioRpcError, name: str) -> bytes | None:
    """A binary trailer of a failed call."""
    found = [value for key, value in error.trailing_metadata() or () if key == name]
    assert len(found) < 2
    for value in found:
        assert isinstance(value, bytes)
        return value
    return None


class Log:
    """An access log of three entries, and of requests to be found by their ids."""

    def __init__(self) -> None:
        self.asked: list[ext.ListAccessLogRequest] = []
        self.requests: dict[str, LoggedRequest] = {}
        self.details = False

    def find(self, entry: str) -> LoggedRequest | None:
        try:
            split_id(entry)
        except ValueError as error:
            raise InvalidArgument(str(error)) from error
        return self.requests.get(entry)

    def query(self, request: ext.ListAccessLogRequest) -> ext.ListAccessLogResponse:
        self.asked.append(request)
        reply = ext.ListAccessLogResponse(items=[core.AccessLog(kind="AccessLog")] * 3)
        if self.details:
            reply.details.extend([ext.AccessLogDetail()] * 3)
        return reply

    async def follow(
        self, request: ext.ListAccessLogRequest
    ) -> AsyncIterator[ext.ListAccessLogResponse]:
        for _ in range(3):
            yield self.query(request)


class Attempts:
    """An authentication log of two entries."""

    def __init__(self) -> None:
        self.asked: list[ext.ListAuthenticationLogRequest] = []

    def query(self, request: ext.ListAuthenticationLogRequest) -> ext.ListAuthenticationLogResponse:
        self.asked.append(request)
        entries = [ext.AuthenticationLogEntry(id=f"auth-{n}") for n in (2, 1)]
        return ext.ListAuthenticationLogResponse(items=entries)

    async def follow(
        self, request: ext.ListAuthenticationLogRequest
    ) -> AsyncIterator[ext.ListAuthenticationLogResponse]:
        for _ in range(3):
            yield self.query(request)


class Looker:
    """Looks at a Cluster that is as a test says."""

    def __init__(self) -> None:
        self.trouble: str | None = ""
        self.parts = [ext.DiagnosedPart(name="control", outcome="ok", detail="it answers this")]
        self.asked: list[list[str]] = []
        self.held = asyncio.Event()
        self.held.set()

    def gateway_trouble(self) -> str | None:
        return self.trouble

    async def diagnose(self, services: Sequence[core.Service]) -> list[ext.DiagnosedPart]:
        self.asked.append([service.metadata.name for service in services])
        await self.held.wait()
        return self.parts


class Thinker:
    """Gives the answer that a test prepared, and remembers what it was asked."""

    def __init__(self) -> None:
        self.explanation = ext.Explanation()
        self.questions: list[Question] = []
        self.recalled: list[tuple[str, float | None, bool]] = []
        self.changes_sought: list[bool] = []
        self.failure: Exception | None = None
        self.listed: list[tuple[str, str, str]] = []
        self.previewed: list[tuple[Hypothesis, int, str]] = []

    async def list_access(self, user: str, service: str, *, asker: str) -> ext.ListAccessResponse:
        self.listed.append((user, service, asker))
        return ext.ListAccessResponse(items=[ext.Access(user="ann", service="wiki.default")])

    def suppose(self, tx: Transaction) -> Hypothesis:
        """What the transaction would write, by kind and name."""
        return sorted((write.kind, write.name) for write in tx.writes())

    async def preview_access(
        self, hypothesis: Hypothesis, *, logged_requests: int, asker: str
    ) -> ext.PreviewAccessResponse:
        self.previewed.append((hypothesis, logged_requests, asker))
        return ext.PreviewAccessResponse(pairs=7, logged_requests=logged_requests)

    async def explain(
        self, question: Question, *, find_change: bool, asker: str
    ) -> ext.Explanation:
        self.questions.append(question)
        return self._answer(find_change, asker)

    async def explain_logged(
        self,
        logged: LoggedRequest,
        *,
        at: float | None,
        private: bool,
        find_change: bool,
        asker: str,
    ) -> ext.Explanation:
        self.recalled.append((logged.id, at, private))
        return self._answer(find_change, asker)

    def _answer(self, find_change: bool, asker: str) -> ext.Explanation:
        assert asker
        if self.failure is not None:
            raise self.failure
        self.changes_sought.append(find_change)
        answer = ext.Explanation()
        answer.CopyFrom(self.explanation)
        if not find_change:
            answer.ClearField("change")
        return answer


class Clock:
    """Time as a test sets it, in unix seconds."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Harness:
    """The API server, a client, and the state behind them."""

    def __init__(self, resources: Resources, clock: Clock) -> None:
        self.resources = resources
        self.clock = clock
        self.log = Log()
        self.attempts = Attempts()
        self.published = 0
        self.decided: list[str] = []
        self.denied: set[str] = set()
        self.fails_to_decide = False
        self.session = core.Session()
        self.root = core.User()
        self.channel: grpc.aio.Channel
        verbs = Verbs(Checker())
        self.built_in: set[str] = set()
        self.controller = ControllerHealth(is_configured=True)
        self.applier = Applier(
            resources,
            verbs,
            self._authorize,
            lambda _: frozenset(self.built_in),
            controller=lambda: self.controller,
        )
        self.thinker = Thinker()
        self.explainer = Explainer(resources, self.thinker, self.log, self._authorize, clock)
        access = AccessLister(resources, self.thinker, self.applier, self._authorize)
        self.signed_in = AttemptLog()
        keyring = Keyring(clock=clock)
        authentication = Authentication(resources, keyring, clock=clock, log=self.signed_in)
        invitations = InvitationLogins(
            resources, keyring, authentication, "https://example.com", clock=clock
        )
        self.looker = Looker()
        doctor = DoctorService(resources, self.looker, self._authorize, clock=clock)
        watches = WatchService(resources, self._authorize)
        ext_service = ExtService(
            self.applier,
            self.log,
            self.explainer,
            access,
            self.attempts,
            invitations,
            doctor,
            watches,
            ContainerService(resources, self._authorize, lambda: self.controller),
        )
        self.server = ApiServer(
            [
                Binding(
                    core_service.DESCRIPTOR,
                    CoreService(
                        resources,
                        verbs,
                        self._generate,
                        self._authorize,
                        controller=lambda: self.controller,
                    ).methods(),
                ),
                Binding(EXT, ext_service, MAX_REQUEST_BYTES),
            ],
            publish=self._publish,
        )

    async def _publish(self) -> None:
        self.published += 1

    async def _authorize(self, call: Call, method: str) -> bool:
        assert call.session_uid
        if self.fails_to_decide:
            raise RuntimeError("no decision could be made")
        self.decided.append(method.rpartition("/")[2])
        return method.rpartition("/")[2] not in self.denied

    def _generate(self, tx: Transaction, credential: core.Credential) -> core.CredentialToken:
        credential.status.total_rotations += 1
        tx.update(credential)
        if credential.spec.is_disabled:
            raise CredentialUnusableError("is disabled")
        return core.CredentialToken(
            access_token=core.CredentialTokenAccessToken(access_token=credential.metadata.name)
        )

    async def bootstrap(self) -> None:
        """The objects without which no Cluster is."""
        async with self.resources.transaction() as tx:
            cluster = core.ClusterConfig()
            cluster.metadata.name = "default"
            cluster.metadata.is_system = True
            cluster.status.domain = "example.com"
            tx.create(cluster)
            region = core.Region()
            region.metadata.name = "default"
            region.metadata.is_system = True
            tx.create(region)
            for name in ("default", "octelium", "octelium-api"):
                namespace = core.Namespace()
                namespace.metadata.name = name
                namespace.metadata.is_system = True
                namespace.metadata.is_user_hidden = name != "default"
                tx.create(namespace)
            system_user = resource("User", "octelium", spec={"type": "WORKLOAD"})
            system_user.metadata.is_system = True
            tx.create(system_user)
            self.root = tx.create(resource("User", "root", spec={"type": "WORKLOAD"}))
            self.session = tx.create(self.new_session(self.root, "root-abc123"))
            hidden = core.Secret()
            hidden.metadata.name = "sys:root-secret-aaaaaaaa"
            hidden.metadata.is_system = hidden.metadata.is_system_hidden = True
            hidden.data.value = "a signing key"
            tx.create(hidden)

    def new_session(self, user: core.User, name: str) -> core.Session:
        """A Session of `user`, not stored yet."""
        session = core.Session()
        session.metadata.name = name
        session.spec.state = core.SessionSpecState__.ACTIVE
        session.spec.expires_at.FromSeconds(int(self.clock.now) + 86_400)
        status = session.status
        status.user_ref.CopyFrom(reference(user))
        status.type = core.SessionStatusType__.CLIENT
        status.authentication.token_id = str(uuid.uuid4())
        status.authentication.set_at.FromSeconds(int(self.clock.now))
        status.authentication.access_token_duration.hours = 4
        status.authentication.refresh_token_duration.hours = 12
        return session

    async def store(self, *messages: Any) -> list[Any]:
        """Put resources into the store past the API."""
        async with self.resources.transaction() as tx:
            return [tx.create(message) for message in messages]

    async def _call(self, path: str, request: Any, reply: type[Any], as_session: Any) -> Any:
        function: Any = self.channel.unary_unary(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString,
        )
        return await function(request, metadata=self.credentials(as_session), timeout=PATIENCE)

    def credentials(self, session: core.Session | None = None) -> tuple[tuple[str, str], ...]:
        """What the proxy would say of a caller, by default the administrator."""
        session = session or self.session
        return (
            ("x-octelium-session-uid", session.metadata.uid),
            ("x-octelium-session-ref", json.dumps(to_json(reference(session)))),
        )

    async def core(self, method: str, request: Any = None, *, session: Any = None) -> Any:
        """Call a method of core.v1 as the administrator, or as another Session."""
        rpc = core_service.DESCRIPTOR.methods_by_name[method]
        if request is None:
            request = _class(rpc.input_type)()
        path = f"/{core_service.DESCRIPTOR.full_name}/{method}"
        return await self._call(path, request, _class(rpc.output_type), session)

    async def refused(self, method: str, request: Any = None, *, session: Any = None) -> Any:
        """Call a method that must fail without writing anything; the error."""
        before = self.resources.revision
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.core(method, request, session=session)
        assert self.resources.revision == before
        return caught.value

    async def apply(self, *messages: Any, **options: Any) -> ext.ApplyResponse:
        """Apply resources."""
        request = ext.ApplyRequest(resources=wrapped(*messages), **options)
        path = f"/{EXT.full_name}/Apply"
        response: ext.ApplyResponse = await self._call(path, request, ext.ApplyResponse, None)
        return response

    async def ext(self, method: str, request: Any, *, session: Any = None) -> Any:
        """Call a method of ext.v1."""
        reply = getattr(ext, EXT.methods_by_name[method].output_type.name)
        return await self._call(f"/{EXT.full_name}/{method}", request, reply, session)

    async def ext_refused(
        self, method: str, request: Any, *, session: Any = None
    ) -> tuple[str, str]:
        """Call a method of ext.v1 that must fail; status and text."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.ext(method, request, session=session)
        return codes(caught.value)

    async def apply_refused(self, *messages: Any, **options: Any) -> grpc.aio.AioRpcError:
        """Apply resources that must be refused without a trace; the error."""
        before = self.resources.revision
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.apply(*messages, **options)
        assert self.resources.revision == before
        return caught.value


def _class(descriptor: Any) -> type[Any]:
    for module in (core, meta):
        found: type[Any] | None = getattr(module, descriptor.name, None)
        if found is not None:
            return found
    raise LookupError(descriptor.name)


def codes(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """Status name and text."""
    return error.code().name, error.details() or ""


@asynccontextmanager
async def bootstrapped(directory: Path) -> AsyncIterator[Harness]:
    """A harness with its store, not serving yet."""
    store = await SqliteStore.open(directory)
    clock = Clock()
    resources = Resources(store, Vault([bytes(range(32))]), clock)
    await resources.load()
    harness = Harness(resources, clock)
    await harness.bootstrap()
    yield harness
    await resources.close()


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Harness]:
    """A harness with its server running and its client connected."""
    async with bootstrapped(directory) as harness:
        path = directory / "api.sock"
        harness.server.listen(path)
        await harness.server.start()
        async with grpc.aio.insecure_channel(
            f"unix:{path}", options=[("grpc.max_receive_message_length", -1)]
        ) as channel:
            harness.channel = channel
            yield harness
        await harness.server.stop(0)
