"""Addresses without secrets."""

import re


def without_password(text: str) -> str:
    """Remove user and password from URLs, so that a store's address can be saved and printed."""
    return re.sub(r"//[^/@\s]*@", "//…@", text)
