from __future__ import annotations

from octelium.client.doctor.checks import Broken, Examination


def test_the_first_broken_link_is_named() -> None:
    found = Examination()
    found.ok("dns", "it is found")
    found.warn("clock", "61 s ahead", "set it")
    found.fail("udp", "the gateway is silent", "let UDP pass")
    found.fail("service", "no answer", "")
    assert found.verdict() == (
        "The first broken link is udp: the gateway is silent. To do: let UDP pass."
    )
    told = found.as_json()
    assert (told["ok"], told["broken"]) == (False, "udp")
    assert told["verdict"] == found.verdict()
    assert told["checks"][1] == {
        "name": "clock",
        "outcome": "warn",
        "detail": "61 s ahead",
        "remedy": "set it",
    }


def test_without_one_all_works() -> None:
    found = Examination()
    found.skip_all(("udp", "service"), "this host is not connected", "octelium connect")
    found.ok("dns", "it is found")
    found.skip_all(("dns", "udp"), "for another reason")
    assert [(each.name, each.outcome) for each in found.checks] == [
        ("udp", "skipped"),
        ("service", "skipped"),
        ("dns", "ok"),
    ]
    assert [each.detail for each in found.unchecked] == ["this host is not connected"] * 2
    assert found.verdict() == "Everything that was checked works."
    assert found.as_json()["broken"] is None


def test_warnings_are_counted() -> None:
    found = Examination()
    found.warn("clock", "61 s ahead", "set it")
    assert found.verdict() == "Everything that was checked works, with 1 warning."
    found.warn("session", "it ends soon", "log in")
    assert found.verdict() == "Everything that was checked works, with 2 warnings."


def test_a_service_that_was_named_and_not_asked_is_not_said_to_work() -> None:
    found = Examination(wanted="wiki.default")
    found.ok("dns", "it is found")
    found.skip("service", "this host is not connected", "octelium connect")
    assert found.verdict() == (
        "What was checked works, but wiki.default was not: this host is not connected. "
        "To do: octelium connect."
    )
    assert found.broken is None


def test_a_broken_link_without_remedy() -> None:
    found = Examination()
    found.fail("service", "no answer", "")
    assert found.verdict() == "The first broken link is service: no answer. "
    assert str(Broken("no answer", "wait")) == "no answer"
