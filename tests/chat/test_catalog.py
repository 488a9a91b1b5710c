"""Who may use which model, in which order, and who answers for it."""

import pytest

from tako.chat.catalog import Catalog, ModelNotFound, Terms
from tako.chat.providers.openai import OpenAIProvider
from tako.chat.providers.settings import ModelSettings, ProviderSettings
from tako.core.accounts.principal import Principal, user_scopes

USER = Principal("user_1", "user", user_scopes(admin=False))
ADMIN = Principal("user_2", "user", user_scopes(admin=True), admin=True)
ADMINS_KEY = Principal("user_2", "api_key", frozenset({"chat"}), admin=True)
SYSTEM = Principal("user_1", "system", frozenset({"chat"}))


def provider(name: str, *models: str, demo: bool = False) -> OpenAIProvider:
    settings = ProviderSettings(name, "http://127.0.0.1:9/v1", tuple(ModelSettings(model) for model in models))
    return OpenAIProvider(settings, demo=demo)


def ids(catalog: Catalog, principal: Principal = USER) -> list[str]:
    return [model.id for model in catalog.models(principal)]


def test_without_an_order_the_file_comes_first_then_the_page_then_the_demo() -> None:
    catalog = Catalog([provider("file", "a", "b"), provider("local", "demo", demo=True)])
    assert ids(catalog) == ["a", "b", "demo"]
    catalog.offer([provider("page", "c")], {})
    assert ids(catalog) == ["a", "b", "c", "demo"]


def test_models_with_a_position_come_first_whatever_they_are() -> None:
    catalog = Catalog([provider("file", "a", "b"), provider("local", "demo", demo=True)])
    catalog.offer([provider("page", "c")], {"demo": Terms(0), "c": Terms(1)})
    assert ids(catalog) == ["demo", "c", "a", "b"]


def test_a_model_for_admins_does_not_exist_for_others() -> None:
    catalog = Catalog([provider("file", "a", "b")])
    catalog.offer((), {"b": Terms(admins_only=True)})
    assert (ids(catalog), ids(catalog, ADMIN), ids(catalog, ADMINS_KEY)) == (["a"], ["a", "b"], ["a", "b"])
    with pytest.raises(ModelNotFound) as refused:
        catalog.find("b", USER)
    assert str(refused.value) == "There is no model 'b' here. Models: a."
    assert catalog.find("b", ADMIN)[0].id == "b"


def test_a_model_that_is_switched_off_is_for_nobody_but_goes_on_with_what_it_began() -> None:
    catalog = Catalog([provider("file", "a")])
    catalog.offer((), {"a": Terms(enabled=False)})
    assert ids(catalog, ADMIN) == []
    with pytest.raises(ModelNotFound):
        catalog.find("a", ADMIN)
    assert catalog.get("a") is not None
    assert not catalog.has_real()


def test_the_site_itself_may_use_every_model_for_its_titles() -> None:
    catalog = Catalog([provider("file", "a", "b")])
    catalog.offer((), {"a": Terms(enabled=False), "b": Terms(admins_only=True)})
    assert [catalog.find(model, SYSTEM)[0].id for model in ("a", "b")] == ["a", "b"]


def test_the_file_answers_for_a_model_that_the_page_has_too() -> None:
    catalog = Catalog([provider("file", "a")])
    catalog.offer([provider("page", "a")], {})
    assert [offer.provider.name for offer in catalog.offers()] == ["file"]


def test_the_demo_alone_is_no_real_model() -> None:
    catalog = Catalog([provider("local", "demo", demo=True)])
    assert not catalog.has_real()
    catalog.offer([provider("page", "a")], {})
    assert catalog.has_real()
