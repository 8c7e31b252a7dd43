from __future__ import annotations

import pytest

from tests.schema.validation.world import World, service, web

PLUGIN = "condition: {matchAny: true}, lua: {inline: x}"


def test_plugins_have_names_of_their_own(world: World) -> None:
    world.apply(web(f"http: {{plugins: [{{name: p1, {PLUGIN}}}, {{name: p2, {PLUGIN}}}]}}"))
    same = f"plugins: [{{name: p1, {PLUGIN}}}, {{name: p1, {PLUGIN}}}]"
    assert world.refusal(web(f"http: {{{same}}}")).path == "spec.config.http.plugins[1].name"
    for mode in ("MCP", "LLM"):
        form = mode.lower()
        text = service(
            f"{{mode: {mode}, config: {{upstream: {{url: 'http://h'}}, {form}: {{{same}}}}}}}"
        )
        assert world.refusal(text).path == f"spec.config.{form}.plugins[1].name"


@pytest.mark.parametrize(
    ("processor", "path"),
    [
        ("{address: 'h:1', messageTimeout: {milliseconds: 6001}}", "extProc.messageTimeout"),
        ("{address: 'h:1', messageTimeout: {milliseconds: 999}}", "extProc.messageTimeout"),
        ("{}", "extProc"),
        ("{container: {image: i}}", "extProc.container.port"),
        ("{address: 'a b'}", "extProc.address"),
    ],
)
def test_external_processors(world: World, processor: str, path: str) -> None:
    def plugin(text: str) -> str:
        return web(
            f"http: {{plugins: [{{name: p1, condition: {{matchAny: true}}, extProc: {text}}}]}}"
        )

    assert world.refusal(plugin(processor)).path == f"spec.config.http.plugins[0].{path}"
    world.apply(plugin("{address: 'h:1', messageTimeout: {seconds: 6}}"))


def mcp(parts: str) -> str:
    return service(f"{{mode: MCP, config: {{upstream: {{url: 'http://h'}}, mcp: {{{parts}}}}}}}")


def test_mcp(world: World) -> None:
    world.apply(mcp("endpoint: /mcp, protocol: {versions: ['2025-06-18', '2025-03-26']}"))
    for parts, path in [
        ("protocol: {versions: [a, a]}", "protocol.versions[1]"),
        (f"protocol: {{versions: {['a'] * 17}}}", "protocol.versions"),
        ("endpoint: mcp", "endpoint"),
        ("endpoint: /.well-known/mcp", "endpoint"),
    ]:
        assert world.refusal(mcp(parts)).path == f"spec.config.mcp.{path}"


def test_llm_guards_compile(world: World) -> None:
    def llm(pattern: str) -> str:
        return service(
            "{mode: LLM, config: {upstream: {url: 'http://h'}, llm: {plugins: [{name: p1, "
            f"condition: {{matchAny: true}}, guardrail: {{patterns: [{pattern}]}}}}]}}}}}}"
        )

    world.apply(llm("{regex: 'a+', action: DENY}"))
    refused = world.refusal(llm("{regex: '(?=a)', action: DENY}"))
    assert refused.path == "spec.config.llm.plugins[0].guardrail.patterns[0].regex"
    assert world.refusal(llm("{action: DENY}")).path == refused.path.removesuffix(".regex")
