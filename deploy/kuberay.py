"""KubeRay manifests of a run: `medserl kuberay SPEC | kubectl apply -f -`. Takes the flags of `medserl selfplay`.

A ConfigMap with the resolved spec, a volume that all nodes share, a RayCluster of `hardware.nodes` machines with
`hardware.gpus` GPUs each, and the RayJob that runs there. The image is deploy/docker/Dockerfile's.
"""

from __future__ import annotations

import getpass
import hashlib
import importlib.metadata
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from common.command_line import fail
from common.config import RunSpec
from common.flags import path_of
from deploy import cli, commands
from deploy.report.model_card import is_hub_id

Manifest = dict[str, Any]
APP, SPEC_FOLDER = "/app", "/etc/medserl"
LABEL = 47
SYSTEM = ("app", "bin", "boot", "dev", "etc", "lib", "lib64", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "var")
TOKEN_FOLDER = "/etc/medserl-metrics"
"""Key of the secret NAME-metrics; create it first: `kubectl create secret generic NAME-metrics
--from-literal=token=...`. The hub's token, for a gated model, is that of NAME-hub."""
ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_JOB_STOP_WAIT_TIME_S": "600"}
"""Time for a stopped job to finish its step and write a checkpoint; by default Ray kills it after 3 seconds."""
PORTS = {"gcs": 6379, "dashboard": 8265, "client": 10001, "ray-metrics": 8080}


def manifests(spec: RunSpec, user: str) -> list[Manifest]:
    """What `kubectl apply` makes for this user's run, in order."""
    name = object_name(spec.name, user)
    served = {"host": "0.0.0.0", "token_file": f"{TOKEN_FOLDER}/token"}
    inside = {"metrics": spec.metrics.model_copy(update=served), "runs": f"{APP}/runs"}
    inside["model"] = spec.model.model_copy(update={"cache": f"{APP}/cache"})
    resolved = spec.model_copy(update=inside).model_dump(mode="json")
    return [
        _object("v1", "ConfigMap", name, data={"spec.yaml": yaml.safe_dump(resolved, sort_keys=False)}),
        _object("v1", "PersistentVolumeClaim", name, spec=_volume(spec)),
        _object("ray.io/v1", "RayCluster", name, spec=_cluster(spec, name)),
        _object("ray.io/v1", "RayJob", name, spec=_job(name)),
    ]


def object_name(run: str, user: str) -> str:
    """A name that KubeRay takes: a DNS label of at most 47 characters, from which it makes longer ones.

    A digest of run and user keeps two runs apart, also those of one name in a namespace that two people share.
    """
    label = re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")
    digest = hashlib.sha256(f"{user}/{run}".encode()).hexdigest()[:6]
    start = label if label[:1].isalpha() else f"run-{label}"
    return f"{start[: LABEL - len(digest) - 1].strip('-')}-{digest}"


