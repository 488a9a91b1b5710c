"""Where a request comes from: forwarded headers count only when a proxy that the owner named has sent them."""

import ipaddress
from collections.abc import Sequence

from tako.core.errors import Misconfigured
from tako.core.http import Scope, header


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
        peer = scope["client"][0] if scope.get("client") else ""
        hops = [hop.strip() for hop in (header(scope, b"x-forwarded-for") or "").split(",") if hop.strip()]
        while self._trusts(peer) and hops:
            peer = hops.pop()
        return str(peer)

    def scheme(self, scope: Scope) -> str:
        """https when the visitor's own connection is encrypted."""
        forwarded = header(scope, b"x-forwarded-proto")
        if forwarded and self._trusts(scope["client"][0] if scope.get("client") else ""):
            return "https" if forwarded.split(",")[-1].strip().lower() == "https" else "http"
        return str(scope.get("scheme", "http"))

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)
