from __future__ import annotations

from octelium.cli.connected import minute, offers


def test_one_line_for_each_thing_that_there_is() -> None:
    assert offers({}) == []
    assert offers({"state": "joining", "published": [], "dns": {}}) == []
    several = [
        {"service": "wiki.default", "address": "localhost", "port": 8080},
        {"service": "db.ops", "address": "::1", "port": 5432},
    ]
    assert offers({"published": several, "addresses": ["100.65.0.7/32", "fdee::7/128"]}) == [
        ("Address", "100.65.0.7/32, fdee::7/128"),
        ("Published", "wiki.default at localhost:8080, db.ops at [::1]:5432"),
    ]


def test_a_served_service_that_leads_nowhere() -> None:
    served = {"service": "photos.default", "upstream": "127.0.0.1:2342", "problem": ""}
    assert offers({"served": [served]}) == [("Served", "photos.default from 127.0.0.1:2342")]
    served["problem"] = "nothing answers there now"
    line = "photos.default from 127.0.0.1:2342 (nothing answers there now)"
    assert offers({"served": [served]}) == [("Served", line)]


def test_trouble_with_names_comes_first() -> None:
    names = {"names": "names are looked up", "problem": "port 53 is taken"}
    assert offers({"dns": names}) == [("Names", "port 53 is taken")]


def test_a_time_of_day() -> None:
    assert minute("2026-01-02T03:04:05.678Z") == "2026-01-02 03:04 UTC"
