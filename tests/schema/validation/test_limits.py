from __future__ import annotations

import pytest

from octelium.schema.validation import limits
from tests.schema.validation.world import World, service, web

LONG = "x" * 60_000


def test_the_entry_of_a_message_goes_before_that_of_a_field() -> None:
    assert limits.text_of("UserSpecInfo", "locale") == ("line", 256)
    assert limits.text_of("ServiceSpecConfigHttpPluginLua", "inline") == ("program", 20_000)
    assert limits.text_of("ServiceSpecConfigHttpResponseDirect", "inline") == ("anything", 50_000)
    assert limits.text_of("UserSpec", "nothing") is None
    assert limits.count_of("ClusterConfigSpecAuthenticator", "post_authentication_rules") == 256
    assert limits.count_of("IdentityProviderSpec", "post_authentication_rules") == 128
    with pytest.raises(KeyError):
        limits.count_of("UserSpec", "nothing")


@pytest.mark.parametrize(
    ("config", "path"),
    [
        (f"http: {{response: {{direct: {{inline: {LONG}}}}}}}", "http.response.direct.inline"),
        (f"http: {{response: {{direct: {{inlineBytes: {LONG}}}}}}}",
         "http.response.direct.inlineBytes"),
        ("http: {response: {direct: {statusCode: 199}}}", "http.response.direct.statusCode"),
        ("http: {response: {direct: {statusCode: 600}}}", "http.response.direct.statusCode"),
        ("http: {retry: {maxRetries: 101}}", "http.retry.maxRetries"),
        ("http: {retry: {statusCodes: [500, 100]}}", "http.retry.statusCodes[1]"),
        (f"http: {{retry: {{statusCodes: {[500] * 65}}}}}", "http.retry.statusCodes"),
        (f"http: {{path: {{addPrefix: /{LONG}}}}}", "http.path.addPrefix"),
        ("http: {path: {addPrefix: a}}", "http.path.addPrefix"),
        (f"http: {{header: {{removeRequestHeaders: {['a'] * 257}}}}}",
         "http.header.removeRequestHeaders"),
        (f"http: {{visibility: {{includeRequestHeaders: {['a'] * 129}}}}}",
         "http.visibility.includeRequestHeaders"),
        (f"http: {{cors: {{allowOriginStringMatch: {['*'] * 65}}}}}",
         "http.cors.allowOriginStringMatch"),
        ("http: {header: {addRequestHeaders: [{value: a}]}}",
         "http.header.addRequestHeaders[0].key"),
        ("http: {header: {addRequestHeaders: [{key: a}]}}", "http.header.addRequestHeaders[0]"),
        ("http: {auth: {basic: {username: a}}}", "http.auth.basic.password"),
        ("http: {auth: {custom: {value: {fromSecret: token}}}}", "http.auth.custom.header"),
        ("http: {auth: {sigv4: {accessKeyID: a, secretAccessKey: {fromSecret: token}}}}",
         "http.auth.sigv4.region"),
        (("http: {auth: {oauth2ClientCredentials: "
          "{clientID: a, clientSecret: {fromSecret: token}}}}"),
         "http.auth.oauth2ClientCredentials.tokenURL"),
        ("http: {auth: {bearer: {}}}", "http.auth.bearer"),
        ("http: {auth: {bearer: {fromSecret: ''}}}", "http.auth.bearer.fromSecret"),
        ("http: {plugins: [{name: p1, lua: {inline: x}}]}", "http.plugins[0].condition"),
        ("http: {plugins: [{condition: {matchAny: true}, lua: {inline: x}}]}",
         "http.plugins[0].name"),
        ("http: {plugins: [{name: p1, condition: {matchAny: true}}]}", "http.plugins[0]"),
        (("http: {plugins: [{name: p1, condition: {matchAny: true}, "
          f"lua: {{inline: {LONG}}}}}]}}"),
         "http.plugins[0].lua.inline"),
        ("http: {plugins: [{name: p1, condition: {matchAny: true}, rateLimit: {limit: 1}}]}",
         "http.plugins[0].rateLimit.window"),
        (("http: {plugins: [{name: p1, condition: {matchAny: true}, "
          "rateLimit: {window: {seconds: 1}}}]}"), "http.plugins[0].rateLimit.limit"),
        (("http: {plugins: [{name: p1, condition: {matchAny: true}, "
          "rateLimit: {limit: -1, window: {seconds: 1}}}]}"), "http.plugins[0].rateLimit.limit"),
        ("http: {plugins: [{name: p1, condition: {matchAny: true}, cache: {maxSize: 256000001}}]}",
         "http.plugins[0].cache.maxSize"),
    ],
)  # fmt: skip
def test_limits_of_http(world: World, config: str, path: str) -> None:
    assert world.refusal(web(config)).path == f"spec.config.{path}"


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (("{mode: MCP, config: {upstream: {url: 'http://h'}, mcp: {limits: "
          "{maxRequestBytes: 16777217}}}}"), "mcp.limits.maxRequestBytes"),
        (("{mode: MCP, config: {upstream: {url: 'http://h'}, mcp: {limits: "
          "{maxStreamEventBytes: 4194305}}}}"), "mcp.limits.maxStreamEventBytes"),
        (("{mode: LLM, config: {upstream: {url: 'http://h'}, llm: {limits: "
          "{maxRequestBytes: 67108865}}}}"), "llm.limits.maxRequestBytes"),
        (("{mode: LLM, config: {upstream: {url: 'http://h'}, "
          f"llm: {{model: {{value: {LONG}}}}}}}}}"),
         "llm.model.value"),
        ("{mode: TCP, config: {upstream: {container: {image: i, port: 70000}}}}",
         "upstream.container.port"),
        ("{mode: TCP, config: {upstream: {container: {image: i}}}}", "upstream.container.port"),
        ("{mode: TCP, config: {upstream: {container: {port: 1}}}}", "upstream.container.image"),
        ("{mode: TCP, config: {upstream: {container: {image: i, port: 1, replicas: 101}}}}",
         "upstream.container.replicas"),
        (("{mode: TCP, config: {upstream: {container: {image: i, port: 1, securityContext: "
          "{capabilities: {add: [net_admin]}}}}}}"),
         "upstream.container.securityContext.capabilities.add[0]"),
        (("{mode: TCP, config: {upstream: {container: {image: i, port: 1, "
          "readinessProbe: {tcpSocket: {}}}}}}"),
         "upstream.container.readinessProbe.tcpSocket.port"),
    ],
)  # fmt: skip
def test_limits_of_other_configs(world: World, spec: str, path: str) -> None:
    assert world.refusal(service(spec)).path == f"spec.config.{path}"


def test_a_volume_of_either_form_is_accepted(world: World) -> None:
    world.apply(
        service(
            "{mode: TCP, port: 1, config: {upstream: {container: {image: i, port: 1, volumes: ["
            "{name: aa, emptyDir: {sizeLimitMegabytes: 5}}, "
            "{name: bb, persistentVolumeClaim: {name: claim}}], "
            "volumeMounts: [{name: aa, mountPath: /a}, {name: bb, mountPath: /b}]}}}}"
        )
    )
