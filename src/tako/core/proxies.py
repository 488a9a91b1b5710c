"""Where a request comes from: forwarded headers count only when a proxy that the owner named has sent them."""

import ipaddress
import re
from collections.abc import Sequence

from tako.core.errors import Misconfigured
from tako.core.http import Scope

_WITH_PORT = re.compile(r"(?:\[([^\]]+)\]|([\d.]+))(?::\d+)?\Z")


class Proxies:
    """`networks` are the trusted proxies', as CIDR. Raises `Misconfigured` for what is no network."""

    def __init__(self, networks: Sequence[str]) -> None:
        try:
            self._trusted = [ipaddress.ip_network(network, strict=False) for network in networks]
        except ValueError as error:
            raise Misconfigured(
                f"trusted_proxies: {error}; write networks such as 10.0.0.0/8 or 127.0.0.1/32."
            ) from error

    def client(self, scope: Scope) -> str:
        """The address of the visitor: the nearest hop that is no trusted proxy."""
        peer = _peer(scope)
        hops = _values(scope, b"x-forwarded-for")
        while self._trusts(peer) and hops:
            peer = _plain(hops.pop())
        return peer

    def scheme(self, scope: Scope) -> str:
        """https when the visitor's own connection is encrypted."""
        forwarded = _values(scope, b"x-forwarded-proto")
        if forwarded and self._trusts(_peer(scope)):
            return "https" if forwarded[-1].lower() == "https" else "http"
        return str(scope.get("scheme", "http"))

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def _values(scope: Scope, name: bytes) -> list[str]:
    """All values of a list header, in order. A proxy may add its value as a line of its own: reading only the first
    line would be reading what the visitor made up."""
    lines = [str(value, "latin-1") for key, value in scope["headers"] if key == name]
    return [value.strip() for value in ",".join(lines).split(",") if value.strip()]


def _peer(scope: Scope) -> str:
    return _plain(str(scope["client"][0])) if scope.get("client") else ""


def _plain(address: str) -> str:
    """Without a port (some proxies add one), and IPv4 as IPv4 where a socket for both calls it ::ffff:a.b.c.d."""
    bare = _WITH_PORT.match(address)
    try:
        parsed = ipaddress.ip_address((bare[1] or bare[2]) if bare else address)
    except ValueError:
        return address
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
