"""The manifest for Kubernetes fits what the daemon is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from deployed import COMPOSE, ENDPOINTS, ROOT, instructions, port_of

from streamrnn.pipelines.group.opening import check_group
from streamrnn.pipelines.settings import load_settings

MANIFEST = {
    item["kind"]: item for item in yaml.safe_load_all((ROOT / "docs" / "kubernetes.yaml").read_text())
}
SECRETS = MANIFEST["Secret"]["stringData"]


def container():
    (only,) = MANIFEST["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    return only


def manifest_environment(index):
    """The container's variables in the pod of a number."""
    found = {}
    for item in container()["env"]:
        value = item.get("value", str(index) if item["name"] == "POD_INDEX" else "")
        found[item["name"]] = re.sub(r"\$\((\w+)\)", lambda name: found[name[1]], value)
    return found


@pytest.fixture
def pods(tmp_path, monkeypatch):
    """The settings of the manifest's first two pods."""
    (tmp_path / "p.toml").write_text(MANIFEST["ConfigMap"]["data"]["pipeline.toml"])
    for item in container()["env"]:
        reference = item.get("valueFrom", {}).get("secretKeyRef")
        if reference is not None:
            assert reference["name"] == MANIFEST["Secret"]["metadata"]["name"]
            monkeypatch.setenv(item["name"], SECRETS[reference["key"]])
    return [load_settings(tmp_path / "p.toml", manifest_environment(index)) for index in (0, 1)]


def test_the_manifests_pipeline_is_one_that_runs_and_each_pod_has_a_name_of_its_own_in_the_group(pods):
    assert [one.source.group_instance for one in pods] == ["streamrnn-0", "streamrnn-1"]
    assert len({one.source.group for one in pods}) == 1
    assert all(check_group(one) is one.source for one in pods)
    mounted = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert Path(pods[0].checkpoint.path).parent == Path(mounted["state"])
    assert json.loads(instructions("CMD")[-1])[-1] == f"{mounted['pipeline']}/pipeline.toml"
    assert container()["image"].endswith(COMPOSE["x-streamrnn"]["image"])
    (claim,) = MANIFEST["StatefulSet"]["spec"]["volumeClaimTemplates"]
    volumes = MANIFEST["StatefulSet"]["spec"]["template"]["spec"]["volumes"]
    assert {claim["metadata"]["name"], *(volume["name"] for volume in volumes)} == set(mounted)


def test_the_manifests_probes_ask_endpoints_that_there_are(pods):
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    served = port_of(pods[0])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container()[probe]["httpGet"]
        assert asked["path"] in ENDPOINTS and ports[asked["port"]] == served
    made = MANIFEST["StatefulSet"]["spec"]["template"]["metadata"]
    assert made["annotations"]["prometheus.io/port"] == str(served)
    assert made["annotations"]["prometheus.io/path"] in ENDPOINTS
    selected = MANIFEST["StatefulSet"]["spec"]["selector"]["matchLabels"]
    assert selected == MANIFEST["Service"]["spec"]["selector"] and selected.items() <= made["labels"].items()
    assert MANIFEST["Service"]["metadata"]["name"] == MANIFEST["StatefulSet"]["spec"]["serviceName"]


def test_the_manifests_container_has_no_rights_that_it_does_not_need():
    pod, own = MANIFEST["StatefulSet"]["spec"]["template"]["spec"], container()["securityContext"]
    user = int(instructions("USER")[0])
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == user
    assert pod["securityContext"]["fsGroup"] == user
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
