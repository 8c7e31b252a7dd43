from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('base64.encode("")', ""),
        ('base64.decode("")', ""),
        ('base64.decode("YQ\\n==")', "a"),
        ('base64.decode("/w==")', "\ufffd"),
        ('base64.is_valid("a")', False),
        ("base64.is_valid(1)", False),
        ('base64.is_valid("YQ==")', True),
        ('base64url.decode("YQ==")', "a"),
        ('base64url.decode(base64url.encode_no_pad("a?b>"))', "a?b>"),
        ('hex.encode("ñ")', "c3b1"),
        ('hex.decode("C3b1")', "ñ"),
        ('urlquery.encode("a/b?ñ~-_.")', "a%2Fb%3F%C3%B1~-_."),
        ('urlquery.decode("%C3%B1+%2B")', "ñ +"),
        ('urlquery.encode_object({"b": {"y", "x"}, "a": []})', "b=x&b=y"),
        ("urlquery.encode_object({})", ""),
        ('urlquery.decode_object("")', {}),
        ('urlquery.decode_object("a=1&b=&a=%20")', {"a": ["1", " "], "b": [""]}),
        ('urlquery.decode_object("a")', {"a": [""]}),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("base64.encode(1)", "must be string"),
        ('base64.decode("Y")', "no base64"),
        ('base64.decode("YQ")', "no base64"),
        ('base64.decode("Y-==")', "no base64"),
        ('base64url.decode("a+b=")', "no base64 for URLs"),
        ('base64url.decode("a")', "no base64"),
        ('hex.decode("abc")', "hexadecimal"),
        ('hex.decode("zz")', "hexadecimal"),
        ('urlquery.decode("%")', "invalid escape"),
        ('urlquery.decode("%zz")', "invalid escape"),
        ('urlquery.decode("%1")', "invalid escape"),
        ("urlquery.encode(1)", "must be string"),
        ('urlquery.encode_object({"a": 1})', "must be string"),
        ('urlquery.encode_object({1: "a"})', "must be string"),
        ('urlquery.encode_object({"a": [1]})', "with no, not number"),
        ('urlquery.decode_object("a;b")', "semicolons"),
        ('urlquery.decode_object("%zz")', "invalid escape"),
        ("urlquery.decode_object(1)", "must be string"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
