"""Signs in with the official Python SDK; runs in an environment of its own, with `octelium-sdk`.

Usage: sdk_logins.py SCENARIO, with a JSON object on stdin: `issuer`, its public keys `jwks`,
`audience`, `workloads` (client ids of the issuer and their secrets), and what the scenario
`secrets` makes of `administrator` (a token) and `clients` (names of OAUTH2 Credentials). Prints
what happened as a JSON object. The domain is in OCTELIUM_DOMAIN.
"""
# mypy: ignore-errors
# The SDK's packages are called `octelium` too, so this file is not checked with the project's own.

import asyncio
import base64
import json
import os
import sys
import time

import aiohttp
import octelium.api.main.core.v1 as core
import octelium.api.main.meta.v1 as meta
import octelium.api.main.user.v1 as user
import octelium.sdk.client
from grpclib.exceptions import GRPCError
from octelium.sdk import (
    AssertionConfig,
    AuthConfig,
    AuthenticationError,
    AuthTokenConfig,
    OAuth2ClientCredentialsConfig,
    OcteliumClient,
    OcteliumClientConfig,
)
from sdk_script import every_kind

TOLD = json.load(sys.stdin)
DOMAIN = os.environ["OCTELIUM_DOMAIN"]
MINUTE = 60


class Clock:
    """The clock by which the SDK tells how old its tokens are."""

    ahead = 0

    def monotonic(self):
        return time.monotonic() + self.ahead


CLOCK = octelium.sdk.client.time = Clock()


async def foreign_token(workload="builder", audience=None):
    """A token of the issuer, as a workload asks it for one (RFC 6749 section 4.4, RFC 8707)."""
    form = {"grant_type": "client_credentials", "resource": audience or TOLD["audience"]}
    proof = base64.b64encode(f"{workload}:{TOLD['workloads'][workload]}".encode()).decode()
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Basic {proof}"}) as session,
        session.post(f"{TOLD['issuer']}/token", data=form) as reply,
    ):
        body = await reply.json()
        assert reply.status == 200, body
        return body["access_token"]


def by_assertion(workload="builder", audience=None, provider="", scopes=()):
    async def token():
        return await foreign_token(workload, audience)

    given = AssertionConfig(token=token, scopes=scopes, identity_provider=provider)
    return AuthConfig(type="assertion", assertion=given)


def by_secret(name="builder", scopes=(), **other):
    found = {**TOLD["credentials"][name], **other}
    given = OAuth2ClientCredentialsConfig(**found, scopes=scopes)
    return AuthConfig(type="oauth2_client_credentials", oauth2_client_credentials=given)


def by_token(token=None, scopes=()):
    given = AuthTokenConfig(token=token or TOLD["token"], scopes=scopes)
    return AuthConfig(type="auth_token", auth_token=given)


def by_access_token(token):
    return AuthConfig(type="access_token", access_token=token)


def client(auth):
    # It renews after four fifths of a token's life, not only half a minute before its end.
    config = OcteliumClientConfig(auth=auth, refresh_before_expiry_seconds=3600)
    return OcteliumClient(config)


async def status(auth):
    """Who one is with `auth`."""
    async with client(auth) as made:
        return described(await made.user_v1.get_status(user.GetStatusRequest()))


def described(reply):
    return {
        "user": reply.user.metadata.name,
        "session": reply.session.metadata.name,
        "uid": reply.session.metadata.uid,
        "type": reply.session.status.type.name,
    }


async def raised(awaitable):
    """What is raised instead of a result."""
    try:
        result = await awaitable
    except GRPCError as error:
        return [error.status.name, error.message]
    except AuthenticationError as error:
        return [AuthenticationError.__name__, str(error)]
    return ["nothing", result]


async def get(made, service, path="/"):
    """The status and the text of a Service's answer."""
    url = f"https://{service}.{DOMAIN}{path}"
    async with made.http_client() as http, await http.get(url) as reply:
        return [reply.status, await reply.text()]


async def reaches(made, service):
    """The status only."""
    return (await get(made, service))[0]


