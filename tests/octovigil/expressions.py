"""Expressions for random worlds: all the ways to look at `ctx`, errors among them."""

from __future__ import annotations

from typing import Any, Final

MATCHES: Final = [
    "true",
    "false",
    "ctx.user.spec.type == 'HUMAN'",
    "ctx.user.spec.email == 'u0@example.com'",
    "'g0' in ctx.user.spec.groups",
    "ctx.groups.exists(g, g.spec.attrs.level == 1)",
    "ctx.groups.map(g, g.metadata.name).hasAny(['g1'])",
    "ctx.device.spec.state == 'ACTIVE'",
    "!has(ctx.device)",
    "has(ctx.session.spec.authorization)",
    "size(ctx.session.status.lastAuthentications) == 2",
    "ctx.session.status.authentication.info.downstream.ipAddress == '192.0.2.1'",
    "timestamp(ctx.session.spec.expiresAt) > timestamp('2027-01-16T08:00:00Z')",
    "ctx.service.spec.port == 80",
    "ctx.service.spec.mode == 'WEB' || ctx.request.http.path == '/b'",
    "ctx.namespace.metadata.labels.tier == 'gold'",
    "attrs.level == 1",
    "attrs.level == true",
    "has(attrs.level)",
    "attrs == {}",
    "ctx.request.http.bodyMap.x == 1",
    "ctx.request.http.bodyMap.x == true",
    "ctx.request.http.bodyMap.x == '1'",
    "ctx.request.http.bodyMap.x == null",
    "ctx.request.http.bodyMap.x == ''",
    "type(ctx.request.http.bodyMap.x) == double",
    "has(ctx.request.http.bodyMap.x)",
    "!has(ctx.request.http.bodyMap.x)",
    "has(ctx.request.http.bodyMap)",
    "!has(ctx.request.http)",
    "has(ctx.request)",
    "!has(ctx.request)",
    "ctx.request.ip == '192.0.2.1'",
    "'x' in ctx.request.http.bodyMap",
    "ctx.request.http.path.startsWith('/a')",
    "ctx.request.http.path.size() > 1000",
    "ctx.request['http']['path'] == '/b'",
    "ctx.request.http.path == '/b' && ctx.user.spec.type == 'WORKLOAD'",
    "ctx.request.http.path == '/b' || ctx.user.metadata.name == 'u1'",
    "ctx.request.http.method in ['GET', 'HEAD']",
    "ctx.request.grpc.method == 'List'",
    "ctx.request.http.headers.size() > 1",
    "ctx.request.http.headers.map(k, k)[0] == 'user'",
    "ctx.request.http[ctx.request.http.method] == 1",
    "ctx.user.metadata.name == ctx.request.http.headers.user",
    "now() > timestamp('2027-01-15T08:00:40Z')",
    "now() < timestamp('2027-01-15T08:01:00Z') && ctx.request.http.path == '/a'",
    "ctx.user.metadata.name == 'u1' || now() < timestamp('2027-01-15T09:00:00Z')",
    "ctx.request.http.bodyMap.x in [1, 'a']",
    "ctx.request.http.bodyMap.x == attrs.level",
    "cel.bind(x, ctx.request.http.bodyMap.x, x == true || x == '1')",
    "cel.bind(c, ctx, c.request.http.path == '/a')",
    "(ctx.user.spec.type == 'HUMAN' ? ctx : attrs).request.http.path == '/a'",
    "(ctx.request.http.method == 'GET' ? ctx.request.http.path : ctx.user.spec.type) == '/a'",
    "ctx.request.http.bodyMap == {}",
    "dyn(ctx).request.http.bodyMap.x == ctx.service.spec.port",
]
FAILING: Final = [
    "attrs.level < ctx.request.http.bodyMap.x",
    "1.0 / ctx.request.http.bodyMap.x < 0.0",
    "size(ctx.request.http.bodyMap.x) == 1",
    "string(ctx.request.http.bodyMap.x) == '1'",
    "ctx.request.http.bodyMap.x.y == 1",
    "has(ctx.request.http.bodyMap.x.y)",
    "1 in ctx.request.http.bodyMap",
    "ctx.request.http.bodyMap[0] == 1",
    "1 / 0 > 1",
    "ctx.request.http.bodyMap.x + 1.0 > 1.0",
    "ctx.request.http.bodyMap.x || ctx.user.metadata.name == 'u0'",
    "ctx.user.metadata.name",
]
"""Expressions that fail for many a request."""
WHOLE: Final = [
    "json.marshal(ctx).contains('u' + '2')",
    "json.marshal(ctx).contains('PO' + 'ST')",
    "ctx['req' + 'uest'].http.path == '/a'",
    "json.marshal(ctx.request).contains('POST')",
    "json.parse(json.marshal(ctx.request)).http.bodyMap.x == 1",
    "ctx.request == {}",
    "size(ctx.request) > 1",
    "[ctx.request].exists(r, r.http.path == '/a')",
]
"""Expressions that look at all of a request, so that few are alike."""
SENSITIVE: Final = [text for text in MATCHES if "bodyMap" in text or "now()" in text]

COMPUTED: Final = [
    "{'upstream': {'url': 'http://127.0.0.1:82'}}",
    "{'upstream': {'url': 'http://h-' + string(ctx.request.http.bodyMap.x == 1) + ':80'}}",
    "{'upstream': {'url': 'http://' + ctx.user.metadata.name + ':80'}}",
    "now() < timestamp('2027-01-15T08:00:20Z') ? {'upstream': {'url': 'http://n:80'}} : {}.x",
    "ctx.request.http.path",
]
"""Configurations; some come to nothing."""

FAMILIES: Final[list[list[Any]]] = [
    [1, True, 1.0, "1", [1], ["1"], {"y": 1}],
    [None, False, True, "null", "true", "ABSENT"],
    [None, "", "ABSENT", [], {}, 0],
    [0, -0.0, False, "", 2**53 + 1, 2.0**53],
    ["\u00e9", "e\u0301", "1" * 1100, "1" * 1099 + "2", "1"],
]
"""Values that are taken for each other where somebody is careless; `ABSENT` is none."""
VALUES: Final[list[Any]] = [value for family in FAMILIES for value in family]
