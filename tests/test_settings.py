"""Settings: four sources in one order, and every mistake names its place and the way out."""

from pathlib import Path

import pytest

from tako.core.errors import Misconfigured
from tako.core.site.settings import KEYS
from tako.settings import ON_THE_PAGE, Described, Loaded, Settings, describe, fixed, load


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(text: str, name: str = "tako.toml") -> Path:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def described(loaded: Loaded) -> dict[str, Described]:
    return {setting.name: setting for setting in describe(loaded)}


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default() -> None:
    written('port = 1\nhost = "from.file"\nlease = 3')
    loaded = load({"port": 3}, {"TAKO_PORT": "2", "TAKO_HOST": "from.variable"})
    settings = loaded.settings
    assert (settings.port, settings.host, settings.lease, settings.heartbeat) == (3, "from.variable", 3.0, 20.0)
    assert [loaded.sources[key] for key in ("port", "host", "lease", "heartbeat")] == [
        "--port",
        "TAKO_HOST",
        "tako.toml",
        "default",
    ]


def test_a_flag_that_was_not_given_says_nothing() -> None:
    assert load({"port": None}, {"TAKO_PORT": "2"}).settings.port == 2


def test_the_file_is_the_named_one_else_the_one_here_else_the_one_beside_the_data() -> None:
    written("port = 3", "data/tako.toml")
    assert load({}, {}).settings.port == 3
    written("port = 2")
    assert load({}, {}).settings.port == 2
    variable = {"TAKO_CONFIG": str(written("port = 1", "other.toml"))}
    assert load({}, variable).settings.port == 1
    assert load({}, variable, written("port = 0", "flag.toml")).settings.port == 0


def test_a_named_file_must_be_there() -> None:
    with pytest.raises(Misconfigured, match=r"missing\.toml"):
        load({}, {}, Path("missing.toml"))


def test_the_database_is_a_file_in_the_data_folder_unless_it_is_named() -> None:
    assert load({"data": Path("/srv/tako")}, {}).settings.database == "sqlite:////srv/tako/tako.db"
    url = "postgresql://tako@db/tako"
    assert load({}, {"TAKO_DATABASE_URL": url}).settings.database == url


def test_an_empty_variable_is_as_good_as_none() -> None:
    """Compose files pass variables on that nobody has set."""
    settings = load({}, {"TAKO_DATABASE_URL": "", "TAKO_PUBLIC_URL": "", "TAKO_CONFIG": ""}).settings
    assert (settings.database_url, settings.public_url) == (None, None)


def test_the_plan_of_a_migration_is_a_path_and_its_passwords_are_no_settings() -> None:
    """`tako ferry` reads these itself, and both may have one environment."""
    passwords = {"TAKO_FERRY_SOURCE_PASSWORD": "s3cret", "TAKO_FERRY_TARGET_PASSWORD": "s3cret"}
    loaded = load({}, {"TAKO_FERRY_PLAN": "/srv/plan.json", **passwords})
    assert loaded.settings.ferry_plan == Path("/srv/plan.json")
    assert described(loaded)["ferry_plan"].value == "/srv/plan.json"
    assert load({}, {"TAKO_FERRY_PLAN": ""}).settings.ferry_plan is None
    assert "s3cret" not in str(describe(loaded))


def test_tables_are_handed_on_as_they_are() -> None:
    written('[[providers]]\nname = "a"\napi_key = "s3cret"\n[[providers]]\nname = "b"\n[local]\nenabled = false')
    loaded = load({}, {})
    assert [table["name"] for table in loaded.settings.providers] == ["a", "b"]
    assert loaded.settings.local == {"enabled": False}
    assert described(loaded)["providers"].value == ["a", "b"]
    assert "s3cret" not in str(describe(loaded))


