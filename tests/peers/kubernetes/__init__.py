"""An emulated Kubernetes 1.34 cluster: its API server over HTTPS, controllers, one node.

Use::

    with KubernetesApi() as api:             # listens on 127.0.0.1, in a thread of its own
        api.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
        kubectl --kubeconfig {api.kubeconfig()} ...

For clients: `api.url`, `api.ca` (file), `api.admin_token`; `api.kubeconfig(token="", namespace=)`
writes a kubeconfig; `api.account(namespace, name)` gives an `Account`: `folder` is like
/var/run/secrets/kubernetes.io/serviceaccount, `environment` has KUBERNETES_SERVICE_HOST and _PORT,
`token`, and `rotate(revoke=False)` puts a new token in place.

Rights: `api.access.issue(user, *groups)` gives a token; rights come from Role and RoleBinding
objects, or from `api.access.rules.append(Rule(user, namespace, groups, resources, verbs))`.
Nobody but the group `system:masters` may do anything without a rule. `api.access.revoke(token)`.

Objects, from the test's thread: `api.add(object)`, `api.get(kind, name, namespace)`,
`api.all(kind, namespace="")`, `api.edit(kind, name, merge_patch, namespace)` (a foreign edit),
`api.delete(kind, name, namespace)`; what is given out must not be changed. They raise `Failure`
as the server would answer. An error in the server itself is in `api.errors`, and raised at the end.

Pods: `api.kubelet.behave(image, fate, restarts=None)` and `behave_all(fate)`, with the fates
`ready`, `unready`, `pull-failure`, `crash` and `pending`. `api.manager.settle()` waits until the
controllers have nothing to do; `pause()` and `resume()`; `KubernetesApi(controllers=False)` has
none.

Faults: `api.stop()` refuses connections and breaks those that are open; `api.start()` listens
again on the same port with the same objects. `api.faults.add(Fault(code=500, verb="apply",
resource="deployments", times=1, delay=0.0, after=False))` answers so instead, or late, or after
the work is done; `Fault(delay=2.0)` is only slow; `api.faults.clear()`. `api.cut_watches()`,
`end_watches()`, `send_bookmarks()`, `forget_history()` (resumption gets 410),
`KubernetesApi(history=N)`, `api.bookmarks_every` (seconds).

Counters: `api.faults.requests(verb=..., resource=..., name=..., user=..., manager=...)` and
`writes(...)` list `Asked`, with `code` and `changed` (whether an object is different for it).

`script` holds requests that a real kube-apiserver answers alike (tests/peers/
test_kubernetes_compared.py).

What is simpler than in the real server:

- One version per kind; no conversion, no custom resources, no webhooks, no admission policies, no
  API priority and fairness, no audit, no cluster-wide roles in objects, no impersonation.
- Tokens are random strings that never expire by themselves; there are no client certificates.
- Reviews of oneself have no managed fields.
- OpenAPI v3 only, with schemas derived from `kubernetes_validate`; no v2, no descriptions.
- Tables have no descriptions of columns. Times that are null are left out of answers.
- Answers in JSON only. Bodies in JSON and YAML; in protobuf only of namespaces and reviews.
- An exact list of an older version gives the newest objects, and pages are cut from them.
- Empty values of scalars are dropped by a table of the fields that are pointers; fields that only
  volume types of storage vendors have are not in it.
- Validation covers names, labels, required fields, types, and the rules of workloads, Services,
  claims and Leases; other rules of single fields (such as CIDRs, ports' names, formats) are not
  checked. Texts of errors differ in detail beyond those that the comparison with a real server
  covers. A key given twice in JSON is not noticed. Unknown fields get a warning only in requests
  that say nothing about `fieldValidation` or `Warn`.
- Immutable are a workload's selector, a Service's address, a binding's role, a Secret's type and
  immutable Secrets and ConfigMaps; fields of Pods, StatefulSets and claims can be changed.
- A prefix in `generateName` is only checked as part of the name that comes of it.
- Deletion in the foreground takes all dependents, not only those that block their owner.
- The managers of updates are not joined when there are more than ten.
- A write to `scale` is owned by its manager as an update of the object.
- Services have IPv4 addresses from 10.96.0.0/16, in order; no IPv6, no Endpoints, no proxying.
- Quotas count objects and sum requests and limits, but do not report their use.
- PodSecurity knows `enforce` of the newest version, without the rules about AppArmor, SELinux,
  /proc, Windows and host probes; nothing warns.
- Controllers: Deployments (rolling and Recreate; no progress deadline), ReplicaSets, StatefulSets
  (Pods one by one, replaced in any order), garbage collection, namespaces; claims are bound at
  once. All run in one thread, without clients, rate limits or requests of their own.
- Pods are bound to one node at once and end at once. Their containers do not exist: no logs, no
  exec; states are those that the test sets, plus missing claims, Secrets and ConfigMaps. A change
  of fate does not count restarts unless the test says how many.
- Events of the same object, reason and message count up in one object and are never dropped.
- Objects are not limited in size, nor the server in requests.
"""

from __future__ import annotations

from tests.peers.kubernetes.access import Rule, User
from tests.peers.kubernetes.account import Account
from tests.peers.kubernetes.failure import Failure
from tests.peers.kubernetes.faults import Asked, Fault
from tests.peers.kubernetes.server import KubernetesApi

__all__ = ["Account", "Asked", "Failure", "Fault", "KubernetesApi", "Rule", "User"]
