from __future__ import annotations

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import InvalidArgument, NotFound
from octelium.store.query import LARGEST_PAGE, LAST_PAGE, Filter, Page, ordered, paged
from octelium.store.state import Item
from tests.store.samples import group, named

TYPE = meta.CommonListOptionsOrderByType__
MODE = meta.CommonListOptionsOrderByMode__


def items(*names: str) -> list[Item]:
    """Items whose creation times run against the order of their creation."""
    found = []
    for index, name in enumerate(names):
        message = group(name)
        message.metadata.created_at.seconds = 100 - index
        data = message.SerializeToString()
        found.append(Item("Group", f"u{index}", name, data, None, 1, (1, index)))
    return found


def options(*, by: int = 0, mode: int = 0, page: int = 0, size: int = 0) -> meta.CommonListOptions:
    message = meta.CommonListOptions(page=page, items_per_page=size)
    message.order_by.type = by  # type: ignore[assignment]  # any number may arrive
    message.order_by.mode = mode  # type: ignore[assignment]  # any number may arrive
    return message


@pytest.mark.parametrize(
    ("by", "mode", "expected"),
    [
        (TYPE.TYPE_UNSET, MODE.MODE_UNSET, "bca"),
        (TYPE.TYPE_UNSET, MODE.DESC, "bca"),
        (TYPE.NAME, MODE.MODE_UNSET, "abc"),
        (TYPE.NAME, MODE.ASC, "abc"),
        (TYPE.NAME, MODE.DESC, "cba"),
        (TYPE.CREATED_AT, MODE.ASC, "acb"),
        (TYPE.CREATED_AT, MODE.DESC, "bca"),
    ],
)
def test_orders(by: int, mode: int, expected: str) -> None:
    found = ordered(items("b", "c", "a"), options(by=by, mode=mode))
    assert "".join(item.name for item in found) == expected


@pytest.mark.parametrize(("by", "mode"), [(9, 0), (1, 9)])
def test_an_unknown_order_is_refused(by: int, mode: int) -> None:
    with pytest.raises(InvalidArgument):
        ordered(items("a"), options(by=by, mode=mode))


@pytest.mark.parametrize(
    ("count", "page", "size", "length", "per_page", "more"),
    [
        (0, 0, 0, 0, 200, False),
        (450, 0, 0, 200, 200, True),
        (450, 2, 0, 50, 200, False),
        (400, 1, 200, 200, 200, False),
        (1500, 0, 5000, 1000, 1000, True),
        (3, 1, 2, 1, 2, False),
    ],
)
def test_pages(count: int, page: int, size: int, length: int, per_page: int, more: bool) -> None:
    found = paged(items(*map(str, range(count))), options(page=page, size=size))
    assert len(found.items) == length
    assert found.meta() == meta.ListResponseMeta(
        page=page, items_per_page=per_page, total_count=count, has_more=more
    )


def test_a_page_beyond_the_end_is_not_found_unless_it_is_the_first() -> None:
    assert paged([], options()).items == []
    for page in (1, LAST_PAGE):
        with pytest.raises(NotFound):
            paged(items("a"), options(page=page))


def test_a_page_that_cannot_be_is_refused_before_anything_is_looked_at() -> None:
    with pytest.raises(InvalidArgument, match="10001"):
        paged(items("a"), options(page=LAST_PAGE + 1))


def test_the_largest_page_is_full_size() -> None:
    assert Page(list(range(5)), 0, LARGEST_PAGE, LARGEST_PAGE + 1).has_more


def user(**spec: object) -> core.User:
    return core.User(metadata=named("alice"), spec=core.UserSpec(**spec))  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (Filter("spec.email", "EQ", "a@x.org"), True),
        (Filter("spec.email", "EQ", "b@x.org"), False),
        (Filter("spec.type", "EQ", "HUMAN"), True),
        (Filter("spec.isDisabled", "EQ", True), True),
        (Filter("spec.isDisabled", "EQ", 1), False),
        (Filter("spec.isDisabled", "EQ", False), False),
        (Filter("spec.session.maxPerUser", "EQ", 3), True),
        (Filter("spec.session.maxPerUser", "EQ", True), False),
        (Filter("spec.info.locale", "EQ", ""), True),
        (Filter("spec.nothing", "EQ", False), True),
        (Filter("spec.nothing", "EQ", 0), True),
        (Filter("spec.nothing", "EQ", "x"), False),
        (Filter("spec.email.deeper", "EQ", "x"), False),
        (Filter("spec.groups", "INCLUDES", "ops"), True),
        (Filter("spec.groups", "INCLUDES", "op"), False),
        (Filter("spec.email", "INCLUDES", "a@x.org"), False),
    ],
)
def test_filters(one: Filter, expected: bool) -> None:
    message = user(
        email="a@x.org",
        type=core.UserSpecType__.HUMAN,
        is_disabled=True,
        groups=["staff", "ops"],
        session=core.UserSpecSession(max_per_user=3),
    )
    assert one.matches(message) is expected


@pytest.mark.parametrize(
    "path", ["", "spec..x", "Spec.x", "spec.a-b", "spec.x.", "spec." + "x" * 129]
)
def test_a_filter_on_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="no path"):
        Filter(path, "EQ", "x")
