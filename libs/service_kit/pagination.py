"""`page_size` and `page_token` of List methods (AIP-158)."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from libs.service_kit.errors import invalid_field

_DIGEST_BYTES = 12


@dataclass(frozen=True)
class Page:
    """What to list: up to `size` entries (≥ 1) after `cursor`, the service's own position; empty means from
    the start.
    """

    size: int
    cursor: str
    _request_digest: bytes

    def token_after(self, cursor: str) -> str:
        """The `next_page_token` with which the same request goes on after `cursor` (non-empty)."""
        return base64.urlsafe_b64encode(self._request_digest + cursor.encode()).decode().rstrip("=")


def _digest(request: Message) -> bytes:
    """Of everything in the request but the paging itself; the size may change from page to page, the filter
    may not.
    """
    plain = type(request)()
    plain.CopyFrom(request)
    plain.ClearField("page_token")
    plain.ClearField("page_size")
    named = request.DESCRIPTOR.full_name.encode() + b"\0" + plain.SerializeToString(deterministic=True)
    return hashlib.sha256(named).digest()[:_DIGEST_BYTES]


def read_page(request: Any, *, default_size: int = 100, max_size: int = 1000) -> Page:
    """The page a List request asks for. 0 means the default, more than `max_size` is cut to it.

    InvalidArgument on `page_size` if negative, on `page_token` if it is none of ours or of a request with
    other parameters.
    """
    if request.page_size < 0:
        raise invalid_field(
            "page_size", f"{request.page_size} must be 0 (the default) or more", "INVALID_PAGE_SIZE"
        )
    size = min(request.page_size or default_size, max_size)
    digest = _digest(request)
    if not request.page_token:
        return Page(size, "", digest)
    try:
        padded = request.page_token + "=" * (-len(request.page_token) % 4)
        token = base64.b64decode(padded.encode(), altchars=b"-_", validate=True)
        cursor = token[_DIGEST_BYTES:].decode()
    except (binascii.Error, UnicodeError):
        token, cursor = b"", ""
    if not cursor:
        text = f"{request.page_token[:100]!r} must be the next_page_token of this method's last answer"
        raise invalid_field("page_token", text, "INVALID_PAGE_TOKEN")
    if token[:_DIGEST_BYTES] != digest:
        text = "the token belongs to a request with other parameters: keep all but page_size as they were"
        raise invalid_field("page_token", text, "PAGE_TOKEN_OF_ANOTHER_REQUEST")
    return Page(size, cursor, digest)
