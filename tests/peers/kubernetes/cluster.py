"""An emulated cluster: objects, rights, faults, and those who work on the objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.access import Access
from tests.peers.kubernetes.faults import Faults
from tests.peers.kubernetes.kubelet import Kubelet
from tests.peers.kubernetes.manager import ControllerManager
from tests.peers.kubernetes.resources import of_kind
from tests.peers.kubernetes.store import Store
from tests.peers.kubernetes.verbs import Verbs, Write

if TYPE_CHECKING:
    from tests.peers.kubernetes.watching import Watch

Object = dict[str, Any]


class Cluster:
    """All of it, without HTTP."""

    def __init__(self, *, history: int = 1000, controllers: bool = True) -> None:
        self.store = Store(history)
        self.access = Access(self.store)
        self.faults = Faults()
        self.verbs = Verbs(self.store)
        self.watches: set[Watch] = set()
        self.bookmarks_every = 60.0
        self.errors: list[Exception] = []
        """What went wrong in the server itself; its end raises them."""
        self.kubelet = Kubelet(self.verbs)
        self.manager = ControllerManager(self.verbs, self.kubelet)
        for name in ("default", "kube-system"):
            self.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        if controllers:
            self.manager.start()

    def add(self, given: Object) -> Object:
        """Create an object as the test. Raises `Failure`."""
        resource = of_kind(given["kind"])
        namespace = given["metadata"].get("namespace", "default") if resource.namespaced else ""
        return self.verbs.create(resource, namespace, given, Write("test")).object

    def get(self, kind: str, name: str, namespace: str = "default") -> Object | None:
        """An object as it is now, or None. It must not be changed."""
        resource = of_kind(kind)
        return self.store.get(resource, namespace if resource.namespaced else "", name)

    def all(self, kind: str, namespace: str = "") -> list[Object]:
        """All objects of a kind."""
        return self.store.all(of_kind(kind), namespace)

    def edit(self, kind: str, name: str, patch: Object, namespace: str = "default") -> Object:
        """A merge patch by somebody else (field manager `test`)."""
        import json

        resource = of_kind(kind)
        place = namespace if resource.namespaced else ""
        body = json.dumps(patch).encode()
        sort = "application/merge-patch+json"
        return self.verbs.patch(resource, place, name, sort, body, Write("test")).object

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        """Delete an object as the test."""
        resource = of_kind(kind)
        place = namespace if resource.namespaced else ""
        self.verbs.delete(resource, place, name, {}, dry=False)

    def cut_watches(self) -> None:
        """End all watches in the middle, as when a connection breaks."""
        for watch in list(self.watches):
            watch.tell("cut")

    def end_watches(self) -> None:
        """End all watches properly, as when their time is over."""
        for watch in list(self.watches):
            watch.tell("end")

    def send_bookmarks(self) -> None:
        """Send a bookmark on every watch that asked for them."""
        for watch in list(self.watches):
            watch.tell("bookmark")

    def forget_history(self) -> None:
        """Cut all watches and drop what they could resume from: the next gets 410."""
        self.store.forget()
        self.cut_watches()

    def close(self) -> None:
        """Stop the controllers. Raises RuntimeError if something failed that should not."""
        self.manager.stop()
        if self.errors:
            raise RuntimeError(f"the emulated API server has failed: {self.errors}") from (
                self.errors[0]
            )
