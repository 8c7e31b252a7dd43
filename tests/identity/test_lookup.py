from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from octelium.identity import lookup
from octelium.identity.errors import AuthenticationError, RefusedError, UnknownUserError
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import lone_transaction
from tests.identity.providers import add_person, add_provider, vouched

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction

ADDRESS = "ann@example.com"


@pytest.fixture(name="tx")
def tx_fixture() -> Transaction:
    return lone_transaction()


def found(tx: Transaction, provider: core.IdentityProvider, identifier: str, **more: Any) -> str:
    return lookup.user_of(tx, vouched(provider, identifier, **more)).metadata.name


def refusal(
    tx: Transaction, provider: core.IdentityProvider, identifier: str, **more: Any
) -> AuthenticationError:
    with pytest.raises(AuthenticationError) as caught:
        lookup.user_of(tx, vouched(provider, identifier, **more))
    return caught.value


def test_explicit_identities_come_first(tx: Transaction) -> None:
    okta, github = add_provider(tx, "okta"), add_provider(tx, "github", "github")
    add_person(tx, "ann", email=ADDRESS)
    add_person(tx, "bob", identities=(("okta", ADDRESS), ("github", "bob")))
    assert found(tx, okta, ADDRESS, email=ADDRESS) == "bob"
    assert found(tx, github, "bob") == "bob"
    assert found(tx, github, "other", email=ADDRESS) == "ann"


def test_an_identity_counts_at_its_own_provider_only(tx: Transaction) -> None:
    okta, evil = add_provider(tx, "okta"), add_provider(tx, "evil")
    add_person(tx, "ann", identities=(("okta", "u-1"),))
    assert found(tx, okta, "u-1") == "ann"
    assert isinstance(refusal(tx, evil, "u-1"), UnknownUserError)


def test_an_identity_is_not_taken_for_one_elsewhere(tx: Transaction) -> None:
    add_provider(tx, "okta")
    evil = add_provider(tx, "evil")
    add_person(tx, "ann", identities=(("okta", "u-1"), ("evil", "U-1")))
    assert isinstance(refusal(tx, evil, "u-1"), UnknownUserError)
    assert found(tx, evil, "U-1") == "ann"


def test_addresses_can_be_switched_off(tx: Transaction) -> None:
    okta = add_provider(tx, "okta", disable_email_as_identity=True)
    add_person(tx, "ann", email=ADDRESS)
    error = refusal(tx, okta, ADDRESS, email=ADDRESS, email_verified=True)
    assert isinstance(error, UnknownUserError)
    assert "addresses do not count" in error.for_log
    assert "ann" not in error.answer


def test_the_identifier_of_saml_is_an_address_unless_it_is_none(tx: Transaction) -> None:
    saml, okta = add_provider(tx, "saml", "saml"), add_provider(tx, "okta")
    add_person(tx, "ann", email=ADDRESS)
    add_person(tx, "bob", identities=(("saml", "u-1"),))
    assert found(tx, saml, ADDRESS) == "ann"
    assert found(tx, saml, "u-1") == "bob"
    # Another attribute than the one that was chosen to identify people does not count.
    assert found(tx, saml, ADDRESS, email="bob@example.com") == "ann"
    assert isinstance(refusal(tx, saml, "u-2", email=ADDRESS), UnknownUserError)
    # Elsewhere the identifier may be a claim that people choose for themselves.
    assert isinstance(refusal(tx, okta, ADDRESS), UnknownUserError)


