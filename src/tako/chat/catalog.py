"""Which models users may choose, and who answers for each."""

from collections.abc import Sequence

from tako.chat.providers.base import Model, Provider
from tako.core.errors import NotFound


class ModelNotFound(NotFound):
    """No provider offers that model."""


class Catalog:
    """The configured providers' models in the owner's order. The first that offers a model id answers for it."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self.providers = tuple(providers)
        self._found: dict[str, tuple[Model, Provider]] = {}
        for provider in providers:
            for model in provider.models():
                self._found.setdefault(model.id, (model, provider))

    def models(self) -> list[Model]:
        return [model for model, _ in self._found.values()]

    def find(self, model_id: str) -> tuple[Model, Provider]:
        """Raises `ModelNotFound`."""
        try:
            return self._found[model_id]
        except KeyError:
            known = ", ".join(list(self._found)[:10]) or "none is configured"
            raise ModelNotFound(
                f"There is no model {model_id[:100]!r} here. Models: {known}.", code="model_not_found", param="model"
            ) from None

    def get(self, model_id: str) -> tuple[Model, Provider] | None:
        return self._found.get(model_id)

    async def close(self) -> None:
        for provider in self.providers:
            await provider.close()
