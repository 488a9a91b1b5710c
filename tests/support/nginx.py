"""A real nginx in front of sites, with the configuration that we ship."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.process import die_with_parent

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx.conf"
MAIN = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    include /etc/nginx/mime.types;
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    include {folder}/tako.conf;
}}
"""


@asynccontextmanager
async def nginx(folder: Path, ports: Iterable[int]) -> AsyncIterator[str]:
    """nginx's address, in front of the sites that listen on those ports of this machine. The page's next version is
    what `folder/next` holds."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise RuntimeError("The tests need nginx. As root: apt-get install --no-install-recommends nginx-light")
    folder.mkdir(exist_ok=True)
    for parent in (folder, *folder.parents[:-1]):
        if parent.stat().st_uid == os.geteuid() and os.geteuid() == 0:
            parent.chmod(parent.stat().st_mode | 0o711)  # nginx's worker is not root
    port = _free_port()
    servers = "\n".join(f"    server 127.0.0.1:{site};" for site in ports)
    shipped = SHIPPED.read_text(encoding="utf-8")
    for theirs, ours in (
        ("    server 127.0.0.1:8000;", servers),
        ("listen 80;", f"listen {port};"),
        ("/srv/tako-next;", f"{folder}/next;"),
    ):
        assert shipped.count(theirs) == 1
        shipped = shipped.replace(theirs, ours)
    (folder / "tako.conf").write_text(shipped, encoding="utf-8")
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder), encoding="utf-8")
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf")], preexec_fn=die_with_parent)
    try:
        async with asyncio.timeout(20):
            while not _listens(port):
                assert process.poll() is None, (folder / "error.log").read_text()
                await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
