"""Secrets that are shown once and stored as hashes. They are random, so a plain SHA-256 suffices."""

import hashlib
import secrets

KEY_PREFIX = "sk-tako-"


def new_token() -> str:
    return secrets.token_urlsafe(32)


def new_key() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def hint(key: str) -> str:
    """Enough of a key to tell it from others."""
    return f"{key[:12]}…{key[-4:]}"
