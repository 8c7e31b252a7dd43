"""A stand-in for k3s: the commands of it that bootstrap.sh gives, over a state in one file.

Run as a program: STATE is the file, the rest are k3s' own words. `kubectl get` answers with the
JSON path that is asked for; where the state names a `server`, a program that asks a real API server
as kubectl does, that answers instead. What runs in the Pod is played here: a Cluster serves if its
image is there, its version is a good one, and what is on its volume is what a good one has written.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

_TOKEN = re.compile(
    r"""\.(?P<name>(?:\\\.|[\w/-])+)|\[(?P<all>\*)\]|\[(?P<index>\d+)\]"""
    r"""|\[\?\(@\.(?P<key>(?:\\\.|[\w/-])+(?:\.(?:\\\.|[\w/-])+)*)=="(?P<value>[^"]*)"\)\]"""
)
_PART = re.compile(r"\{([^{}]*)\}|([^{}]+)")
_PLAYED = ("nodes", "pod", "persistentvolumes", "persistentvolumeclaims", "storageclass")
"""What no API server is asked about: there is no machine behind it."""
_SPOILED = "of version {}, which none reads"


class CommandError(Exception):
    """What the command says on stderr, before it ends with 1."""


def _steps(name: str) -> list[str]:
    return [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", name)]


def _follow(values: list[Any], path: str) -> list[Any]:
    """What a JSON path finds (Kubernetes' documentation, "JSONPath Support")."""
    at = 0
    while at < len(path):
        token = _TOKEN.match(path, at)
        if token is None:
            raise CommandError(f"error: error parsing jsonpath {path}")
        at = token.end()
        if token["name"]:
            key = token["name"].replace("\\.", ".")
            values = [value[key] for value in values if isinstance(value, dict) and key in value]
        elif token["all"]:
            values = [each for value in values for each in value]
        elif token["index"]:
            values = [value[int(token["index"])] for value in values]
        else:
            wanted = token["value"]
            lists = [each for value in values for each in value]
            values = [each for each in lists if _deep(each, _steps(token["key"])) == wanted]
    return values


def _deep(value: Any, steps: list[str]) -> Any:
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def json_path(template: str, value: Any) -> str:
    """What `-o jsonpath=TEMPLATE` prints of a value. Raises CommandError."""
    said, inner, items = "", "", None
    for part, literal in _PART.findall(template):
        if part.startswith("range "):
            inner, items = "", _follow([value], part.removeprefix("range "))
        elif part == "end":
            said += "".join(json_path(inner, item) for item in items or ())
            items = None
        elif items is not None:
            inner += literal or "{" + part + "}"
        elif literal or part.startswith('"'):
            said += literal or json.loads(part)
        else:
            found = _follow([value], part)
            said += " ".join(item if isinstance(item, str) else json.dumps(item) for item in found)
    return said


class Machine:
    """The state, and what k3s does with it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.state: dict[str, Any] = json.loads(file.read_text())

    def save(self) -> None:
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(self.state, indent=1))
        draft.replace(self._file)

    # -- commands --

    def run(self, words: list[str]) -> str:
        """What a command says. Raises CommandError."""
        self.state["said"].append(" ".join(words))
        self.save()
        if words == ["--version"]:
            return f"k3s version {self.state['version']} (0123abcd)\ngo version go1.24.6\n"
        if words[0] == "ctr":
            return self._ctr(words[1:])
        if words[0] != "kubectl":
            raise CommandError(f"No help topic for '{words[0]}'")
        if not self.state["runs"]:
            raise CommandError("The connection to the server 127.0.0.1:6443 was refused")
        verb, *rest = words[1:]
        commands = {
            "apply": self._apply, "exec": self._exec, "get": self._get, "logs": self._logs,
            "scale": self._scale,
        }  # fmt: skip
        return commands[verb](rest)

    def _ctr(self, words: list[str]) -> str:
        assert words[:2] == ["-n", "k8s.io"], words
        images = self.state["images"]
        match words[2:]:
            case ["images", "import", file]:
                import tarfile  # here, since this program starts for every command

                with tarfile.open(file) as tar:
                    index = tar.extractfile("index.json")
                    assert index is not None
                    (manifest,) = json.load(index)["manifests"]
                name = manifest["annotations"]["io.containerd.image.name"]
                images[name] = {"content": manifest["digest"], "labels": []}
                said = f"unpacking {name} ({manifest['digest']})...done\n"
            case ["images", "label", name, label]:
                if name not in images:
                    raise CommandError(f'ctr: image "{name}": not found')
                images[name]["labels"].append(label)
                said = f"{name} {label}\n"
            case ["images", "rm", name]:
                if images.pop(name, None) is None:
                    raise CommandError(f'ctr: image "{name}": not found')
                said = f"{name}\n"
            case _:
                raise CommandError(f"ctr: {words}")
        self.save()
        return said

    def _apply(self, words: list[str]) -> str:
        options, site = words[:-2], Path(words[-1])
        assert options == [
            "--server-side",
            "--force-conflicts",
            "--field-manager=octelium-bootstrap",
        ]
        if self.state["refuses"] and site.parent.name.startswith(self.state["refuses"]):
            raise CommandError("error: quota exceeded")
        if self.state["server"]:
            self._kubectl("apply", *words)
        assert (site / "../k3s/kustomization.yaml").is_file()
        stamp = _found(r'octelium\.com/release: "([^"]+)"', site / "statefulset.yaml")
        image = re.findall(
            r'newName: ([^,]+), newTag: "([^"]+)"', (site / "kustomization.yaml").read_text()
        )
        addresses = _found(r"externalIPs, value: \[(.*)\]\}", site / "service.yaml")
        self.state["applied"].append(stamp)
        self.state["addresses"] = json.loads(f"[{addresses}]")
        self.state["settings"] = (site / "octelium.yaml").read_text()
        self._set({"stamp": stamp, "image": ":".join(image[0]), "replicas": 1})
        return "statefulset.apps/octelium serverside-applied\n"

    def _scale(self, words: list[str]) -> str:
        assert words[:3] == ["statefulset", "octelium", "-n"], words
        replicas = int(words[-1].removeprefix("--replicas="))
        if self.state["server"]:
            self._kubectl("scale", *words)
        self._set({**self.state["workload"], "replicas": replicas})
        return "statefulset.apps/octelium scaled\n"

    def _logs(self, _words: list[str]) -> str:
        return "the Cluster's last message\n"

    def _get(self, words: list[str]) -> str:
        if self.state["server"] and words[0] not in _PLAYED:
            return self._kubectl("get", *words)
        if words[0] == "--raw":
            has_policies = int(self.state["version"].split(".")[1]) >= 30
            policies = [{"name": "validatingadmissionpolicies"}] if has_policies else []
            return json.dumps({"resources": policies})
        kind = {"pod": "pods"}.get(words[0], words[0])
        items = self._pods() if kind == "pods" else self.state["objects"].get(kind, [])
        names = [word for word in words[1:] if word in (item["metadata"]["name"] for item in items)]
        single = [word for word in words[1:] if not word.startswith("-")]
        output = words[words.index("-o") + 1] if "-o" in words else ""
        named = names or (kind == "pods" and "octelium-0" in single)
        named = named or (kind.startswith("persistentvolume") and single)
        if named and not names:
            if "--ignore-not-found" in words:
                return ""
            raise CommandError(f'Error from server (NotFound): {kind} "{single[0]}" not found')
        found: Any = {"items": items}
        if names:
            (found,) = (item for item in items if item["metadata"]["name"] == names[0])
        if output.startswith("jsonpath="):
            return json_path(output.removeprefix("jsonpath="), found)
        if output == "name":
            return f"{words[0]}/{names[0]}\n"
        return "NAME\n" + "".join(f"{item['metadata']['name']}\n" for item in items)

    def _kubectl(self, *words: str) -> str:
        import subprocess

        command = [self.state["server"], *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandError(done.stderr)
        return done.stdout

    # -- the Pod --

    def _set(self, workload: dict[str, Any]) -> None:
        """What a StatefulSet's controller and a kubelet do, at once."""
        self.state["workload"] = workload
        version = workload["image"].rpartition(":")[2]
        if workload["replicas"] and workload["image"] in self.state["images"]:
            data = self._data()
            (data / "store").mkdir(parents=True, exist_ok=True)
            (data / "ca.pem").write_text(self.state["ca"])
            (data.parent / "first-token").write_text("a token")
            store = data / "store/store.db"
            if not store.exists():
                store.write_text("good")
            if version in self.state["spoils"]:
                store.write_text(_SPOILED.format(version))
                (data / "run").mkdir(exist_ok=True)
        self.save()

    def _data(self) -> Path:
        volume = Path(self.state["volume"])
        volume.mkdir(parents=True, exist_ok=True)
        self.state["objects"]["persistentvolumeclaims"] = [
            {"metadata": {"name": "data-octelium-0"}, "spec": {"volumeName": "pvc-1"}}
        ]
        self.state["objects"]["persistentvolumes"] = [
            {"metadata": {"name": "pvc-1"}, "spec": {"hostPath": {"path": str(volume)}}}
        ]
        return volume / "data"

    def _pods(self) -> list[Any]:
        workload = self.state["workload"]
        if not workload or not workload["replicas"]:
            return list(self.state["objects"].get("pods", []))
        is_good = not self._trouble()
        pod = {
            "metadata": {
                "name": "octelium-0", "namespace": "octelium",
                "annotations": {"octelium.com/release": workload["stamp"]},
            },
            "spec": {"containers": [{"ports": [{"containerPort": 8443}]}]},
            "status": {
                "containerStatuses": [
                    {"name": "cluster", "ready": is_good, "restartCount": 0 if is_good else 3},
                    {"name": "controller", "ready": True, "restartCount": 0},
                ]
            },
        }  # fmt: skip
        return [*self.state["objects"].get("pods", []), pod]

    def _trouble(self) -> str:
        workload = self.state["workload"]
        if not workload or not workload["replicas"]:
            return 'Error from server (NotFound): pods "octelium-0" not found'
        if workload["image"] not in self.state["images"]:
            return "error: container not found: ErrImageNeverPull"
        if self.state["fails"]:
            return "the front door answers 503"
        store = (Path(self.state["volume"]) / "data/store/store.db").read_text()
        return "" if store == "good" else f"the store is {store}"

    def _exec(self, words: list[str]) -> str:
        assert words[:6] == ["-n", "octelium", "octelium-0", "-c", "cluster", "--"], words
        if trouble := self._trouble():
            raise CommandError(trouble)
        match words[6:]:
            case ["octops", "probe", *page]:
                host = page[0] if page else "octelium-api"
                return f"https://{host}.a.example/ answers 200 in 5 ms\n"
            case ["octops", "invite", name, "--administrator"]:
                return f"https://a.example/invite#{name}-0123456789\n"
        raise CommandError(f"exec: {words}")


def _found(pattern: str, file: Path) -> str:
    found = re.search(pattern, file.read_text())
    assert found is not None, (pattern, file)
    return found[1]


def main() -> int:
    machine = Machine(Path(sys.argv[1]))
    try:
        sys.stdout.write(machine.run(sys.argv[2:]))
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
