"""`tako serve` as a real process, which dies with the tests and can be killed by them."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_libc = ctypes.CDLL(None)


def die_with_parent() -> None:
    _libc.prctl(1, signal.SIGKILL)


class Server:
    """Start it with `start`; restart it on the same folder with `start` again. It listens on a port of its own.

    `program` is the module that Python runs, with the arguments that come before tako's.
    """

    def __init__(
        self,
        folder: Path,
        config: str,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = ("tako",),
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        around = {name: value for name, value in os.environ.items() if not name.startswith("TAKO_")}
        self.environment = {**around, "TAKO_CONFIG": str(folder / "tako.toml"), **(environment or {})}
        (folder / "tako.toml").write_text(config, encoding="utf-8")
        self.database_url = self.environment.get("TAKO_DATABASE_URL", f"sqlite:///{self.data / 'tako.db'}")
        self._program = program
        self.port = 0
        self.url = ""
        self.said = ""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with open(self.folder / "server.log", "ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", *self._program, "serve", "--port", str(self.port), "--data", str(self.data)),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self.environment,
                preexec_fn=die_with_parent,
            )
        assert self._process.stdout is not None
        self.said = ""
        while "http://" not in self.said:
            line = (await self._process.stdout.readline()).decode()
            if not line:
                raise AssertionError(f"the server did not start: {self.log()}")
            self.said += line
        self.url = next(word for word in self.said.split() if word.startswith("http://")).split("/setup")[0]
        self.port = int(self.url.rpartition(":")[2])

    async def setup_token(self) -> str:
        """The token of the one-time link that the server printed."""
        assert self._process is not None
        assert self._process.stdout is not None
        while "#token=" not in self.said:
            self.said += (await self._process.stdout.readline()).decode()
        return self.said.partition("#token=")[2].split()[0]

    async def kill(self) -> None:
        """kill -9."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM. Returns the exit code."""
        return await self._end(signal.SIGTERM)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def wait(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    async def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        code = await self._process.wait()
        self._process = None
        return code

    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8")

    async def tako(self, *arguments: str, stdin: str = "") -> str:
        """Run another command on the same site. Returns what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tako", *arguments, "--data", str(self.data)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment,
        )
        out, err = await process.communicate(stdin.encode())
        if process.returncode:
            raise AssertionError(err.decode())
        return out.decode().strip()