def test_lists_are_split_at_commas_in_variables() -> None:
    assert load({}, {"TAKO_TRUSTED_PROXIES": "10.0.0.0/8, ::1/128"}).settings.trusted_proxies == (
        "10.0.0.0/8",
        "::1/128",
    )
    written('trusted_proxies = ["10.0.0.0/8"]')
    assert load({}, {}).settings.trusted_proxies == ("10.0.0.0/8",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "'prot'.*tako.toml.*'port'"),
        ('port = "x"', "tako.toml: port must be a whole number, not 'x'"),
        ("port = 1.5", "port must be a whole number"),
        ("port = true", "port must be a number"),
        ("port = -1", "port must be from 0 to 65535"),
        ("port = 70000", "port must be from 0 to 65535"),
        ("lease = 0", "lease must be from"),
        ("lease = nan", "lease must be from"),
        ("lease = inf", "lease must be from"),
        ("session_days = 0", "session_days must be from 1"),
        ("host = 1", "host must be a string, not 1"),
        ('registration = "all"', "registration must be one of open, invite, closed, not 'all'"),
        ("registration = 1", "registration must be one of open, invite, closed"),
        ('trusted_proxies = "10.0.0.0/8"', "trusted_proxies must be a list of strings"),
        ('public_url = "www.example.org"', "public_url must look like https://www.example.org"),
        ('public_url = "https://example.org/tako"', "without a path"),
        ("providers = 1", r"\[\[providers\]\]"),
        ("local = 1", r"\[local\]"),
        ("port =", "tako.toml is not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_names_file_key_and_what_was_expected(text: str, said: str) -> None:
    written(text)
    with pytest.raises(Misconfigured, match=said):
        load({}, {})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("TAKO_PROT", "1", "'prot'.*TAKO_PROT.*'TAKO_PORT'"),
        ("TAKO_PORT", "eighty", "TAKO_PORT must be a whole number, not 'eighty'"),
        ("TAKO_LEASE", "soon", "TAKO_LEASE must be a number, not 'soon'"),
        ("TAKO_LOG_LEVEL", "loud", "TAKO_LOG_LEVEL must be one of debug, info, warning, error"),
        ("TAKO_PROVIDERS", "x", "TAKO_PROVIDERS"),
        ("TAKO_METRICS_TOKEN", "hunter2", "TAKO_METRICS_TOKEN can be guessed"),
        ("TAKO_OTLP_ENDPOINT", "collector:4317", "TAKO_OTLP_ENDPOINT must look like http://127.0.0.1:4318"),
    ],
)
def test_a_mistake_in_a_variable_names_it(name: str, text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        load({}, {name: text})


def test_a_mistake_in_a_flag_names_it() -> None:
    with pytest.raises(Misconfigured, match="--port must be from 0 to 65535"):
        load({"port": 70000}, {})


def test_other_programs_variables_are_none_of_ours() -> None:
    assert load({}, {"PATH": "/bin", "TAKOYAKI": "8"}).settings == Settings()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://tako:s3cret@db.example:5432/tako",
        "postgresql://tako:s3c@s3cret@db.example:5432/tako",
        "postgresql://tako:s/3cret@db.example:5432/tako",
        "postgresql://db.example:5432/tako?user=tako&password=s3cret",
    ],
)
def test_the_databases_password_is_not_shown(url: str) -> None:
    shown = described(load({}, {"TAKO_DATABASE_URL": url}))["database_url"]
    assert "3cret" not in str(shown.value)
    assert "db.example:5432/tako" in str(shown.value)
    assert shown.source == "TAKO_DATABASE_URL"


def test_the_token_for_metrics_is_not_shown() -> None:
    shown = described(load({}, {"TAKO_METRICS_TOKEN": "sixteen-or-more-characters"}))["metrics_token"]
    assert shown.value == "***"


def test_every_setting_has_a_help_text() -> None:
    for setting in describe(load({}, {})):
        assert setting.help.endswith(".") or setting.help.endswith(")")
        assert setting.source == "default"


def test_public_addresses_are_kept_as_browsers_write_them() -> None:
    assert load({}, {"TAKO_PUBLIC_URL": "HTTPS://WWW.Example.org/"}).settings.public_url == "https://www.example.org"


def test_what_the_page_may_change_is_fixed_where_something_else_sets_it() -> None:
    written('site_name = "Mine"')
    loaded = load({"registration": "open"}, {"TAKO_DAILY_TOKENS": "5"})
    assert fixed(loaded) == {
        "site_name": "tako.toml",
        "registration": "--registration",
        "daily_tokens": "TAKO_DAILY_TOKENS",
    }
    assert set(ON_THE_PAGE) == set(KEYS)


def test_a_choice_of_the_page_is_shown_as_such_and_as_hidden_where_something_else_wins() -> None:
    written('site_name = "Mine"')
    page = {"site_name": "Page", "daily_tokens": 5}
    seen = {setting.name: setting for setting in describe(load({}, {}), page)}
    assert (seen["site_name"].value, seen["site_name"].source, seen["site_name"].hidden) == (
        "Mine",
        "tako.toml",
        "Page",
    )
    assert (seen["daily_tokens"].value, seen["daily_tokens"].source, seen["daily_tokens"].hidden) == (5, "page", None)
    assert (seen["registration"].source, seen["registration"].hidden) == ("default", None)
