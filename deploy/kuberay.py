"""KubeRay manifests of a run: `medserl kuberay SPEC | kubectl apply -f -`. Takes the flags of `medserl selfplay`.

A ConfigMap with the resolved spec, a volume that all nodes share, a RayCluster of `hardware.nodes` machines with
`hardware.gpus` GPUs each, and the RayJob that runs there. The image is deploy/docker/Dockerfile's.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from common.command_line import fail
from common.config import RunSpec
from deploy import cli, commands

Manifest = dict[str, Any]
APP, SPEC_FOLDER = "/app", "/etc/medserl"
TOKEN_FOLDER = "/etc/medserl-metrics"
"""Key of the secret NAME-metrics; create it first: `kubectl create secret generic NAME-metrics
--from-literal=token=...`."""
ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_JOB_STOP_WAIT_TIME_S": "600"}
"""Time for a stopped job to finish its step and write a checkpoint; by default Ray kills it after 3 seconds."""
PORTS = {"gcs": 6379, "dashboard": 8265, "client": 10001, "ray-metrics": 8080}


def manifests(spec: RunSpec) -> list[Manifest]:
    """What `kubectl apply` makes, in order."""
    name = spec.name.lower().replace("_", "-").replace(".", "-")  # Kubernetes' names are DNS labels
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
    container = {
        "name": "ray",
        "image": f"medserl:{'gpu' if hardware.gpus else 'cpu'}",
        "env": [{"name": name, "value": value} for name, value in ENVIRONMENT.items()],
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


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m deploy.kuberay`."""
    return run(commands.parse("kuberay", "python -m deploy.kuberay", arguments))


def run(command: cli.Command) -> int:
    """Print the manifests."""
    spec = command.spec
    if spec.backend == "cuda" and not spec.hardware.gpus:
        fail("kuberay", "hardware.gpus is 0: write how many GPUs a machine has")
    print(yaml.safe_dump_all(manifests(spec), sort_keys=False), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
