"""A page of one Service tries to act as its visitor: at the API, and at another Service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.cluster import DOMAIN
from tests.e2e.test_pages import post

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.e2e.cluster import Cluster
    from tests.e2e.documents import Document
    from tests.e2e.ways import Visitors

STATUS = "/octelium.api.main.user.v1.MainService/GetStatus"
NAMES = ("octelium_auth", "octelium_rt")
REFUSED = re.compile("no page of this Service caused the request")


def service(name: str, **spec: Any) -> Document:
    """A page for everybody who is signed in."""
    html = f"<!doctype html><title>{name}</title><h1>Of {name}</h1>"
    direct = {"contentType": "text/html", "inline": html}
    return {
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "mode": "WEB",
            "isPublic": True,
            "authorization": {"policies": ["allow-all"]},
            "config": {"http": {"response": {"direct": direct}}},
            **spec,
        },
    }


@pytest.fixture(scope="module")
def cluster(visitors: Visitors) -> Iterator[Cluster]:
    """With the Services `evil`, `bank` and, which lets others in, `open`."""
    cluster = visitors.ways.cluster
    attrs = {"octelium": {"crossOrigin": "allow"}}
    made = ["evil", "bank", "open"]
    cluster.apply(service("evil"), service("bank"), service("open", attrs=attrs))
    try:
        yield cluster
    finally:
        for name in made:
            cluster.ctl("delete", "service", name)


def call(page: Page, url: str, **options: Any) -> dict[str, Any]:
    """What `fetch` gives a script of the page that is open."""
    answer: dict[str, Any] = page.evaluate(
        """async ([url, options]) => {
            try {
                const answer = await fetch(url, {
                    method: 'POST', credentials: 'include', body: new Uint8Array(5), ...options,
                });
                return {
                    type: answer.type, status: answer.status,
                    body: String.fromCharCode(...new Uint8Array(await answer.arrayBuffer())),
                };
            } catch (error) {
                return {error: error.name};
            }
        }""",
        [url, options],
    )
    return answer


GRPC_WEB = {"headers": {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}}


def test_only_two_pages_call_the_api(visitors: Visitors, cluster: Cluster) -> None:
    api = cluster.url("octelium-api", STATUS)
    with visitors.visitor(
        expected="blocked by CORS policy|net::ERR_FAILED", bypass_csp=True
    ) as page:
        visitors.sign_in(page, "ann")
        for own in (cluster.url("portal"), cluster.url("", "/login?error=again")):
            page.goto(own)
            answer = call(page, api, **GRPC_WEB)
            assert answer["status"] == 200
            assert "grpc-status:0" in answer["body"]
        for foreign in ("evil", "demo-nginx", "diary"):
            page.goto(cluster.url(foreign))
            assert call(page, api, **GRPC_WEB) == {"error": "TypeError"}
            # Without asking first, as far as browsers send that; what comes back is not readable.
            for kind in ("text/plain", "application/x-www-form-urlencoded"):
                with page.expect_response(api) as told:
                    call(page, api, mode="no-cors", headers={"content-type": kind})
                assert told.value.headers["grpc-status"] == "16"
                assert "cookie" in told.value.headers["grpc-message"]
                assert "access-control-allow-origin" not in told.value.headers


def test_no_page_acts_at_another_service(visitors: Visitors, cluster: Cluster) -> None:
    with visitors.visitor() as page:
        visitors.sign_in(page, "ann")
        page.goto(cluster.url("evil"))
        post(page, cluster.url("bank", "/pay"))
        page.wait_for_url(cluster.url("bank", "/pay"))
        assert REFUSED.search(page.inner_text("body"))

        page.goto(cluster.url("evil"))
        with page.expect_response(cluster.url("bank", "/pay")) as told:
            assert "error" not in call(page, cluster.url("bank", "/pay"), mode="no-cors")
        assert told.value.status == 403

        # A link is no more than a link; the Service's own pages do what they like.
        page.evaluate("url => { location.href = url }", cluster.url("bank"))
        page.wait_for_url(cluster.url("bank"))
        assert page.inner_text("h1") == "Of bank"
        assert call(page, "/pay")["status"] == 200
        post(page, cluster.url("bank", "/pay"))
        page.wait_for_url(cluster.url("bank", "/pay"))
        assert page.inner_text("h1") == "Of bank"

        page.goto(cluster.url("evil"))
        post(page, cluster.url("open", "/pay"))
        page.wait_for_url(cluster.url("open", "/pay"))
        assert page.inner_text("h1") == "Of open"


def test_a_form_without_a_referrer_is_still_the_page_s_own(
    visitors: Visitors, cluster: Cluster
) -> None:
    """Browsers say `Origin: null` then, and that it is of the same origin."""
    with visitors.visitor() as page:
        visitors.sign_in(page, "ann")
        page.goto(cluster.url("bank"))
        page.evaluate(
            """() => {
                const meta = document.createElement('meta');
                Object.assign(meta, {name: 'referrer', content: 'no-referrer'});
                document.head.append(meta);
            }"""
        )
        with page.expect_request(cluster.url("bank", "/pay")) as sent:
            post(page, cluster.url("bank", "/pay"))
        page.wait_for_url(cluster.url("bank", "/pay"))
        assert sent.value.all_headers()["origin"] == "null"
        assert page.inner_text("h1") == "Of bank"


def test_no_page_opens_a_websocket_of_another_service(visitors: Visitors, cluster: Cluster) -> None:
    with visitors.visitor(expected="WebSocket connection to") as page:
        visitors.sign_in(page, "ann")
        told: list[str] = []
        for name in ("evil", "bank"):
            page.goto(cluster.url(name))
            with page.expect_console_message(lambda message: "WebSocket" in message.text) as said:
                page.evaluate(
                    """url => new Promise(done => {
                        const socket = new WebSocket(url);
                        socket.onclose = done;
                        socket.onopen = done;
                    })""",
                    cluster.url("bank", "/socket").replace("https:", "wss:"),
                )
            told.append(said.value.text.rpartition(" ")[2])
    # The second was let in, to what speaks no WebSocket.
    assert told == ["403", "200"]


PLANT = """([domain, value, paths]) => {
    for (const path of paths) {
        for (const name of ['octelium_auth', 'octelium_rt']) {
            for (const more of ['', '; partitioned']) {
                const where = `; domain=${domain}; path=${path}; secure`;
                document.cookie = `${name}=${value}${where}${more}`;
            }
        }
    }
}"""


def test_what_a_page_plants_signs_nobody_in_and_nobody_out(
    visitors: Visitors, cluster: Cluster
) -> None:
    paths = ["/", "/login", "/a", "/a/", "/a/b"]
    other = cluster.api().access_token
    with visitors.visitor() as page:
        visitors.sign_in(page, "ann")
        genuine = {
            each["name"]: each["value"] for each in page.context.cookies() if each["httpOnly"]
        }
        page.goto(cluster.url("evil"))
        page.evaluate(PLANT, [DOMAIN, other, paths])
        # A request for the page's icon may already have ended those of the path `/`.
        planted = [
            each
            for each in page.context.cookies()
            if each["value"] == other and each["path"] != "/"
        ]
        assert len(planted) >= 2 * (len(paths) - 1)

        # Each answer ends what came along with its request; the genuine cookies stay.
        page.goto(cluster.url("bank", "/a/b"))
        page.goto(cluster.url("", "/login"))
        assert page.url == cluster.url("portal")
        assert page.get_by_text("Ann Example").count() == 1
        page.goto(cluster.url("bank", "/a/b"))
        assert page.inner_text("h1") == "Of bank"
        left = {each["name"]: each["value"] for each in page.context.cookies()}
        assert other not in left.values()
        assert {name: left[name] for name in NAMES} == {name: genuine[name] for name in NAMES}
