from __future__ import annotations

import pytest

from tests.schema.validation.world import World, service


def of(container: str, image: str = "nginx") -> str:
    return service(
        "{mode: TCP, config: {upstream: {container: "
        f"{{image: '{image}', port: 8080, {container}}}}}}}}}"
    )


PULL = "credentials: {{usernamePassword: {{username: u, password: {{fromSecret: token}}, {}}}}}"


@pytest.mark.parametrize(
    "container",
    [
        "",
        "command: ['', 'two\nlines'], args: ['$(X)']",
        "env: [{name: A, value: ''}, {name: _b-.C, value: x}, {name: D, fromSecret: token}]",
        "env: [{name: A, kubernetesSecretRef: {name: db.v2, key: .PASS_word-1}}]",
        "env: [{name: A, kubernetesSecretRef: {name: upstream-svc, key: k}}]",
        "replicas: 100",
        PULL.format("server: 'ghcr.io'"),
        PULL.format("server: 'https://index.docker.io/v1/'"),
        PULL.format("server: 'h.test:5000/team'"),
        "resourceLimit: {cpu: {millicores: 1}, memory: {megabytes: 4096}}",
        "resourceLimit: {ext: {nvidia.com/gpu: '2', ephemeral-storage: 10Gi, hugepages-2Mi: 4Mi}}",
        "securityContext: {readOnlyRootFilesystem: true, runAsUser: 2147483647}",
        "securityContext: {capabilities: {add: [NET_ADMIN], drop: [ALL]}}",
        "volumes: [{name: aa, emptyDir: {}}, {name: bb, persistentVolumeClaim: {name: c.d}}]",
        ("volumes: [{name: aa, emptyDir: {sizeLimitMegabytes: 5}}], volumeMounts: ["
         "{name: aa, mountPath: /a}, {name: aa, mountPath: /dev/shm, subPath: x/..y, "
         "readOnly: true}]"),
        "livenessProbe: {grpc: {port: 1}, successThreshold: 1}",
        "readinessProbe: {httpGet: {port: 1, path: /x}, successThreshold: 5, timeoutSeconds: 3}",
        "readinessProbe: {tcpSocket: {port: 1}, failureThreshold: 1000, periodSeconds: 86400}",
    ],
)  # fmt: skip
def test_what_kubernetes_takes_is_stored(world: World, container: str) -> None:
    world.apply(of(container))


MOUNTS = "volumes: [{name: aa, emptyDir: {}}], volumeMounts: [%s]"


