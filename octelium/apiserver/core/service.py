"""core.v1.MainService: its methods, made of the verbs and the kinds' rules."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from octelium.apiserver.core.caller import Caller
from octelium.apiserver.core.rules import Rules, all_rules
from octelium.apiserver.core.verbs import Verbs, get
from octelium.apiserver.core.warnings import may_see_attachments, warn
from octelium.apiserver.rpc import method_name
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from octelium.apiserver.core.deployment import AskController
    from octelium.apiserver.rpc import Authorize, Call
    from octelium.store.reading import Reader
    from octelium.store.resources import Resources
    from octelium.store.transaction import Transaction

    Method = Callable[[Any, Call], Awaitable[Any]]


REVISION_TRAILER = "octelium-revision-bin"
"""Trailer of Get and List: a `WatchResponse` with the revision that the reply shows."""
IF_VERSION = "octelium-if-version"
"""Metadata of an Update: the `resourceVersion` that it is made from. If the resource has another
one by now, nothing is changed. Official clients do not send it, and the last writer wins."""


class TokenGenerator(Protocol):
    """Makes a new token for a Credential; earlier ones die with the transaction."""

    def __call__(self, tx: Transaction, credential: core.Credential) -> core.CredentialToken:
        """The token.

        Raises:
            AuthenticationError: The Credential can have none.
        """


class CoreService:
    """The resources of the Cluster. `controller` tells what deploys its containers."""

    def __init__(
        self,
        resources: Resources,
        verbs: Verbs,
        generate_token: TokenGenerator,
        authorize: Authorize,
        *,
        controller: AskController,
    ) -> None:
        self._warn = partial(warn, controller=controller)
        self._authorize = authorize
        self._resources = resources
        self._verbs = verbs
        self._generate_token = generate_token

    def methods(self) -> dict[str, Method]:
        """Every verb of every kind, by the name that the gRPC server looks for."""
        makers = {
            "Create": self._create,
            "Update": self._update,
            "Get": self._get,
            "List": self._list,
            "Delete": self._delete,
        }
        methods = {
            method_name(verb + rules.name): makers[verb](rules)
            for rules in all_rules().values()
            for verb in rules.verbs
        }
        return {**methods, "generate_credential_token": self._generate_credential_token}

    async def _generate_credential_token(
        self, request: core.GenerateCredentialTokenRequest, call: Call
    ) -> core.CredentialToken:
        caller = Caller.of(call)
        async with self._resources.transaction(caller.actor) as tx:
            caller.check(tx)
            reference = request.credential_ref
            return self._generate_token(tx, _referred(tx, "Credential", reference))

    async def _may_see_attachments(self, rules: Rules, call: Call) -> bool:
        """Decided before the store is held; only Policies are looked at where they are attached."""
        return rules.name == "Policy" and await may_see_attachments(self._authorize, call)

    def _create(self, rules: Rules) -> Method:
        async def create(request: Any, call: Call) -> Any:
            caller = Caller.of(call)
            visible = await self._may_see_attachments(rules, call)
            async with self._resources.transaction(caller.actor) as tx:
                caller.check(tx)
                message = self._verbs.create(tx, rules, request)
                self._warn(call, rules, message, tx, visible=visible)
            return rules.shown(message)

        return create

    def _update(self, rules: Rules) -> Method:
        async def update(request: Any, call: Call) -> Any:
            caller = Caller.of(call)
            visible = await self._may_see_attachments(rules, call)
            async with self._resources.transaction(caller.actor) as tx:
                caller.check(tx)
                message = self._verbs.update(
                    tx, rules, request, caller, if_version=call.metadata.get(IF_VERSION, "")
                )
                self._warn(call, rules, message, tx, visible=visible)
            return rules.shown(message)

        return update

    def _delete(self, rules: Rules) -> Method:
        async def delete(request: meta.DeleteOptions, call: Call) -> meta.OperationResult:
            caller = Caller.of(call)
            async with self._resources.transaction(caller.actor) as tx:
                caller.check(tx)
                self._verbs.delete(tx, rules, request, caller)
            return meta.OperationResult()

        return delete

    def _get(self, rules: Rules) -> Method:
        async def read(request: Any, call: Call) -> Any:
            call.require_session()
            if rules.kind.singleton:
                request = meta.GetOptions(name="default")
            self._tell_revision(call)
            return rules.shown(get(self._resources, rules, request))

        return read

    def _tell_revision(self, call: Call) -> None:
        """From where a watch goes on after a reply."""
        since = ext.WatchResponse(revision=self._resources.revision)
        call.trailers.append((REVISION_TRAILER, since.SerializeToString()))

    def _list(self, rules: Rules) -> Method:
        kind = rules.kind
        list_message = kind.list_message
        assert list_message is not None

        async def listing(request: Any, call: Call) -> Any:
            call.require_session()
            by = {
                item.index: _referred(
                    self._resources, item.kind, getattr(request, item.option)
                ).metadata.uid
                for item in rules.filters
                if request.HasField(item.option)
            }
            page = self._resources.page(kind.name, request.common, by=by, where=_is_listed)
            self._tell_revision(call)
            return list_message(
                api_version=kind.api,
                kind=f"{kind.name}List",
                items=map(rules.shown, page.items),
                list_response_meta=page.meta(),
            )

        return listing


def _referred(reader: Reader, kind: str, reference: meta.ObjectReference) -> Any:
    """What a reference in a request means; its name decides, if it has one."""
    options = meta.GetOptions(name=reference.name, uid="" if reference.name else reference.uid)
    return get(reader, all_rules()[kind], options)


def _is_listed(message: Any) -> bool:
    return not message.metadata.is_system_hidden


DESCRIPTOR = core.DESCRIPTOR.services_by_name["MainService"]
