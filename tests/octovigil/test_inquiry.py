from __future__ import annotations

from octelium.octovigil.inquiry import Inquiry, InquiryError


def test_a_question_without_asker_comes_from_nobody() -> None:
    inquiry = Inquiry("wiki.default")
    assert not inquiry.session
    assert not inquiry.user
    assert inquiry.request is None


def test_its_error_is_a_value_error() -> None:
    assert issubclass(InquiryError, ValueError)