@pytest.mark.parametrize(
    ("container", "path", "problem"),
    [
        ("env: [{name: A, value: x}, {name: A, value: y}]", "env[1].name", "twice"),
        ("env: [{name: A=B, value: x}]", "env[0].name", "variable"),
        ("env: [{name: 1A, value: x}]", "env[0].name", "variable"),
        ("env: [{name: ..A, value: x}]", "env[0].name", "variable"),
        ("env: [{name: 'A B', value: x}]", "env[0].name", "variable"),
        ("env: [{name: A}]", "env[0]", "needs one"),
        ("env: [{value: x}]", "env[0].name", "missing"),
        ("env: [{name: A, fromSecret: gone}]", "env[0].fromSecret", "no Secret"),
        ("env: [{name: A, fromSecret: 'sys:key'}]", "env[0].fromSecret", "name of a Secret"),
        ("env: [{name: A, fromSecret: crt-ns-default}]", "env[0].fromSecret", "no Secret"),
        ("env: [{name: A, kubernetesSecretRef: {name: x}}]",
         "env[0].kubernetesSecretRef.key", "missing"),
        ("env: [{name: A, kubernetesSecretRef: {name: X, key: k}}]",
         "env[0].kubernetesSecretRef.name", "object of Kubernetes"),
        ("env: [{name: A, kubernetesSecretRef: {name: octelium/x, key: k}}]",
         "env[0].kubernetesSecretRef.name", "object of Kubernetes"),
        ("env: [{name: A, kubernetesSecretRef: {name: ../x, key: k}}]",
         "env[0].kubernetesSecretRef.name", "object of Kubernetes"),
        ("env: [{name: A, kubernetesSecretRef: {name: upstream-svc-other-1, key: k}}]",
         "env[0].kubernetesSecretRef.name", "own objects"),
        ("env: [{name: A, kubernetesSecretRef: {name: x, key: ..}}]",
         "env[0].kubernetesSecretRef.key", "key"),
        ("volumes: [{name: aa}]", "volumes[0]", "needs one"),
        ("volumes: [{name: aa, emptyDir: {}}, {name: aa, emptyDir: {}}]",
         "volumes[1].name", "twice"),
        ("volumes: [{name: A_, emptyDir: {}}]", "volumes[0].name", "not a valid name"),
        ("volumes: [{name: aa, persistentVolumeClaim: {name: a_b}}]",
         "volumes[0].persistentVolumeClaim.name", "object of Kubernetes"),
        ("volumeMounts: [{name: aa, mountPath: /x}]", "volumeMounts[0].name", "no volume"),
        (MOUNTS % "{name: aa, mountPath: x}", "volumeMounts[0].mountPath", "absolute"),
        (MOUNTS % "{name: aa, mountPath: '/x:y'}", "volumeMounts[0].mountPath", "colon"),
        (MOUNTS % "{name: aa, mountPath: /}", "volumeMounts[0].mountPath", "nothing can be"),
        (MOUNTS % "{name: aa, mountPath: //}", "volumeMounts[0].mountPath", "nothing can be"),
        (MOUNTS % "{name: aa, mountPath: //proc/1}", "volumeMounts[0].mountPath",
         "nothing can be"),
        (MOUNTS % "{name: aa, mountPath: /sys}", "volumeMounts[0].mountPath", "nothing can be"),
        (MOUNTS % "{name: aa, mountPath: /a/../proc}", "volumeMounts[0].mountPath", "canonical"),
        (MOUNTS % "{name: aa, mountPath: /x}, {name: aa, mountPath: //x/}",
         "volumeMounts[1].mountPath", "twice"),
        (MOUNTS % "{name: aa, mountPath: /x, subPath: a/../b}", "volumeMounts[0].subPath",
         "leaves"),
        (MOUNTS % "{name: aa, mountPath: /x, subPath: /etc}", "volumeMounts[0].subPath", "leaves"),
        ("credentials: {usernamePassword: {username: u}}",
         "credentials.usernamePassword.password", "missing"),
        ("credentials: {usernamePassword: {username: 'a:b', password: {fromSecret: token}}}",
         "credentials.usernamePassword.username", "user"),
        (PULL.format("server: 'a b'"), "credentials.usernamePassword.server", "registry"),
        (PULL.format("server: 'h/x?y'"), "credentials.usernamePassword.server", "registry"),
        ("resourceLimit: {ext: {" + ", ".join(f"k{n}: x" for n in range(101)) + "}}",
         "resourceLimit.ext", "101"),
        ("resourceLimit: {ext: {cpu: '1'}}", 'resourceLimit.ext["cpu"]', "field of its own"),
        ("resourceLimit: {ext: {memory: 1Gi}}", 'resourceLimit.ext["memory"]', "of its own"),
        ("resourceLimit: {ext: {gpu: '1'}}", 'resourceLimit.ext["gpu"]', "not a resource"),
        ("resourceLimit: {ext: {kubernetes.io/x: '1'}}",
         'resourceLimit.ext["kubernetes.io/x"]', "not a resource"),
        ("resourceLimit: {ext: {a.kubernetes.io/x: '1'}}",
         'resourceLimit.ext["a.kubernetes.io/x"]', "not a resource"),
        ("resourceLimit: {ext: {a/b/c: '1'}}", 'resourceLimit.ext["a/b/c"]', "not a resource"),
        ("resourceLimit: {ext: {a.test/gpu: '1.5'}}", 'resourceLimit.ext["a.test/gpu"]', "whole"),
        ("resourceLimit: {ext: {a.test/gpu: many}}", 'resourceLimit.ext["a.test/gpu"]', "amount"),
        ("resourceLimit: {ext: {hugepages-2Mi: 3Mi}}", 'resourceLimit.ext["hugepages-2Mi"]',
         "not a resource"),
        ("resourceLimit: {ext: {hugepages-x: 3Mi}}", 'resourceLimit.ext["hugepages-x"]',
         "not a resource"),
        ("securityContext: {runAsUser: 2147483648}", "securityContext.runAsUser", "range"),
        ("securityContext: {capabilities: {add: [CAP_CHOWN]}}",
         "securityContext.capabilities.add[0]", "capability"),
        ("securityContext: {capabilities: {drop: [NET_RAWW]}}",
         "securityContext.capabilities.drop[0]", "capability"),
        (f"args: {['a'] * 65}", "args", "65"),
        (f"command: [{'a' * 1025}]", "command[0]", "1025"),
        ("livenessProbe: {}", "livenessProbe", "needs one"),
        ("livenessProbe: {tcpSocket: {port: 1}, successThreshold: 2}",
         "livenessProbe.successThreshold", "only be 1"),
        ("livenessProbe: {tcpSocket: {port: 1}, timeoutSeconds: -1}",
         "livenessProbe.timeoutSeconds", "range"),
        ("readinessProbe: {httpGet: {port: 70000}}", "readinessProbe.httpGet.port", "range"),
        ("readinessProbe: {httpGet: {port: 1, path: 'x'}}", "readinessProbe.httpGet.path", "path"),
    ],
)  # fmt: skip
def test_what_kubernetes_would_refuse_is_refused_at_once(
    world: World, container: str, path: str, problem: str
) -> None:
    refused = world.refusal(of(container))
    assert refused.path == f"spec.config.upstream.container.{path}"
    assert problem in refused.problem


