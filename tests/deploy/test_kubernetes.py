"""The Kubernetes objects, as `kubectl apply -k` would send them: by the schemas of Kubernetes, and with each other.

There is no kustomize here, so this resolves of a kustomization what ours use: resources, generated maps, images and
patches in JSON.
"""

import fnmatch
from pathlib import Path
from typing import Any

import jsonpatch
import kubernetes_validate
import pytest
import yaml

from tako.chat.generation import LAST_PATIENCE
from tako.settings import Settings, load

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
OURS = {"apiVersion", "kind", "labels", "namespace", "resources", "configMapGenerator", "images", "patches"}
Object = dict[str, Any]


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def built(folder: Path) -> list[Object]:
    """The objects of a kustomization. Raises for what it refers to and is not there."""
    kustomization = read(folder / "kustomization.yaml")
    assert set(kustomization) <= OURS
    objects: list[Object] = []
    for resource in kustomization["resources"]:
        path = folder / resource
        objects += built(path) if path.is_dir() else [read(path)]
    for generated in kustomization.get("configMapGenerator", ()):
        data = {name: (folder / name).read_text(encoding="utf-8") for name in generated["files"]}
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generated["name"]}, "data": data})
    for patch in kustomization.get("patches", ()):
        target = patch["target"]
        (number,) = [n for n, found in enumerate(objects) if fits(found, target)]
        objects[number] = jsonpatch.apply_patch(objects[number], read(folder / patch["path"]))
    for image in kustomization.get("images", ()):
        uses = [
            container for found in objects for container in containers(found) if container["image"] == image["name"]
        ]
        assert uses
        for container in uses:
            container["image"] = f"{image['newName']}:{image['newTag']}"
    return objects


def fits(found: Object, target: Object) -> bool:
    return found["kind"] == target["kind"] and fnmatch.fnmatch(found["metadata"]["name"], target["name"])


def containers(found: Object) -> list[Object]:
    if found["kind"] != "Deployment":
        return []
    return list(found["spec"]["template"]["spec"]["containers"])


def the(kind: str, objects: list[Object]) -> Any:
    (found,) = [found for found in objects if found["kind"] == kind]
    return found


@pytest.fixture(params=["base", "k3s"])
def objects(request: pytest.FixtureRequest) -> list[Object]:
    return built(KUBERNETES / request.param)


@pytest.fixture
def pod(objects: list[Object]) -> Any:
    return the("Deployment", objects)["spec"]["template"]["spec"]


@pytest.mark.parametrize("version", ["1.30.0", kubernetes_validate.latest_version()])
def test_every_object_is_as_kubernetes_has_it(objects: list[Object], version: str) -> None:
    """Strictly: a misspelt field would be dropped without a word."""
    for found in objects:
        kubernetes_validate.validate(found, version, strict=True)


def test_every_file_is_used() -> None:
    """A patch that no kustomization names does nothing."""
    for folder in (KUBERNETES / "base", KUBERNETES / "k3s"):
        kustomization = read(folder / "kustomization.yaml")
        named = {
            *kustomization["resources"],
            *(patch["path"] for patch in kustomization.get("patches", ())),
            *(name for generated in kustomization.get("configMapGenerator", ()) for name in generated["files"]),
        }
        assert {file.name for file in folder.iterdir()} == {*(n for n in named if "/" not in n), "kustomization.yaml"}


def test_the_objects_find_each_other(objects: list[Object], pod: Any) -> None:
    """Selectors, ports, volumes."""
    deployment = the("Deployment", objects)
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        the("Service", objects)["spec"]["selector"],
        the("PodDisruptionBudget", objects)["spec"]["selector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in pod["topologySpreadConstraints"]),
    ]
    assert all(selector.items() <= labels for selector in selectors)
    (container,) = pod["containers"]
    ports = {port["name"] for port in container["ports"]}
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    assert {container[probe]["httpGet"]["port"] for probe in probes} <= ports
    assert {port["targetPort"] for port in the("Service", objects)["spec"]["ports"]} <= ports
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    maps = {found["metadata"]["name"] for found in objects if found["kind"] == "ConfigMap"}
    assert {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume} <= maps


def test_a_process_is_given_the_time_that_it_takes_to_stop(pod: Any) -> None:
    """Who is killed earlier leaves answers as orphans."""
    (container,) = pod["containers"]
    pause = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= pause + Settings().shutdown_grace + LAST_PATIENCE + 5


def test_it_runs_without_root_on_a_file_system_that_it_cannot_write(pod: Any) -> None:
    """What the namespace's `restricted` demands, and the user of the image."""
    (container,) = pod["containers"]
    security = container["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert f"USER {pod['securityContext']['runAsUser']}:" in (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"]["drop"] == ["ALL"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/data", "/tmp"}


def test_secrets_are_named_not_held(objects: list[Object], pod: Any) -> None:
    """Nothing that opens a door is in a file here."""
    assert not [found for found in objects if found["kind"] == "Secret"]
    (container,) = pod["containers"]
    told = {one["name"]: one for one in container["env"]}
    for name in ("TAKO_DATABASE_URL", "TAKO_METRICS_TOKEN"):
        assert "value" not in told[name]
        assert told[name]["valueFrom"]["secretKeyRef"]


def test_every_setting_is_one(objects: list[Object], pod: Any, tmp_path: Path) -> None:
    """In the map and in the variables."""
    (container,) = pod["containers"]
    config = tmp_path / "tako.toml"
    config.write_text(the("ConfigMap", objects)["data"]["tako.toml"], encoding="utf-8")
    told = {one["name"]: one.get("value", "postgresql://tako@db/a-long-secret") for one in container["env"]}
    assert load({}, {**told, "TAKO_CONFIG": str(config)}).settings.local == {"enabled": False}


def test_a_second_region_takes_pods_only_when_the_first_cannot() -> None:
    """They tolerate its taint, and would rather be elsewhere."""
    pod = the("Deployment", built(KUBERNETES / "k3s"))["spec"]["template"]["spec"]
    (taint,) = [one for one in pod["tolerations"] if one["key"] == "tako/region"]
    (preferred,) = pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    (rule,) = preferred["preference"]["matchExpressions"]
    assert (taint["value"], taint["effect"]) == ("second", "NoSchedule")
    assert (rule["key"], rule["operator"], rule["values"]) == (taint["key"], "NotIn", [taint["value"]])