@pytest.mark.parametrize("checked", [True, False])
def test_an_address_that_the_provider_did_not_verify_is_nobodys(
    tx: Transaction, checked: bool
) -> None:
    okta = add_provider(tx, "okta", check_email_verified=checked)
    add_person(tx, "ann", email=ADDRESS)
    add_person(tx, "bob", identities=(("okta", "bob@example.com"),))
    add_person(tx, "eve", identities=(("okta", "u-1"),))
    assert found(tx, okta, ADDRESS, email=ADDRESS, email_verified=True) == "ann"
    refusal(tx, okta, ADDRESS, email=ADDRESS, email_verified=False)
    refusal(tx, okta, "u-2", email=ADDRESS, email_verified=False)
    # Not even where an identity says so: it is the address that identifies.
    address = "bob@example.com"
    assert isinstance(refusal(tx, okta, address, email=address, email_verified=False), RefusedError)
    if checked:
        refusal(tx, okta, ADDRESS, email=ADDRESS)
        refusal(tx, okta, "u-1", email=ADDRESS, email_verified=False)
    else:
        assert found(tx, okta, ADDRESS, email=ADDRESS) == "ann"
        assert found(tx, okta, "u-1", email=ADDRESS, email_verified=False) == "eve"


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com@evil.test",
        "ann@evil.test@example.com",
        "ann@example.com,eve@evil.test",
        "ann@example.com eve@evil.test",
        "<ann@example.com>",
        "Ann <ann@example.com>",
        "ann@example.com\n",
        "ann@example.com\x00",
        "ann\u200b@example.com",
        " ann@example.com",
        "ann@(comment)example.com",
        '"ann"@example.com',
        "ann@",
        "@example.com",
        "ann",
        f"ann@{'x' * 150}.com",
    ],
)
def test_what_is_not_one_address_matches_nobody(tx: Transaction, address: str) -> None:
    okta, saml = add_provider(tx, "okta"), add_provider(tx, "saml", "saml")
    add_person(tx, "ann", email=ADDRESS)
    for provider, identifier in ((okta, "u-1"), (okta, address), (saml, address)):
        assert isinstance(
            refusal(tx, provider, identifier, email=address, email_verified=True),
            RefusedError | UnknownUserError,
        )


def test_not_even_a_user_with_two_addresses_is_found_by_them(tx: Transaction) -> None:
    okta, two = add_provider(tx, "okta"), "ann@example.com@evil.test"
    add_person(tx, "ann", email=two)
    assert isinstance(refusal(tx, okta, "u-1", email=two, email_verified=True), RefusedError)


@pytest.mark.parametrize(
    "address",
    [
        "Ann@example.com",
        "ANN@EXAMPLE.COM",
        "ann@Example.com",
        "ann@example.com.",
        "аnn@example.com",  # noqa: RUF001 - a Cyrillic letter is what this is about
        "ann@exаmple.com",  # noqa: RUF001 - as above
        "ann@ｅxample.com",  # noqa: RUF001 - a full-width letter
        "ann+x@example.com",
        "a.nn@example.com",
        "ann-example@com",
        "ánn@example.com",
    ],
)
def test_variants_are_other_people(tx: Transaction, address: str) -> None:
    okta = add_provider(tx, "okta")
    add_person(tx, "ann", email=ADDRESS, identities=(("okta", ADDRESS),))
    error = refusal(tx, okta, address, email=address, email_verified=True)
    assert isinstance(error, UnknownUserError)


def test_names_of_domains_in_both_spellings(tx: Transaction) -> None:
    okta = add_provider(tx, "okta")
    add_person(tx, "ann", identities=(("okta", "ann@bücher.test"),))
    other = "ann@xn--bcher-kva.test"
    assert isinstance(refusal(tx, okta, other, email=other), UnknownUserError)
    decomposed = unicodedata.normalize("NFD", "ann@bücher.test")
    assert isinstance(refusal(tx, okta, decomposed), UnknownUserError)
    assert found(tx, okta, "ann@bücher.test") == "ann"


def test_the_log_is_told_who_was_nearly_meant(tx: Transaction) -> None:
    okta = add_provider(tx, "okta")
    add_person(tx, "ann", email=ADDRESS)
    error = refusal(tx, okta, "Ann@example.com", email="Ann@example.com")
    assert error.for_log.endswith("User ann is spelled otherwise")
    assert error.answer == "Unauthenticated User"
    error = refusal(tx, okta, "u-1", email=ADDRESS, email_verified=False)
    assert "ann" in error.for_log
    assert "not verified" in error.for_log
    assert refusal(tx, okta, "u-1").detail == ""


