"""The HTTP side: from a request to an answer."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.peers.kubernetes import discovery, listing, protobuf, tables, yamls
from tests.peers.kubernetes.access import Attempt, refused
from tests.peers.kubernetes.failure import Failure, bad_request
from tests.peers.kubernetes.faults import Asked, Fault
from tests.peers.kubernetes.resources import Resource, named
from tests.peers.kubernetes.reviews import review
from tests.peers.kubernetes.verbs import Write, Written
from tests.peers.kubernetes.watching import CutError, Watch

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from tests.peers.kubernetes.access import User
    from tests.peers.kubernetes.cluster import Cluster

Object = dict[str, Any]
_NOWHERE = "404 page not found\n"
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Application:
    """An ASGI application over a `Cluster`."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        asked = Asked(request.method.lower(), request.url.path)
        try:
            answer = await self._answer(request, send)
        except Failure as failure:
            answer = JSONResponse(failure.status, failure.code, failure.headers)
            self.cluster.faults.asked.append(replace(asked, code=failure.code))
        except ClientDisconnect:
            return  # Nobody is there to be answered, and nothing has been done.
        except Exception as error:
            self.cluster.errors.append(error)
            message = f"Internal error occurred: {error!r}"
            answer = JSONResponse(Failure(500, "InternalError", message).status, 500)
        if answer is not None:
            await answer(scope, receive, send)

    async def _answer(self, request: Request, send: Send) -> Response | None:
        user = self.cluster.access.user(request.headers.get("authorization", ""))
        parts = [part for part in request.url.path.split("/") if part]
        target = _target(parts)
        if target is None:
            return self._plain(request, user, parts)
        group, plural, namespace, name, sub = target
        resource = named(group, plural)
        verb = self._verb(request, name)
        attempt = Attempt(verb, group, plural, sub, namespace, name)
        asked = Asked(
            "apply" if _sort(request) == "application/apply-patch+yaml" else verb,
            plural,
            namespace,
            name,
            sub,
            user.name,
            request.query_params.get("fieldManager", ""),
            dry="All" in request.query_params.getlist("dryRun"),
        )
        try:
            if not self.cluster.access.allows(user, attempt):
                raise refused(user, attempt)
            fault = self.cluster.faults.strike(asked)
            if fault is not None:
                await asyncio.sleep(fault.delay)
                if fault.code and not fault.after:
                    raise fault.failure(resource, name)
            reviewed = await self._review(request, user, plural)
            if reviewed is not None:
                return reviewed
            if resource is None or (sub and sub not in resource.subresources):
                if (group, "v1") not in (("", "v1"), *discovery.groups()):
                    return PlainTextResponse(_NOWHERE, 404)
                why = "the server could not find the requested resource"
                raise Failure(404, "NotFound", why, {})
            if request.method == "POST" and name and sub != "token":
                why = "the server does not allow this method on the requested resource"
                raise Failure(405, "MethodNotAllowed", why, {})
            if verb == "watch":
                self.cluster.faults.asked.append(asked)
                await self._watch(request, resource, namespace, name, send)
                return None
            answer, changed = await self._verbs(request, resource, namespace, name, sub, verb)
            code = answer.status_code
            if fault is not None and fault.code:
                asked = replace(asked, changed=changed)
                raise _lost(fault, resource, name)
        except Failure as failure:
            self.cluster.faults.asked.append(replace(asked, code=failure.code))
            return JSONResponse(failure.status, failure.code, failure.headers)
        self.cluster.faults.asked.append(replace(asked, code=code, changed=changed))
        return answer

    def _verb(self, request: Request, name: str) -> str:
        if request.method in ("GET", "HEAD"):
            watching = request.query_params.get("watch", "false") in ("1", "true")
            return "watch" if watching else ("get" if name else "list")
        if request.method == "DELETE" and not name:
            return "deletecollection"
        return _VERBS[request.method]

    def _plain(self, request: Request, user: User, parts: list[str]) -> Response:
        """Paths without objects."""
        path = "/" + "/".join(parts)
        if not self.cluster.access.allows(user, Attempt("get", path=path)):
            raise refused(user, Attempt("get", path=path))
        accept = request.headers.get("accept", "")
        try:
            match parts:
                case ["version"]:
                    return JSONResponse(discovery.version())
                case ["healthz" | "livez" | "readyz"]:
                    return PlainTextResponse("ok")
                case ["api" | "apis" as root] if discovery.AGGREGATED in accept:
                    sort = f"application/json;{discovery.AGGREGATED}"
                    return JSONResponse(discovery.aggregated(root), media_type=sort)
                case ["api"]:
                    return JSONResponse(discovery.legacy())
                case ["apis"]:
                    return JSONResponse(discovery.group_list())
                case ["api", "v1"]:
                    return JSONResponse(discovery.resource_list("", "v1"))
                case ["apis", group]:
                    return JSONResponse(discovery.group(group))
                case ["apis", group, version]:
                    return JSONResponse(discovery.resource_list(group, version))
                case ["openapi", "v3"]:
                    return JSONResponse(discovery.openapi_paths())
                case ["openapi", "v3", "api", "v1"]:
                    return JSONResponse(discovery.openapi("", "v1"))
                case ["openapi", "v3", "apis", group, version]:
                    return JSONResponse(discovery.openapi(group, version))
        except KeyError:
            return PlainTextResponse(_NOWHERE, 404)
        return PlainTextResponse(_NOWHERE, 404)

    async def _review(self, request: Request, user: User, plural: str) -> Response | None:
        if not plural.startswith("selfsubject") or request.method != "POST":
            return None
        made = review(plural, await _body(request), self.cluster.access, user)
        return None if made is None else JSONResponse(made, 201)

    async def _verbs(
        self, request: Request, resource: Resource, namespace: str, name: str, sub: str, verb: str
    ) -> tuple[Response, bool]:
        verbs, query = self.cluster.verbs, request.query_params
        if sub == "scale":
            return await self._scale(request, resource, namespace, name)
        if sub == "token":
            return JSONResponse(self._token(namespace, name, await _body(request)), 201), False
        if sub == "log":
            verbs.get(resource, namespace, name)
            return PlainTextResponse(""), False
        if verb == "get":
            return self._shown(request, resource, verbs.get(resource, namespace, name)), False
        if verb == "list":
            found, meta = listing.page(self.cluster.store, resource, namespace, query)
            return self._listed(request, resource, found, meta), False
        how = _write(request, sub)
        if verb == "delete":
            options = await _body(request, empty={}) or {}
            _query_options(options, query)
            written = verbs.delete(resource, namespace, name, options, dry=how.dry)
            if resource.returns_deleted or "deletionTimestamp" in written.object["metadata"]:
                return self._shown(request, resource, written.object), written.changed
            return JSONResponse(_deleted(resource, written)), written.changed
        if verb == "deletecollection":
            return await self._collection(request, resource, namespace)
        if verb == "create":
            written = verbs.create(resource, namespace, await _body(request), how)
        elif verb == "update":
            written = verbs.update(resource, namespace, name, await _body(request), how)
        else:
            body = await request.body()
            written = verbs.patch(resource, namespace, name, _sort(request), body, how)
        answer = self._shown(request, resource, written.object, written.code)
        for warning in written.warnings:
            quoted = warning.replace('"', '\\"')
            answer.headers.append("Warning", f'299 - "{quoted}"')
        return answer, written.changed

    async def _collection(
        self, request: Request, resource: Resource, namespace: str
    ) -> tuple[Response, bool]:
        wanted = listing.matching(resource, request.query_params)
        options = await _body(request, empty={}) or {}
        _query_options(options, request.query_params)
        found = [one for one in self.cluster.store.all(resource, namespace) if wanted(one)]
        for one in found:
            meta = one["metadata"]
            self.cluster.verbs.delete(
                resource, meta.get("namespace", ""), meta["name"], dict(options), dry=False
            )
        return self._listed(request, resource, found, {}), bool(found)

    def _token(self, namespace: str, name: str, body: Object) -> Object:
        from tests.peers.kubernetes.resources import of_kind

        self.cluster.verbs.get(of_kind("ServiceAccount"), namespace, name)
        token = self.cluster.access.issue_for_account(namespace, name)
        return body | {"status": {"token": token, "expirationTimestamp": "2100-01-01T00:00:00Z"}}

    async def _scale(
        self, request: Request, resource: Resource, namespace: str, name: str
    ) -> tuple[Response, bool]:
        verbs = self.cluster.verbs
        given, changed = verbs.get(resource, namespace, name), False
        if request.method != "GET":
            body = await _body(request)
            if isinstance(body, list):
                from tests.peers.kubernetes.patching import json_patch

                body = json_patch(_scale_of(given), body)
            replicas = body.get("spec", {}).get("replicas", 0)
            how = _write(request, "scale")
            known = body.get("metadata", {}).get("resourceVersion")
            if known and known != given["metadata"]["resourceVersion"]:
                from tests.peers.kubernetes.failure import conflict

                raise conflict(resource, name)
            written = verbs.scale(resource, namespace, name, replicas, how)
            given, changed = written.object, written.changed
        return JSONResponse(_scale_of(given)), changed

    def _shown(
        self, request: Request, resource: Resource, given: Object, code: int = 200
    ) -> Response:
        if "as=Table" in request.headers.get("accept", ""):
            include = request.query_params.get("includeObject", "Metadata")
            meta = {"resourceVersion": given["metadata"].get("resourceVersion", "")}
            return JSONResponse(tables.table(resource, [given], meta, include), code)
        return JSONResponse(given, code)

    def _listed(
        self, request: Request, resource: Resource, found: list[Object], meta: Object
    ) -> Response:
        accept = request.headers.get("accept", "")
        if "as=Table" in accept:
            include = request.query_params.get("includeObject", "Metadata")
            return JSONResponse(tables.table(resource, found, meta, include))
        if "as=PartialObjectMetadataList" in accept:
            parts = [{"metadata": one["metadata"]} for one in found]
            return JSONResponse(
                {
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": meta,
                    "items": parts,
                }
            )
        items = [{k: v for k, v in one.items() if k not in ("kind", "apiVersion")} for one in found]
        return JSONResponse(
            {
                "kind": f"{resource.kind}List",
                "apiVersion": resource.api_version,
                "metadata": meta,
                "items": items,
            }
        )

    async def _watch(
        self, request: Request, resource: Resource, namespace: str, name: str, send: Send
    ) -> None:
        query = dict(request.query_params)
        if name:
            query["fieldSelector"] = f"metadata.name={name}"
        as_table = "as=Table" in request.headers.get("accept", "")
        include = query.get("includeObject", "Metadata")

        def shown(given: Object) -> Object:
            if not as_table:
                return given
            meta = {"resourceVersion": given["metadata"]["resourceVersion"]}
            return tables.table(resource, [given], meta, include)

        watch = Watch(
            self.cluster.store, resource, namespace, listing.matching(resource, query), shown
        )
        headers = [(b"content-type", b"application/json")]
        self.cluster.watches.add(watch)
        gone = asyncio.ensure_future(_disconnected(request, watch))  # noqa: TID251 - kept below
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            lines = watch.events(
                query.get("resourceVersion", ""),
                initial=query.get("sendInitialEvents") == "true",
                bookmarks=query.get("allowWatchBookmarks") in ("true", "1"),
                timeout=float(query.get("timeoutSeconds", "") or 3600),
                every=self.cluster.bookmarks_every,
            )
            async with aclosing(lines):
                async for line in lines:
                    await send({"type": "http.response.body", "body": line, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except CutError:
            return
        finally:
            gone.cancel()
            self.cluster.watches.discard(watch)


async def _disconnected(request: Request, watch: Watch) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    watch.tell("end")


def _target(parts: list[str]) -> tuple[str, str, str, str, str] | None:
    """Group, plural, namespace, name and subresource of a path; None for other paths."""
    if parts[:2] == ["api", "v1"]:
        group, rest = "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return None
    if not rest or len(rest) > 5:
        return None
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        tail = [*rest[2:], "", ""]
        return group, tail[0], rest[1], tail[1], tail[2]
    tail = [*rest, "", ""]
    # What is done to a namespace is judged within it.
    return group, tail[0], "", tail[1], tail[2]


def _sort(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip()


async def _body(request: Request, empty: Any = None) -> Any:
    text = await request.body()
    if not text:
        return empty
    if _sort(request) == protobuf.MEDIA_TYPE:
        return protobuf.decode(text)
    try:
        if "yaml" in _sort(request):
            return yamls.read(text)
        return json.loads(text)
    except ValueError as error:
        raise bad_request(f"the body is no JSON: {error}") from None


def _write(request: Request, sub: str) -> Write:
    query = request.query_params
    agent = request.headers.get("user-agent", "unknown").partition("/")[0]
    apply = _sort(request) == "application/apply-patch+yaml"
    return Write(
        query.get("fieldManager") or ("" if apply else agent),
        sub,
        "All" in query.getlist("dryRun"),
        query.get("fieldValidation") or "Warn",
        query.get("force", "false") in ("true", "1"),
    )


def _query_options(options: Object, query: Any) -> None:
    if "propagationPolicy" in query:
        options["propagationPolicy"] = query["propagationPolicy"]
    if "gracePeriodSeconds" in query:
        options["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])


def _deleted(resource: Resource, written: Written) -> Object:
    meta = written.object["metadata"]
    details = {"name": meta["name"], "kind": resource.plural, "uid": meta["uid"]}
    if resource.group:
        details["group"] = resource.group
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def _scale_of(given: Object) -> Object:
    meta = given["metadata"]
    labels = (given["spec"].get("selector") or {}).get("matchLabels") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {"replicas": given["spec"].get("replicas", 0)},
        "status": {
            "replicas": given.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }


def _lost(fault: Fault, resource: Resource, name: str) -> Failure:
    return fault.failure(resource, name)
