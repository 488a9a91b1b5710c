"""How often a wrong password may be tried: per account and per address, in this process's memory, of bounded size."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from tako.core.errors import TooMany

WINDOW = 900.0
PER_ACCOUNT = 10
PER_ADDRESS = 30
_REMEMBERED = 20_000


class SignInLimit:
    """Counts failures only. A right password is refused as well while its account is locked: otherwise the lock
    would tell a guesser nothing it needs, and stop nobody."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, account: str, address: str) -> None:
        """Raises `TooMany` with the seconds to wait."""
        for name, most in ((f"account {account}", PER_ACCOUNT), (f"address {_network(address)}", PER_ADDRESS)):
            recent = self._recent(name)
            if len(recent) >= most:
                wait = WINDOW - (self._clock() - recent[0])
                raise TooMany(
                    f"Too many attempts. Try again in {max(1, round(wait / 60))} minutes.",
                    code="too_many_attempts",
                    retry_after=wait,
                )

    def failed(self, account: str, address: str) -> None:
        for name in (f"account {account}", f"address {_network(address)}"):
            self._failures[name] = [*self._recent(name), self._clock()]
            self._failures.move_to_end(name)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, account: str) -> None:
        self._failures.pop(f"account {account}", None)

    def _recent(self, name: str) -> list[float]:
        oldest = self._clock() - WINDOW
        return [at for at in self._failures.get(name, ()) if at > oldest]


def _network(address: str) -> str:
    """An IPv6 customer has a whole /64 to try from."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