@given(st.text(max_size=40), st.text(max_size=40))
def test_only_equal_texts_are_found(own: str, other: str) -> None:
    assume(own != other)
    tx = lone_transaction()
    okta = add_provider(tx, "okta")
    add_person(tx, "ann", email=own, identities=(("okta", own),))
    refusal(tx, okta, other, email=other, email_verified=True)


@pytest.mark.parametrize("identifier", ["", " ", "a\nb", "a ", "x" * 257, "\u202eann"])
def test_identifiers_that_cannot_be_used(tx: Transaction, identifier: str) -> None:
    okta = add_provider(tx, "okta")
    add_person(tx, "ann", email=ADDRESS, identities=(("okta", identifier),))
    error = refusal(tx, okta, identifier, email=ADDRESS, email_verified=True)
    assert "cannot be used" in str(error)


def test_two_users_of_one_identity_are_none(tx: Transaction) -> None:
    okta = add_provider(tx, "okta")
    for name in ("ann", "bob"):
        add_person(tx, name, email=ADDRESS, identities=(("okta", "u-1"),))
    for identifier in ("u-1", "u-2"):
        error = refusal(tx, okta, identifier, email=ADDRESS, email_verified=True)
        assert isinstance(error, RefusedError)
        assert error.detail == "ann, bob"


def test_people_and_workloads_are_kept_apart(tx: Transaction) -> None:
    okta, k8s = add_provider(tx, "okta"), add_provider(tx, "k8s", "workload")
    add_person(tx, "ann", email=ADDRESS, identities=(("k8s", "u-1"),))
    add_person(tx, "robot", human=False, identities=(("okta", "u-2"), ("k8s", "u-2")))
    assert found(tx, k8s, "u-2") == "robot"
    for provider, identifier in ((k8s, "u-1"), (okta, "u-2")):
        error = refusal(tx, provider, identifier)
        assert isinstance(error, RefusedError)
        assert "is no" in str(error)
    # Workloads have no addresses, so those of people are not even looked at.
    assert isinstance(refusal(tx, k8s, ADDRESS, email=ADDRESS), UnknownUserError)


@pytest.mark.parametrize("how", ["disabled", "locked"])
def test_barred_users(tx: Transaction, how: str) -> None:
    okta = add_provider(tx, "okta")
    add_person(tx, "ann", email=ADDRESS, disabled=how == "disabled", locked=how == "locked")
    error = refusal(tx, okta, ADDRESS, email=ADDRESS)
    assert isinstance(error, RefusedError)
    assert error.code == "PERMISSION_DENIED"


def test_the_provider_as_it_is_now(tx: Transaction) -> None:
    okta = add_provider(tx, "okta")
    verified = vouched(okta, "u-1")
    assert lookup.provider_of(tx, verified) == okta
    okta.spec.display_name = "Okta"
    okta = tx.update(okta)
    assert lookup.provider_of(tx, verified).spec.display_name == "Okta"
    okta.spec.oidc.issuer_url = "https://other.test"
    okta = tx.update(okta)
    with pytest.raises(RefusedError, match="was changed meanwhile"):
        lookup.provider_of(tx, verified)
    verified = replace(verified, provider=okta)
    okta.spec.is_disabled = True
    okta = tx.update(okta)
    with pytest.raises(RefusedError, match="disabled"):
        lookup.provider_of(tx, verified)
    okta.spec.is_disabled, okta.status.is_locked = False, True
    okta = tx.update(okta)
    with pytest.raises(RefusedError, match="locked"):
        lookup.provider_of(tx, verified)
    tx.delete("IdentityProvider", okta.metadata.uid)
    add_provider(tx, "okta")  # another one of the same name is not meant
    with pytest.raises(RefusedError, match="does not exist"):
        lookup.provider_of(tx, verified)


def test_which_types_are_for_people(tx: Transaction) -> None:
    for kind in ("github", "oidc", "saml"):
        assert lookup.is_web(add_provider(tx, kind, kind))
    assert not lookup.is_web(add_provider(tx, "k8s", "workload"))
    assert not lookup.is_web(core.IdentityProvider())
