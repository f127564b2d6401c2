"""Etags (AIP-154): a digest of a resource, and the check of the one a client gives with its change."""

import hashlib

from google.protobuf.message import Message

from libs.service_kit.errors import EtagMismatch


def compute_etag(resource: Message) -> str:
    """16 hex digits; equal resources have equal etags. The field `etag` itself does not count."""
    if "etag" in resource.DESCRIPTOR.fields_by_name:
        plain = type(resource)()
        plain.CopyFrom(resource)
        plain.ClearField("etag")
        resource = plain
    return hashlib.sha256(resource.SerializeToString(deterministic=True)).hexdigest()[:16]


def check_etag(given: str, current: str, resource: str) -> None:
    """EtagMismatch (ABORTED) if the client gave an etag and it is not the current one."""
    if given and given != current:
        raise EtagMismatch(resource, given, current)
