"""Forwarded headers count only from proxies that the owner named."""

import pytest

from tako.core.errors import Misconfigured
from tako.core.http import Scope
from tako.core.proxies import Proxies


def request(peer: str | None, *headers: tuple[str, str], scheme: str = "http") -> Scope:
    return {
        "client": (peer, 1) if peer else None,
        "scheme": scheme,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


PROXIES = Proxies(["10.0.0.0/8", "fd00::/8"])


def test_a_strangers_headers_are_ignored() -> None:
    scope = request("203.0.113.9", ("x-forwarded-for", "10.0.0.1"), ("x-forwarded-proto", "https"))
    assert (PROXIES.client(scope), PROXIES.scheme(scope)) == ("203.0.113.9", "http")


def test_the_nearest_hop_that_is_no_proxy_is_the_visitor() -> None:
    scope = request("10.0.0.1", ("x-forwarded-for", "192.0.2.66, 203.0.113.9, 10.0.0.2"))
    assert PROXIES.client(scope) == "203.0.113.9"


def test_what_the_visitor_made_up_in_a_header_line_of_its_own_does_not_count() -> None:
    """nginx and HAProxy append to the line or add one of their own; both must be read."""
    scope = request("10.0.0.1", ("x-forwarded-for", "192.0.2.66"), ("x-forwarded-for", "203.0.113.9"))
    assert PROXIES.client(scope) == "203.0.113.9"
    scope = request("10.0.0.1", ("x-forwarded-proto", "https"), ("x-forwarded-proto", "http"))
    assert PROXIES.scheme(scope) == "http"


def test_a_request_of_the_proxy_itself_is_the_proxys() -> None:
    assert PROXIES.client(request("10.0.0.1")) == "10.0.0.1"
    assert PROXIES.client(request("10.0.0.1", ("x-forwarded-for", "10.0.0.7"))) == "10.0.0.7"


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("unknown", "unknown"),
    ],
)
def test_an_address_has_one_spelling(hop: str, address: str) -> None:
    assert PROXIES.client(request("fd00::1", ("x-forwarded-for", hop))) == address


def test_an_ipv4_proxy_on_a_socket_for_both_is_trusted() -> None:
    scope = request("::ffff:10.0.0.1", ("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https"))
    assert (PROXIES.client(scope), PROXIES.scheme(scope)) == ("203.0.113.9", "https")


def test_a_unix_socket_has_no_address() -> None:
    assert PROXIES.client(request(None, ("x-forwarded-for", "203.0.113.9"))) == ""


def test_our_own_tls_is_https() -> None:
    assert PROXIES.scheme(request("203.0.113.9", scheme="https")) == "https"


def test_a_proxy_that_is_no_network_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"trusted_proxies.*10\.0\.0\.0/8"):
        Proxies(["proxy.example"])
