"""No password in an address is kept or shown."""

import pytest

from tuning.tracking.secrets import has_secret, hide_secrets


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://ann:s3cret@host:5000", "http://ann:***@host:5000"),
        ("https://ann:p@ss/w0rd@host/path", "https://ann:***@host/path"),
        (
            "postgresql://ann:s3cret@db.example:5432/mlflow",
            "postgresql://ann:***@db.example:5432/mlflow",
        ),
        ("postgresql+psycopg2://ann:s3cret@db/mlflow", "postgresql+psycopg2://ann:***@db/mlflow"),
        ("mysql+pymysql://:s3cret@db/mlflow", "mysql+pymysql://:***@db/mlflow"),
        ("https://tok3n@host", "https://***@host"),
        ("sqlite:///runs.db?password=s3cret&x=1", "sqlite:///runs.db?password=***&x=1"),
        (
            "postgresql://db/mlflow?user=ann&sslpassword=s3cret",
            "postgresql://db/mlflow?user=ann&sslpassword=***",
        ),
    ],
)
def test_a_secret_is_hidden_and_the_rest_can_be_read(uri: str, shown: str) -> None:
    assert hide_secrets(uri) == shown
    assert has_secret(uri)
    command = f"appline vision train --tracking-uri {uri} --epochs 3"
    assert hide_secrets(command) == f"appline vision train --tracking-uri {shown} --epochs 3"
    assert hide_secrets(f"--tracking-uri='{uri}'") == f"--tracking-uri='{shown}'"


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000/#/experiments/1",
        "sqlite:///home/ann/mlruns/mlflow.db",
        "appline vision train --set conv.kernel_size=3 --search train.batch_size=32,64",
        "mail ann@example.com",
        "tokens=word",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide_secrets(text) == text
    assert not has_secret(text)
