"""The built page: one document for every address of the site that people see, and its assets."""

from pathlib import Path

from tako.core.errors import NotFound
from tako.core.http import Header, Receive, Scope, Send, send_bytes

ROOT = Path(__file__).parent.parent / "web"
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".json": b"application/json",
    ".woff2": b"font/woff2",
    ".png": b"image/png",
}
SECURITY: tuple[Header, ...] = (
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_MISSING = (
    b"<!doctype html><title>Tako</title><p>The page is not built. Run <code>make run</code>, or use the API at /v1."
)


class Pages:
    """Serves what was built into `ROOT`, read once at start: it is small, and then nothing on disk can be asked for."""

    def __init__(self, root: Path = ROOT) -> None:
        self._files = {
            f"/{path.relative_to(root).as_posix()}": path.read_bytes() for path in root.rglob("*") if path.is_file()
        }
        self._document = self._files.get("/index.html", _MISSING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            raise NotFound(f"There is no {scope.get('method', '')} {path} here.", code="not_found")
        found = self._files.get(path)
        if found is not None and path != "/index.html":
            kind = _TYPES.get(Path(path).suffix, b"application/octet-stream")
            keep = b"public, max-age=31536000, immutable" if path.startswith("/assets/") else b"no-cache"
            await send_bytes(send, 200, found, kind, (*SECURITY, (b"cache-control", keep)))
            return
        if path.startswith(("/api/", "/v1/", "/assets/")):
            raise NotFound(f"There is no {path} here.", code="not_found")
        await send_bytes(send, 200, self._document, _TYPES[".html"], (*SECURITY, (b"cache-control", b"no-cache")))
