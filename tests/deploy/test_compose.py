"""The Compose file and the image, as far as they can be looked at without Docker."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tako.chat.generation import LAST_PATIENCE
from tako.settings import Settings, load

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")


def test_the_file_is_as_the_compose_specification_has_it() -> None:
    """By the schema of the specification, which check-jsonschema carries."""
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_the_file_refers_to_is_there() -> None:
    """Networks, volumes, services and files."""
    services = COMPOSE["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (FILE.parent / source).is_file()
    build = services["site"]["build"]
    assert (FILE.parent / build["context"] / build["dockerfile"]).is_file()


def test_it_holds_no_secret() -> None:
    """They come from deploy/.env, which git does not see; without them nothing starts."""
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or "TOKEN" in name:
                assert re.fullmatch(r"\$\{\w+:[?-][^}]*\}", value), name
    assert "/deploy/.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_every_variable_of_the_site_is_a_setting_and_may_be_left_empty() -> None:
    """Compose passes on what nobody has set."""
    environment = COMPOSE["services"]["site"]["environment"]
    ours = {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
        for name, value in environment.items()
        if name.startswith("TAKO_")
    }
    settings = load({}, ours).settings
    assert settings.trusted_proxies == (COMPOSE["networks"]["inside"]["ipam"]["config"][0]["subnet"],)
    assert (settings.metrics_token, settings.public_url, settings.workers) == (None, None, 1)


def test_the_site_is_given_the_time_that_it_takes_to_stop() -> None:
    """Who is killed earlier leaves answers as orphans."""
    seconds = float(COMPOSE["services"]["site"]["stop_grace_period"].removesuffix("s"))
    assert seconds >= Settings().shutdown_grace + LAST_PATIENCE + 5


def test_nginx_is_given_the_site_instead_of_its_own_machine() -> None:
    """With the file that we ship, changed by the command of the service."""
    shipped = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
    command = COMPOSE["services"]["nginx"]["command"][2]
    found = re.search(r"sed 's/([^/]+)/([^/]+)/'", command)
    assert found is not None
    assert found[2] == "server site:8000;"
    assert f"    {found[2]}\n" in re.sub(found[1], found[2], shipped)
    assert "127.0.0.1:8000;" not in re.sub(found[1], found[2], shipped).replace("# ", "")


def test_the_image_is_built_from_what_is_there_with_the_pinned_uv() -> None:
    """As `make` does it."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    pinned = re.search(r"UV_VERSION := (\S+)", makefile)
    assert pinned is not None
    assert f"uv=={pinned[1]}" in DOCKERFILE
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []
    let_in = {
        line[1:] for line in (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert let_in == set(copied)


@pytest.mark.parametrize("word", ["USER 10001", 'ENTRYPOINT ["tako"]', "HEALTHCHECK"])
def test_the_image_runs_without_root_and_says_how_it_is(word: str) -> None:
    """What the Kubernetes files and Compose rely on."""
    assert word in DOCKERFILE
