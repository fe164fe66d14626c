"""The compose file, the Dockerfile and the KubeRay manifests: what can be said of them without running one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.config import RunSpec
from deploy import cli, kuberay
from deploy.locks.driver import cuda_version

COMPOSE: dict[str, Any] = yaml.safe_load(Path("docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def test_each_profile_brings_a_head_a_job_and_what_watches_them() -> None:
    by_profile = {
        profile: {name for name, service in SERVICES.items() if profile in service["profiles"]}
        for profile in ("cpu", "gpu", "gpu-worker")
    }
    assert by_profile == {
        "cpu": {"head", "worker", "job", "prometheus", "grafana"},
        "gpu": {"head-gpu", "job-gpu", "prometheus", "grafana"},
        "gpu-worker": {"worker-gpu"},
    }


def test_gpus_are_reserved_and_their_lock_installed_in_the_gpu_services_only() -> None:
    for name, service in SERVICES.items():
        gpu = name.endswith("-gpu")
        assert ("deploy" in service) == gpu
        if "build" in service:
            assert service["build"].get("args") == ({"LOCK": "gpu"} if gpu else None)
            assert service["image"] == f"medserl:{'gpu' if gpu else 'cpu'}"
            assert service["ipc"] == "host"


def test_every_mount_and_dependency_exists() -> None:
    for service in SERVICES.values():
        for source in (mount.split(":")[0] for mount in service.get("volumes", [])):
            assert Path(source).exists() if source.startswith("./") else source in COMPOSE["volumes"]
        for other, state in service.get("depends_on", {}).items():
            assert state == {"condition": "service_healthy"} and "healthcheck" in SERVICES[other]
            assert set(service["profiles"]) <= set(SERVICES[other]["profiles"])


@pytest.mark.parametrize("name", ["job", "job-gpu"])
def test_a_job_runs_a_spec_that_ships(name: str) -> None:
    found = re.search(r"\$\{SPEC:-(\S+)\}", SERVICES[name]["command"])
    assert found is not None
    assert cli.load(Path(found[1])).backend == ("cuda" if name == "job-gpu" else "cpu")


def test_grafana_finds_the_dashboard_and_prometheus_its_rules() -> None:
    mounted = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])
    (provider,) = yaml.safe_load(Path("deploy/monitoring/grafana/provisioning/dashboards/medserl.yml").read_text())[
        "providers"
    ]
    assert Path(mounted["./deploy/monitoring/grafana/medserl.json"]).parent == Path(provider["options"]["path"])
    assert SERVICES["prometheus"]["volumes"][0] == "./deploy/monitoring/prometheus:/etc/prometheus:ro"


def test_the_dockerfile_copies_what_exists() -> None:
    text = Path("deploy/docker/Dockerfile").read_text()
    sources = [source for line in re.findall(r"^COPY (.+)$", text, re.M) for source in line.split()[:-1]]
    assert sources and all(Path(source).exists() for source in sources)


def test_the_folder_of_the_cuda_wheels_is_that_of_the_locked_cuda() -> None:
    folder = f"nvidia/cu{cuda_version().split('.')[0]}"
    assert f"/site-packages/{folder}\n" in Path("deploy/docker/Dockerfile").read_text()
    assert f"cd $(1)/{folder} " in Path("Makefile").read_text()


def made(name: str, *flags: str) -> dict[str, Any]:
    spec = cli.parse([f"deploy/{name}.yaml", *flags]).spec
    return {manifest["kind"]: manifest for manifest in kuberay.manifests(spec, "ann")}


def test_a_single_machine_is_a_head_without_workers() -> None:
    cluster = made("node8")["RayCluster"]["spec"]
    (container,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    assert "workerGroupSpecs" not in cluster
    assert container["image"] == "medserl:gpu"
    assert container["resources"]["limits"] == {"memory": "512Gi", "nvidia.com/gpu": 8}


def test_further_machines_are_workers_that_share_a_volume() -> None:
    objects = made("node8", "--hardware.nodes", "3")
    (group,) = objects["RayCluster"]["spec"]["workerGroupSpecs"]
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"] == 2
    assert objects["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_job_runs_the_resolved_spec_on_that_cluster() -> None:
    objects = made("smoke", "--steps", "7")
    job, cluster = objects["RayJob"], objects["RayCluster"]
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": cluster["metadata"]["name"]}
    spec = RunSpec(**yaml.safe_load(objects["ConfigMap"]["data"]["spec.yaml"]))
    assert (spec.steps, spec.metrics.host, str(spec.runs)) == (7, "0.0.0.0", "/app/runs")
    (container,) = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert f"{kuberay.SPEC_FOLDER}/spec.yaml" in job["spec"]["entrypoint"]
    volumes = {volume["name"] for volume in cluster["spec"]["headGroupSpec"]["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert {"name": "metrics", "containerPort": spec.metrics.port} in container["ports"]


def test_a_stopped_job_is_given_the_time_to_write_its_checkpoint() -> None:
    (container,) = made("node8")["RayCluster"]["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
    kubernetes = {variable["name"]: variable.get("value") for variable in container["env"]}
    for environment in (kubernetes, SERVICES["head"]["environment"], SERVICES["head-gpu"]["environment"]):
        assert int(environment["RAY_JOB_STOP_WAIT_TIME_S"]) >= 300


@pytest.mark.parametrize("name", ["laptop", "exp_", "_x", "-x", "x.", "4b-medec", "A" * 70, "a-" * 23 + "b", "___"])
def test_every_name_of_a_run_gives_a_name_that_kuberay_takes(name: str) -> None:
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", kuberay.object_name(name, "ann"))


def test_two_names_that_look_alike_stay_apart() -> None:
    assert len({kuberay.object_name(name, "ann") for name in ("exp", "exp_", "Exp", "exp.", "exp__")}) == 5


def test_a_gated_model_gets_its_token_from_a_secret_and_files_of_the_spec_are_mounted() -> None:
    data = {"id": "verdict", "data": {"path": "/data/medec.csv"}}
    spec = RunSpec(model={"source": "google/medgemma-4b-it"}, envs=[data])
    text = yaml.safe_dump(kuberay.manifests(spec, "ann"))
    assert "HF_TOKEN" in text and "mountPath: /data\n" in text and "subPath: files/data" in text


@pytest.mark.parametrize("path", ["notes.csv", "/etc/notes.csv", "/notes.csv"])
def test_a_file_that_no_pod_can_have_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="write an absolute path"):
        kuberay.folders(RunSpec(envs=[{"id": "verdict", "data": {"path": path}}]))


def test_names_are_dns_labels(capsys: pytest.CaptureFixture[str]) -> None:
    assert kuberay.main(["deploy/smoke.yaml", "--name", "My_run.2"]) == 0
    documents = list(yaml.safe_load_all(capsys.readouterr().out))
    assert {document["metadata"]["name"] for document in documents} == {
        kuberay.object_name("My_run.2", kuberay.user_name())
    }


def test_runs_of_one_name_of_two_users_are_different_objects() -> None:
    assert kuberay.object_name("laptop", "ann") != kuberay.object_name("laptop", "bob")


def test_the_command_says_how_the_objects_and_their_secret_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    kuberay.main(["deploy/smoke.yaml"])
    name = kuberay.object_name("smoke", kuberay.user_name())
    assert f"named {name}" in (said := capsys.readouterr().err) and f"{name}-metrics" in said


def test_a_job_on_any_free_port_declares_none() -> None:
    (container,) = made("learns")["RayCluster"]["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert {port["name"] for port in container["ports"]} == kuberay.PORTS.keys()
