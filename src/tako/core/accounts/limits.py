"""How often a wrong password may be tried: per account and per address, in this process's memory, of bounded size."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from tako.core.errors import TooMany

WINDOW = 900.0
PER_ACCOUNT = 10
PER_ADDRESS = 30
REMEMBERED = 20_000


class SignInLimit:
    """A sliding window of failures, of at most `REMEMBERED` accounts and addresses.

    An attempt counts as failed from its beginning until it succeeds: were it counted at its end, two hundred guesses
    sent at once would all be let through.

    While an account is locked its right password is refused like any other. Otherwise the lock would stop nobody: a
    guesser would just go on and be told when the guess is right. Who is locked out by somebody else's guessing keeps
    the sessions they have, can sign in after `WINDOW` seconds at the latest, or at once after a restart.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def attempt(self, address: str, account: str | None = None) -> None:
        """Count an attempt. Raises `TooMany` with the seconds to wait, and then counts nothing."""
        names = _names(address, account)
        for name, most in names:
            recent = self._recent(name)
            if len(recent) >= most:
                wait = max(1.0, recent[0] + WINDOW - self._clock())
                raise TooMany(
                    f"Too many attempts. Try again in {-(-wait // 60):.0f} min.",
                    code="too_many_attempts",
                    retry_after=wait,
                )
        for name, _ in names:
            self._failures[name] = [*self._recent(name), self._clock()]
            self._failures.move_to_end(name)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, address: str, account: str | None = None) -> None:
        """The attempt was none of a guesser. Its account starts afresh; of its address only this attempt is forgotten,
        or a guesser could wash the address clean with an account of their own."""
        if account is not None:
            self._failures.pop(_account(account), None)
        name = _network(address)
        earlier = self._failures.pop(name, [])[:-1]
        if earlier:
            self._failures[name] = earlier

    def __len__(self) -> int:
        return len(self._failures)

    def _recent(self, name: str) -> list[float]:
        oldest = self._clock() - WINDOW
        return [at for at in self._failures.get(name, ()) if at > oldest]


def _names(address: str, account: str | None) -> list[tuple[str, int]]:
    by_address = (_network(address), PER_ADDRESS)
    return [by_address] if account is None else [(_account(account), PER_ACCOUNT), by_address]


def _account(account: str) -> str:
    return f"account {account}"


def _network(address: str) -> str:
    """An IPv6 customer has a whole /64 to try from."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address}"
    return f"address {ipaddress.ip_network((parsed, 64), strict=False) if parsed.version == 6 else parsed}"
