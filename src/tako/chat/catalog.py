"""Which models users may choose, and who answers for each. It changes while the site runs."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tako.chat.providers.base import Model, Provider
from tako.core.accounts.principal import Principal
from tako.core.errors import NotFound


class ModelNotFound(NotFound):
    """No provider offers that model, or not to the one who asks."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a model is offered. Those with a position come first."""

    position: int | None = None
    enabled: bool = True
    admins_only: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    model: Model
    provider: Provider
    terms: Terms

    def is_for(self, principal: Principal) -> bool:
        """The site itself may use all, for titles."""
        if principal.kind == "system":
            return True
        return self.terms.enabled and (principal.admin or not self.terms.admins_only)


class Catalog:
    """`configured` are the providers of tako.toml and the local model, which stay; others come and go with `offer`.

    The first provider that has a model id answers for it, the configured ones before the others. What is found stays
    usable for who has found it: a provider that goes closes itself after its last answer.
    """

    def __init__(self, configured: Sequence[Provider]) -> None:
        self.configured = tuple(configured)
        self.added: tuple[Provider, ...] = ()
        self.changing = asyncio.Lock()
        self.slots: Mapping[str, int] = {}
        """By model: answers at once, where that is limited."""
        self._offers: dict[str, Offer] = {}
        self.offer((), {})

    def offer(self, added: Sequence[Provider], terms: Mapping[str, Terms]) -> None:
        """From now on these providers are there besides the configured ones, on these terms by model id."""
        self.added = tuple(added)
        found: dict[str, Offer] = {}
        for provider in (*self.configured, *self.added):
            for model in provider.models():
                found.setdefault(model.id, Offer(model, provider, terms.get(model.id, Terms())))
        self._offers = {offer.model.id: offer for offer in sorted(found.values(), key=_rank)}
        self.slots = {id: offer.model.slots for id, offer in self._offers.items() if offer.model.slots}

    def offers(self) -> list[Offer]:
        """All of them, whoever may use them, in the owner's order."""
        return list(self._offers.values())

    def models(self, principal: Principal) -> list[Model]:
        """Those that `principal` may use, in the owner's order."""
        return [offer.model for offer in self._offers.values() if offer.is_for(principal)]

    def find(self, model_id: str, principal: Principal) -> tuple[Model, Provider]:
        """Raises `ModelNotFound`, also for what others may use."""
        offer = self._offers.get(model_id)
        if offer is not None and offer.is_for(principal):
            return offer.model, offer.provider
        known = ", ".join([model.id for model in self.models(principal)][:10]) or "none is configured"
        raise ModelNotFound(
            f"There is no model {model_id[:100]!r} here. Models: {known}.", code="model_not_found", param="model"
        )

    def get(self, model_id: str) -> tuple[Model, Provider] | None:
        """Whoever may use it: for answers that were begun, and for the site itself."""
        offer = self._offers.get(model_id)
        return (offer.model, offer.provider) if offer else None

    def has(self, model_id: str) -> bool:
        return model_id in self._offers

    def has_real(self) -> bool:
        """Whether there is a model besides the demo."""
        return any(not offer.model.demo for offer in self._offers.values() if offer.terms.enabled)

    async def close(self) -> None:
        for provider in (*self.configured, *self.added):
            await provider.close()


def _rank(offer: Offer) -> tuple[bool, int, bool]:
    """The demo model is what one sees until there is a better one."""
    position = offer.terms.position
    return position is None, position or 0, offer.model.demo