async def uses(auth):
    """What one sees and reaches with `auth`."""
    async with client(auth) as made:
        who = described(await made.user_v1.get_status(user.GetStatusRequest()))
        services = await made.user_v1.list_service(user.ListServiceOptions())
        return {
            "who": who,
            "services": [item.metadata.name for item in services.items],
            "kinds": await every_kind(made),
            "wiki": await get(made, "wiki", "/page?q=1"),
            "vault": await get(made, "vault"),
        }


async def everything():
    """Each way to sign in; the domain, and here the token too, are found in the environment."""
    os.environ["OCTELIUM_AUTH_TOKEN"] = TOLD["token"]
    return {
        "assertion": await uses(by_assertion()),
        "oauth2": await uses(by_secret()),
        "auth_token": await uses(None),
    }


async def secrets():
    """What to sign in with by Credentials, made by the first administrator."""
    async with client(by_token(TOLD["administrator"])) as made:

        async def secret_of(name):
            wanted = meta.ObjectReference(name=name)
            options = core.GenerateCredentialTokenRequest(credential_ref=wanted)
            return await made.core_v1.generate_credential_token(options)

        token = (await secret_of("builder-token")).authentication_token.authentication_token
        found = {name: (await secret_of(name)).oauth2_credentials for name in TOLD["clients"]}
    clients = {
        name: {"client_id": each.client_id, "client_secret": each.client_secret}
        for name, each in found.items()
    }
    return {"token": token, "credentials": clients}


async def client_assertion():
    """The issuer's token at the token endpoint (RFC 7523), whose answer the SDK can use."""
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": await foreign_token(),
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"https://{DOMAIN}/oauth2/token", data=form) as reply,
    ):
        body = await reply.json()
    return {"token_type": body["token_type"], **await status(by_access_token(body["access_token"]))}


async def providers():
    """By keys that the Cluster is told of in three ways; made by the SDK itself."""
    name = core.IdentityProviderSpecOidcIdentityToken
    ways = {
        "by-address": name(issuer=TOLD["issuer"], jwks_url=f"{TOLD['issuer']}/jwks"),
        "by-content": name(issuer=TOLD["issuer"], jwks_content=TOLD["jwks"]),
    }
    done = {"ci": await status(by_assertion(provider="ci"))}
    async with client(by_secret("boss")) as boss:
        api = boss.core_v1
        builder = await api.get_user(meta.GetOptions(name="builder"))
        for way, spec in ways.items():
            item = core.IdentityProvider(
                metadata=meta.Metadata(name=way),
                spec=core.IdentityProviderSpec(oidc_identity_token=spec),
            )
            await api.create_identity_provider(item)
            identity = core.UserSpecAuthenticationIdentity(
                identity_provider=way, identifier="builder"
            )
            builder.spec.authentication.identities.append(identity)
            builder = await api.update_user(builder)
            done[way] = await status(by_assertion(provider=way))
            done[f"undecided {way}"] = await raised(status(by_assertion()))
            item.spec.is_disabled = True
            await api.update_identity_provider(item)
            done[f"disabled {way}"] = await raised(status(by_assertion(provider=way)))
            done[f"beside {way}"] = await status(by_assertion())
            builder.spec.authentication.identities.pop()
            builder = await api.update_user(builder)
            await api.delete_identity_provider(meta.DeleteOptions(name=way))
            done[f"deleted {way}"] = await raised(status(by_assertion(provider=way)))
    return done


async def renewal():
    """Tokens as the SDK renews them, and what the former ones are worth then."""
    done = {}
    for way, auth in {
        "assertion": by_assertion(),
        "auth_token": by_token(),
        "oauth2": by_secret(),
    }.items():
        CLOCK.ahead = 0
        async with client(auth) as made:
            first, before = await used(made)
            CLOCK.ahead = 23 * MINUTE
            same, _ = await used(made)
            CLOCK.ahead = 25 * MINUTE
            second, after = await used(made)
            done[way] = {
                "kept": same == first,
                "renewed": second != first,
                "same session": after == before,
                "former token": await raised(status(by_access_token(first))),
                "new token": (await status(by_access_token(second)))["session"] == before,
            }
    return done


async def used(made):
    """The access token that a call had, and its Session."""
    reply = await made.user_v1.get_status(user.GetStatusRequest())
    return await made.get_access_token(), reply.session.metadata.name


