"""Which resources a watch is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.core.verbs import get
from octelium.apiserver.insight.rights import core_method
from octelium.schema.errors import Invalid
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.suggestion import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.apiserver.watch.told import Told
    from octelium.schema.pb import ext_v1_pb2 as ext
    from octelium.store.indexes import Value
    from octelium.store.reading import Reader

_FILTERS = ("user_ref", "namespace_ref", "region_ref")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What all resources of each kind refer to, as index values."""

    values: Mapping[str, frozenset[Value]]

    def holds(self, told: Told) -> bool:
        """Whether a change is of a resource that the List method would show."""
        values = self.values.get(told.kind)
        return values is not None and told.is_listed and values <= told.values


def read_methods(request: ext.WatchRequest) -> dict[str, str]:
    """The kinds of a request, and the `/package.Service/Method` as which each is decided.

    Raises:
        Invalid: There is no kind, an unknown one, or too many.
    """
    if not request.kinds:
        raise Invalid("kinds", "there is nothing to watch", "name the kinds")
    if len(request.kinds) > len(all_rules()):
        raise Invalid("kinds", f"there are {len(request.kinds)}", "name each once")
    methods: dict[str, str] = {}
    for index, name in enumerate(request.kinds):
        rules = all_rules().get(name)
        if rules is None:
            remedy = did_you_mean(name[:64], all_rules())
            raise Invalid(f"kinds[{index}]", f"{name[:64]!r} is no kind", remedy)
        methods[name] = core_method("Get" if rules.kind.singleton else "List", name)
    return methods


def read_wanted(request: ext.WatchRequest, reader: Reader) -> Wanted:
    """What a request wants, of kinds that the caller may list: others learn nothing by it.

    Raises:
        Invalid: A kind cannot be listed by what is given.
        NotFound: What the resources shall refer to does not exist.
    """
    given = {field.name for field, _ in request.ListFields()}
    values: dict[str, frozenset[Value]] = {}
    for name in dict.fromkeys(request.kinds):
        rules = all_rules()[name]
        filters = {item.option: item for item in rules.filters}
        found: set[Value] = set()
        for option in _FILTERS:
            if option not in given:
                continue
            if option not in filters:
                word = option.removesuffix("_ref")
                raise Invalid(option, f"{rules.kind.plural} cannot be listed by {word}")
            item, reference = filters[option], getattr(request, option)
            options = meta.GetOptions(
                name=reference.name, uid="" if reference.name else reference.uid
            )
            target = get(reader, all_rules()[item.kind], options)
            found.add((item.index, target.metadata.uid))
        values[name] = frozenset(found)
    return Wanted(values)