def user_name() -> str:
    """The user's login name; the number where the system has no name for it, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        return str(os.getuid())


def folders(spec: RunSpec) -> dict[str, str]:
    """Folders outside the run that its spec names, by the path in a pod, and where they are in the volume.

    Raises ValueError for one that a pod cannot have.
    """
    local = [] if not Path(path_of(spec.model.source)).is_absolute() else [path_of(spec.model.source)]
    named = {path.parent for env in spec.envs for path in map(path_of, env.files)} | set(local)
    for folder in sorted(named):
        if not folder.is_absolute() or len(folder.parts) < 2 or folder.parts[1] in SYSTEM:
            raise ValueError(
                f"{folder}: a pod has no such folder of yours; write an absolute path such as /data/notes.csv, below "
                "none of the system's folders"
            )
    return {str(folder): f"files{folder}" for folder in sorted(named)}


def _object(version: str, kind: str, name: str, **content: Any) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **content}


def _volume(spec: RunSpec) -> Manifest:
    mode = "ReadWriteMany" if spec.hardware.nodes > 1 else "ReadWriteOnce"
    return {"accessModes": [mode], "resources": {"requests": {"storage": "100Gi"}}}


def _cluster(spec: RunSpec, name: str) -> Manifest:
    start = {"metrics-export-port": str(PORTS["ray-metrics"]), "disable-usage-stats": "true"}
    head: Manifest = {
        "rayStartParams": {**start, "dashboard-host": "0.0.0.0"},
        "template": _pod(spec, name, PORTS | ({"metrics": spec.metrics.port} if spec.metrics.port else {})),
    }
    cluster: Manifest = {"rayVersion": importlib.metadata.version("ray"), "headGroupSpec": head}
    others = spec.hardware.nodes - 1
    if others:
        group = {"groupName": "nodes", "replicas": others, "minReplicas": others, "maxReplicas": others}
        ports = {"ray-metrics": PORTS["ray-metrics"]}
        cluster["workerGroupSpecs"] = [{**group, "rayStartParams": start, "template": _pod(spec, name, ports)}]
    return cluster


def _pod(spec: RunSpec, name: str, ports: dict[str, int]) -> Manifest:
    hardware = spec.hardware
    resources = {"memory": f"{hardware.ram_gib:g}Gi"} | ({"nvidia.com/gpu": hardware.gpus} if hardware.gpus else {})
    mounts = {"shm": "/dev/shm", "spec": SPEC_FOLDER, "token": TOKEN_FOLDER}
    kept = [{"name": "kept", "mountPath": f"{APP}/{folder}", "subPath": folder} for folder in ("runs", "cache")]
    kept += [{"name": "kept", "mountPath": path, "subPath": below} for path, below in folders(spec).items()]
    environment: list[Manifest] = [{"name": variable, "value": value} for variable, value in ENVIRONMENT.items()]
    if is_hub_id(spec.model.source):  # which may be gated
        token = {"name": f"{name}-hub", "key": "token", "optional": True}
        environment.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": token}})
    container = {
        "name": "ray",
        "image": f"medserl:{'gpu' if hardware.gpus else 'cpu'}",
        "env": environment,
        "ports": [{"name": port, "containerPort": number} for port, number in ports.items()],
        "resources": {"limits": resources, "requests": resources},
        "volumeMounts": [*({"name": volume, "mountPath": path} for volume, path in mounts.items()), *kept],
    }
    volumes = [
        # Weights travel through /dev/shm, whose default of 64 MB holds no model.
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{hardware.ram_gib / 2:g}Gi"}},
        {"name": "spec", "configMap": {"name": name}},
        {"name": "token", "secret": {"secretName": f"{name}-metrics"}},
        {"name": "kept", "persistentVolumeClaim": {"claimName": name}},
    ]
    return {"spec": {"containers": [container], "volumes": volumes}}


def _job(name: str) -> Manifest:
    return {
        "entrypoint": f"cd {APP} && python -m deploy.selfplay {SPEC_FOLDER}/spec.yaml",
        "clusterSelector": {"ray.io/cluster": name},  # keep the cluster after the job, for --resume and other commands
    }


class _Readable(yaml.SafeDumper):
    """Writes a text of several lines, such as the spec, line by line."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m deploy.kuberay`."""
    return run(commands.parse("kuberay", "python -m deploy.kuberay", arguments))


def run(command: cli.Command) -> int:
    """Print the manifests."""
    spec = command.spec
    if spec.backend == "cuda" and not spec.hardware.gpus:
        fail("kuberay", "hardware.gpus is 0: write how many GPUs a machine has")
    try:
        made = manifests(spec, user_name())
        name = made[0]["metadata"]["name"]
        print(
            f"kuberay: the objects are named {name}; make the secret {name}-metrics, key `token`, first",
            file=sys.stderr,
        )
        for path, below in folders(spec).items():
            print(f"kuberay: copy the files of {path} into {below} of the volume {name}", file=sys.stderr)
    except ValueError as error:
        fail("kuberay", str(error))
    print(yaml.dump_all(made, Dumper=_Readable, sort_keys=False), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
