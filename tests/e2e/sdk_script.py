"""Drives the official Python SDK; runs in an environment of its own, with `octelium-sdk` in it.

Usage: sdk_script.py PORT CA_FILE AUTH_TOKEN. Prints a JSON object: kind → calls that came out well.
"""
# mypy: ignore-errors
# The SDK's packages are called `octelium` too, so this file is not checked with the project's own.

import asyncio
import json
import ssl
import sys

import octelium.api.main.core.v1 as core
import octelium.api.main.meta.v1 as meta
from octelium.sdk import AuthConfig, AuthTokenConfig, OcteliumClient, OcteliumClientConfig

DOMAIN = "octelium.localhost"
RULE = core.PolicySpecRule(
    effect=core.PolicySpecRuleEffect.ALLOW, condition=core.Condition(match_any=True)
)


def empty(message):
    """An empty message that is sent all the same."""
    message._serialized_on_wire = True
    return message


def named(name):
    return meta.Metadata(name=name)


def objects():
    """One object of each kind that can be created, in an order in which references resolve."""
    yield "namespace", core.Namespace(metadata=named("sdk-ns"), spec=empty(core.NamespaceSpec()))
    yield "group", core.Group(metadata=named("sdk-group"), spec=empty(core.GroupSpec()))
    yield (
        "user",
        core.User(metadata=named("sdk-user"), spec=core.UserSpec(type=core.UserSpecType.WORKLOAD)),
    )
    yield "policy", core.Policy(metadata=named("sdk-policy"), spec=core.PolicySpec(rules=[RULE]))
    yield (
        "secret",
        core.Secret(
            metadata=named("sdk-secret"),
            spec=empty(core.SecretSpec()),
            data=core.SecretData(value="x"),
        ),
    )
    yield (
        "config",
        core.Config(
            metadata=named("sdk-config"),
            spec=empty(core.ConfigSpec()),
            data=core.ConfigData(value="x"),
        ),
    )
    upstream = core.ServiceSpecConfigUpstream(url="http://127.0.0.1:9")
    spec = core.ServiceSpec(
        mode=core.ServiceSpecMode.HTTP,
        is_public=True,
        config=core.ServiceSpecConfig(upstream=upstream),
    )
    yield "service", core.Service(metadata=named("sdk-service.sdk-ns"), spec=spec)
    yield (
        "credential",
        core.Credential(
            metadata=named("sdk-credential"),
            spec=core.CredentialSpec(user="sdk-user", type=core.CredentialSpecType.OAUTH2),
        ),
    )
    oidc = core.IdentityProviderSpecOidcIdentityToken(issuer_url="https://issuer.example")
    yield (
        "identity_provider",
        core.IdentityProvider(
            metadata=named("sdk-idp"), spec=core.IdentityProviderSpec(oidc_identity_token=oidc)
        ),
    )


def list_options(kind):
    camel = "".join(part.capitalize() for part in kind.split("_"))
    return getattr(core, f"List{camel}Options")()


async def whole_life(client, kind, item, done):
    """Create, get, list, update; deletion comes last, in the reverse order."""
    api = client.core_v1
    steps = done.setdefault(kind, [])
    made = await getattr(api, f"create_{kind}")(item)
    assert made.metadata.uid, made
    steps.append("create")
    got = await getattr(api, f"get_{kind}")(meta.GetOptions(name=made.metadata.name))
    assert got.metadata.uid == made.metadata.uid
    steps.append("get")
    listed = await getattr(api, f"list_{kind}")(list_options(kind))
    assert made.metadata.uid in [each.metadata.uid for each in listed.items]
    steps.append("list")
    item.metadata.display_name = "Changed by the SDK"
    changed = await getattr(api, f"update_{kind}")(item)
    assert changed.metadata.display_name == "Changed by the SDK"
    assert changed.metadata.resource_version != made.metadata.resource_version
    steps.append("update")
    return made


async def other_kinds(client, done):
    """Kinds that the Cluster itself makes."""
    api = client.core_v1
    for kind in ("session", "device", "authenticator", "region", "gateway"):
        listed = await getattr(api, f"list_{kind}")(list_options(kind))
        done[kind] = ["list"]
        if listed.items:
            options = meta.GetOptions(uid=listed.items[0].metadata.uid)
            got = await getattr(api, f"get_{kind}")(options)
            assert got.metadata.uid == listed.items[0].metadata.uid
            done[kind].append("get")
    config = await api.get_cluster_config(core.GetClusterConfigRequest())
    config.metadata.display_name = "Changed by the SDK"
    changed = await api.update_cluster_config(config)
    assert changed.metadata.display_name == "Changed by the SDK"
    done["cluster_config"] = ["get", "update"]


async def every_kind(client):
    """Kind → the calls that came out well. Nothing is left of what it makes."""
    done = {}
    made = [(kind, await whole_life(client, kind, item, done)) for kind, item in objects()]
    await other_kinds(client, done)
    for kind, item in reversed(made):
        await getattr(client.core_v1, f"delete_{kind}")(meta.DeleteOptions(uid=item.metadata.uid))
        done[kind].append("delete")
    return done


async def main():
    port, ca_file, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    config = OcteliumClientConfig(
        domain=DOMAIN,
        api_host="127.0.0.1",
        api_port=port,
        tls_server_name=f"octelium-api.{DOMAIN}",
        auth=AuthConfig(type="auth_token", auth_token=AuthTokenConfig(token=token)),
        ssl_context_factory=lambda: ssl.create_default_context(cafile=ca_file),
    )
    async with await OcteliumClient.create(config) as client:
        print(json.dumps(await every_kind(client)))


if __name__ == "__main__":
    asyncio.run(main())