@pytest.mark.parametrize("registry", ["localhost:5000", "127.0.0.1", "x.svc", "[::1]"])
def test_no_node_is_sent_to_what_it_alone_reaches(world: World, registry: str) -> None:
    refused = world.refusal(of("", f"{registry}/x:1"))
    assert refused.path == "spec.config.upstream.container.image"
    assert refused.remedy.startswith("use a registry that")
    if ":" not in registry.partition(":")[2]:
        refused = world.refusal(of(PULL.format(f"server: 'http://{registry}/y'")))
        assert refused.path.endswith("container.credentials.usernamePassword.server")


def many(count: int) -> str:
    upstream = "upstream: {container: {image: nginx, port: 80}}"
    configs = ", ".join(f"{{name: cc{number}, {upstream}}}" for number in range(count))
    return service(
        f"{{mode: TCP, config: {{{upstream}}}, dynamicConfig: {{configs: [{configs}]}}}}"
    )


def test_a_service_has_so_many_containers_and_no_more(world: World) -> None:
    world.apply(many(31))
    refused = world.refusal(many(33))
    assert refused.path == "spec.dynamicConfig.configs[31].upstream.container"
    assert "32 containers" in refused.problem
    assert refused.remedy == "make a further Service for it"


@pytest.mark.parametrize("image", ["Nginx", "nginx:", "https://h.test/x", "a b", "x@sha256:1"])
def test_images_that_no_registry_has(world: World, image: str) -> None:
    refused = world.refusal(of("", image))
    assert refused.path == "spec.config.upstream.container.image"
    assert "nginx:1.29" in refused.remedy


def test_a_capability_is_told_without_its_prefix(world: World) -> None:
    refused = world.refusal(of("securityContext: {capabilities: {add: [cap_chown]}}"))
    assert refused.remedy == "write CHOWN"
