"""Patches of objects: JSON patch (RFC 6902), merge patch (RFC 7396), strategic merge patch."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.failure import Failure, bad_request

if TYPE_CHECKING:
    from tests.peers.kubernetes.schema import Type


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396 section 2."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merge(made.get(name), value)
    return made


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902. Raises `Failure` 422 for an operation that cannot be done."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into []")
    root = {"": copy.deepcopy(target)}
    for one in operations:
        try:
            _operate(root, one)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            message = "the server rejected our request due to an error in our request"
            raise Failure(422, "Invalid", message, {}) from error
    return root[""]


def _operate(root: dict[str, Any], one: dict[str, Any]) -> None:
    how, path = one["op"], one["path"]
    if how == "test":
        if _find(root, path) != one.get("value"):
            raise ValueError(f"testing path {path} failed")
    elif how == "add":
        _add(root, path, copy.deepcopy(one["value"]))
    elif how == "remove":
        _remove(root, path)
    elif how == "replace":
        _remove(root, path)
        _add(root, path, copy.deepcopy(one["value"]))
    elif how in ("move", "copy"):
        value = copy.deepcopy(_find(root, one["from"]))
        if how == "move":
            _remove(root, one["from"])
        _add(root, path, value)
    else:
        raise ValueError(f"unexpected kind {how}")


def _parts(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]


def _find(root: Any, path: str) -> Any:
    at = root
    for part in _parts(path):
        at = at[int(part)] if isinstance(at, list) else at[part]
    return at


def _add(root: Any, path: str, value: Any) -> None:
    above, _, _ = path.rpartition("/")
    at, last = _find(root, above) if path else root, _parts(path)[-1]
    if isinstance(at, list):
        place = len(at) if last == "-" else int(last)
        if place > len(at):
            raise IndexError(f"index {place} is beyond the list")
        at.insert(place, value)
    else:
        at[last] = value


def _remove(root: Any, path: str) -> None:
    above, _, last = path.rpartition("/")
    at = _find(root, above)
    if isinstance(at, list):
        del at[int(last)]
    else:
        del at[_parts(path)[-1]]


def strategic(kind: Type, target: Any, patch: Any) -> Any:
    """Merge by the schema's merge keys and strategies, with `$patch`, `$retainKeys`,
    `$deleteFromPrimitiveList/` and `$setElementOrder/`.
    """
    if not isinstance(patch, dict):
        return patch
    how = patch.get("$patch")
    if how == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    if how == "delete":
        return {}
    made = dict(target) if isinstance(target, dict) else {}
    before = dict(made)
    keep = patch.get("$retainKeys")
    if keep is not None:
        made = {name: value for name, value in made.items() if name in keep}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            made[field] = [one for one in made.get(field, ()) if one not in value]
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        if value is None:
            made.pop(name, None)
            continue
        child = kind.child(name) if kind.shape in ("struct", "map") else None
        if child is None or child.shape == "scalar":
            made[name] = value
        elif child.shape == "list":
            made[name] = _list(child, made.get(name) or [], value, patch, name)
        else:
            made[name] = strategic(child, made.get(name), value)
    for name, child in _merged_lists(kind, patch):
        order = patch.get(f"$setElementOrder/{name}", patch.get(name))
        if made.get(name) and order:
            made[name] = _ordered(child, made[name], order, before.get(name) or [])
    return made


def _list(kind: Type, old: list[Any], new: Any, patch: dict[str, Any], name: str) -> Any:
    if "merge" not in kind.strategy or not isinstance(new, list):
        return new
    if not kind.merge_key:
        return old + [one for one in new if one not in old]
    if any(isinstance(one, dict) and one.get("$patch") == "replace" for one in new):
        return [one for one in new if "$patch" not in one]
    key = kind.merge_key
    made = list(old)
    for one in new:
        if key not in one:
            raise bad_request(f"map: {one} does not contain declared merge key: {key}")
        places = [at for at, item in enumerate(made) if item.get(key) == one[key]]
        if one.get("$patch") == "delete":
            made = [item for item in made if item.get(key) != one[key]]
        elif places:
            made[places[0]] = strategic(kind.item, made[places[0]], one)
        else:
            made.append(strategic(kind.item, {}, one))
    return made


def _merged_lists(kind: Type, patch: dict[str, Any]) -> list[tuple[str, Type]]:
    """The lists that a patch merges by key, by name."""
    names = {name.rpartition("/")[2] if name.startswith("$set") else name for name in patch}
    found = []
    for name in sorted(names):
        child = kind.child(name) if kind.shape == "struct" else None
        if child is not None and child.shape == "list" and child.merge_key:
            found.append((name, child))
    return found


def _ordered(kind: Type, items: list[Any], order: list[Any], before: list[Any]) -> list[Any]:
    """What the patch names comes in its order; between them what stood there before."""
    key = kind.merge_key
    if "merge" not in kind.strategy:
        return items
    names = [one.get(key) for one in order]
    places = [one.get(key) for one in before]
    first = sorted(
        (one for one in items if one.get(key) in names), key=lambda one: names.index(one.get(key))
    )
    second = [one for one in items if one.get(key) not in names]
    made = []
    while first and second:
        left, right = first[0].get(key), second[0].get(key)
        known = left in places and right in places
        earlier = not known or places.index(left) < places.index(right)
        made.append((first if earlier else second).pop(0))
    return made + first + second