async def too_often():
    """Renewals for a clock that runs away: by the Cluster's they are early."""
    tokens = []
    async with client(by_assertion()) as made:
        for _ in range(7):
            tokens.append((await used(made))[0])
            CLOCK.ahead += 25 * MINUTE
        return {
            "different": len(set(tokens)),
            "kept": tokens[-1] == tokens[-2],
            "after its end": await raised(used(made)),
        }


async def scoped():
    """Sessions that may do less than their Users."""
    done = {}
    for way, auth in {
        "assertion": by_assertion(scopes=["api:user"]),
        "oauth2": by_secret("scoped", scopes=["api:user"]),
    }.items():
        async with client(auth) as made:
            await made.user_v1.get_status(user.GetStatusRequest())
            done[way] = [
                await raised(made.core_v1.list_namespace(core.ListNamespaceOptions())),
                await reaches(made, "wiki"),
            ]
    return done


async def refusals():
    """What goes wrong with a sign-in, and how many Sessions come of it."""
    wrong = {"client_secret": TOLD["credentials"]["boss"]["client_secret"]}
    ways = {
        "wrong audience": by_assertion(audience="https://other.test"),
        "expired": by_assertion("stale"),
        "of nobody": by_assertion("stranger"),
        "no such provider": by_assertion(provider="none"),
        "of a person": by_assertion("person"),
        "wrong scope": by_assertion(scopes=["api"]),
        "wrong secret": by_secret(**wrong),
        "no such client": by_secret(client_id="none"),
        "wrong scope of a client": by_secret(scopes=["api"]),
        "wrong token": by_token("none"),
        "wrong scope of a token": by_token(scopes=["api"]),
        "wrong access token": by_access_token("none"),
    }
    async with client(by_secret("boss")) as boss:
        before = len((await boss.core_v1.list_session(core.ListSessionOptions())).items)
        done = {what: await raised(status(auth)) for what, auth in ways.items()}
        after = len((await boss.core_v1.list_session(core.ListSessionOptions())).items)
    return {"raised": done, "sessions": after - before}


async def revoked():
    """Sessions that are ended from elsewhere, and what the SDK makes of it."""
    done = {}
    async with client(by_secret("boss")) as boss:
        for way, auth in {
            "assertion": by_assertion(),
            "auth_token": by_token(),
            "oauth2": by_secret(),
        }.items():
            async with client(auth) as made:
                before = described(await made.user_v1.get_status(user.GetStatusRequest()))
                await boss.core_v1.delete_session(meta.DeleteOptions(uid=before["uid"]))
                first = await raised(made.user_v1.get_status(user.GetStatusRequest()))
                http = await raised(reaches(made, "wiki"))
                second = await raised(again(made, before))
            done[way] = [first, http, second]
    return done


async def logout():
    async with client(by_assertion()) as made:
        before = described(await made.user_v1.get_status(user.GetStatusRequest()))
        token = await made.get_access_token()
        await made.logout()
        return {
            "former token": await raised(status(by_access_token(token))),
            "then": await again(made, before),
        }


async def again(made, before):
    """Whether there is another Session."""
    after = described(await made.user_v1.get_status(user.GetStatusRequest()))
    return "another Session" if after != before else "the same Session"


async def disabled():
    """What a User gets who is disabled while at work."""
    done = {}
    ways = {"assertion": by_assertion("reader"), "oauth2": by_secret("reader")}
    async with client(by_secret("boss")) as boss:
        clients = {way: client(auth) for way, auth in ways.items()}
        for way, made in clients.items():
            await used(made)
            done[way] = [await raised(made.core_v1.list_user(core.ListUserOptions()))]
        item = await boss.core_v1.get_user(meta.GetOptions(name="reader"))
        item.spec.is_disabled = True
        await boss.core_v1.update_user(item)
        for way, made in clients.items():
            done[way].append(await raised(made.user_v1.get_status(user.GetStatusRequest())))
            done[way].append(await raised(status(ways[way])))
            await made.close()
    return done


SCENARIOS = (
    secrets, everything, client_assertion, providers,
    renewal, too_often, scoped, refusals, revoked, logout, disabled,
)  # fmt: skip

print(json.dumps(asyncio.run({each.__name__: each for each in SCENARIOS}[sys.argv[1]]())))
