"""Passwords and tokens in addresses: never kept, never shown. Imports nothing heavy."""

import base64
import re
from urllib.parse import unquote, urlsplit, urlunsplit

HIDDEN = "***"
# Up to the last @ of a word: an unencoded password may hold @ and / itself.
_USER_AND_PASSWORD = re.compile(r"(\b[a-zA-Z][\w+.-]*://)([^\s'\"/:@]*):([^\s'\"]*)@")
_USER_ALONE = re.compile(r"(\b[a-zA-Z][\w+.-]*://)([^\s'\"/:@*]+)@")
_IN_QUERY = re.compile(
    r"(?i)([?&;](?:password|passwd|pwd|token|secret|key|sslpassword)=)[^&\s'\"]+"
)
_ASSIGNED = re.compile(r"(?i)((?:^|[\s'\"])\w*(?:password|passwd|token|secret)=)[^\s'\"&]+")
# What MLflow reads in place of an address with a password.
INSTEAD = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


def hide_secrets(text: str) -> str:
    """Return `text` with the passwords and tokens of the addresses in it replaced by ***."""
    text = _USER_AND_PASSWORD.sub(rf"\1\2:{HIDDEN}@", text)
    text = _USER_ALONE.sub(rf"\1{HIDDEN}@", text)
    text = _IN_QUERY.sub(rf"\1{HIDDEN}", text)
    return _ASSIGNED.sub(rf"\1{HIDDEN}", text)


def without_credentials(uri: str) -> str:
    """Return an address without user and password, which a browser opens and everyone may see."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def basic_authorization(uri: str) -> str:
    """Return the header `Authorization` for user and password in an address; "" for none."""
    parts = urlsplit(uri)
    if parts.username is None:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def has_secret(uri: str) -> bool:
    """Whether an address holds a password or a token."""
    return hide_secrets(uri) != uri
