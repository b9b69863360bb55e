"""Settings come from the environment, once, and say what is wrong with them."""

from pathlib import Path

import pytest

from cludale.wiring.settings import LogLevel, Settings, SmtpEncryption
from cludale.wiring.variables import UnusableSetting


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_env({"CLUDALE_PORT": "", "CLUDALE_ORGANIZER_KEY": "  "}) == Settings()


def test_every_kind_of_value_is_read() -> None:
    settings = Settings.from_env(
        {
            "CLUDALE_DATA_DIR": "/srv/cludale",
            "CLUDALE_PORT": "9090",
            "CLUDALE_DEMO": "1",
            "CLUDALE_SMTP_ENCRYPTION": "tls",
            "CLUDALE_HOLD_SECONDS": "1.5",
            "CLUDALE_LOG_LEVEL": "debug",
            "CLUDALE_CONCERTS_URL": "http://localhost:8081",
        }
    )
    assert settings.data_dir == Path("/srv/cludale")
    assert settings.port == 9090
    assert settings.demo is True
    assert settings.smtp_encryption is SmtpEncryption.TLS
    assert settings.hold_seconds == 1.5
    assert settings.log_level is LogLevel.DEBUG
    assert settings.concerts_url == "http://localhost:8081"


def test_encryption_to_the_mail_server_is_insisted_on_unless_something_else_is_said() -> None:
    assert Settings().smtp_encryption is SmtpEncryption.STARTTLS


def test_a_password_is_taken_as_it_stands() -> None:
    assert Settings.from_env({"CLUDALE_SMTP_PASSWORD": "null"}).smtp_password == "null"
    assert Settings.from_env({"CLUDALE_SMTP_USER": "1"}).smtp_user == "1"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CLUDALE_PORT", "http", "a whole number is wanted"),
        ("CLUDALE_PORT", "65536", "<= 65535"),
        ("CLUDALE_HOLD_SECONDS", "0", "> 0"),
        ("CLUDALE_HOLD_SECONDS", "nan", "> 0"),
        ("CLUDALE_HOLD_SECONDS", "inf", "<="),
        ("CLUDALE_HOLD_SECONDS", "soon", "a number is wanted"),
        ("CLUDALE_DEMO", "perhaps", "1 or 0 is wanted"),
        ("CLUDALE_LOG_LEVEL", "loud", "debug, info, warning or error is wanted"),
        ("CLUDALE_SMTP_ENCRYPTION", "ssl", "none, starttls or tls is wanted"),
        ("CLUDALE_SMTP_ENCRYPTION", "TLS", "none, starttls or tls is wanted"),
        ("CLUDALE_ORDERS_URL", "localhost", "https?"),
        ("CLUDALE_DATABASE_URL", "mysql://db/x", "postgresql://user:password@host:5432/name"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(variable: str, value: str, said: str) -> None:
    with pytest.raises(UnusableSetting) as refusal:
        Settings.from_env({variable: value})
    assert variable in str(refusal.value)
    assert said in str(refusal.value)


def test_a_secret_that_cannot_be_used_is_not_printed() -> None:
    with pytest.raises(UnusableSetting) as refusal:
        Settings.from_env({"CLUDALE_ORGANIZER_KEY": "two words"})
    assert "two words" not in str(refusal.value)


def test_every_setting_is_explained_and_secrets_are_masked() -> None:
    settings = Settings(organizer_key="open-sesame", smtp_password="swordfish")
    explained = {each.variable: each for each in settings.explained()}
    assert len(explained) == len(settings.__struct_fields__)
    assert all(each.meaning for each in explained.values())
    assert explained["CLUDALE_ORGANIZER_KEY"].value == "****"
    assert explained["CLUDALE_SMTP_PASSWORD"].value == "****"
    assert explained["CLUDALE_HOLD_SECONDS"].default == "600"


def test_a_misspelt_variable_is_found_with_the_one_meant() -> None:
    assert Settings.unknown({"CLUDALE_HOLD_SECOND": "5", "CLUDALE_PORT": "1", "HOME": "/"}) == {
        "CLUDALE_HOLD_SECOND": "CLUDALE_HOLD_SECONDS"
    }
