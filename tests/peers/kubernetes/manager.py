"""The emulated controller manager: a thread that brings the objects to what they ask for."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from tests.peers.kubernetes import garbage, namespaces, statefulsets
from tests.peers.kubernetes.deployments import Deployments
from tests.peers.kubernetes.failure import Failure
from tests.peers.kubernetes.replicasets import ReplicaSets

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.peers.kubernetes.kubelet import Kubelet
    from tests.peers.kubernetes.store import Change
    from tests.peers.kubernetes.verbs import Verbs

_LOG = logging.getLogger(__name__)


class ControllerManager:
    """Runs every controller until none changes anything; again after each change."""

    def __init__(self, verbs: Verbs, kubelet: Kubelet) -> None:
        self.verbs = verbs
        self._work = threading.Event()
        self._idle = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._paused = threading.Event()
        self.error: BaseException | None = None
        deployments, replicasets = Deployments(verbs), ReplicaSets(verbs)
        self._controllers: tuple[Callable[[], None], ...] = (
            lambda: namespaces.reconcile(verbs),
            lambda: garbage.collect(verbs),
            deployments.reconcile,
            replicasets.reconcile,
            lambda: statefulsets.reconcile(verbs),
            kubelet.reconcile,
        )
        kubelet.changed = self._more
        self._gate = threading.Lock()

    def start(self) -> None:
        """Begin."""
        self.verbs.store.listeners.append(self._told)
        self._thread = threading.Thread(target=self._run, name="controllers", daemon=True)
        self._thread.start()
        self._more()

    def _told(self, _change: Change) -> None:
        self._more()

    def _more(self) -> None:
        with self._gate:
            self._idle.clear()
            self._work.set()

    def pause(self) -> None:
        """Do nothing until `resume`."""
        self._paused.set()

    def resume(self) -> None:
        """Go on."""
        self._paused.clear()
        self._more()

    def stop(self) -> None:
        """End, for good."""
        self._stopped = True
        self._work.set()
        if self._thread is not None:
            self._thread.join()
            self.verbs.store.listeners.remove(self._told)
            self._thread = None

    def settle(self, timeout: float = 300) -> None:
        """Wait until the controllers have nothing left to do. Raises TimeoutError, RuntimeError."""
        idle = self._idle.wait(timeout)
        if self.error is not None:
            raise RuntimeError("the controllers have failed") from self.error
        if not idle:
            raise TimeoutError("the controllers still change something")

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            self.error = error
            self._idle.set()
            raise

    def _loop(self) -> None:
        while True:
            self._work.wait()
            if self._stopped:
                return
            self._work.clear()
            if self._paused.is_set():
                continue
            before = self.verbs.store.version
            for controller in self._controllers:
                try:
                    with self.verbs.store.lock:
                        controller()
                except Failure as failure:
                    _LOG.warning("a controller was refused: %s", failure)
            with self._gate:
                if self.verbs.store.version != before:
                    self._work.set()
                elif not self._work.is_set():
                    self._idle.set()
