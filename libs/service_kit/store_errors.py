"""How the errors of `libs.store` reach a client."""

from datetime import timedelta

from libs.service_kit.error_mapping import register_error_mapping
from libs.service_kit.errors import (
    Aborted,
    AlreadyExists,
    OutOfRange,
    ServiceError,
    Unavailable,
    invalid_field,
)
from libs.store.errors import Compacted, Conflict, MalformedEtag, RequestIdReused, StoreUnavailable
from libs.store.model import ABSENT


def _conflict(error: Conflict) -> ServiceError:
    if error.expected == ABSENT and error.actual_revision is not None:
        return AlreadyExists(error.name)
    found = "deleted" if error.actual_revision is None else "changed"
    return Aborted(
        f"{error.name} was {found} meanwhile: read it again and repeat the change",
        metadata={"resource": error.name},
    )


def _compacted(error: Compacted) -> ServiceError:
    return OutOfRange(
        f"changes up to revision {error.compact_revision} are gone: list again, then watch from there",
        metadata={"compact_revision": str(error.compact_revision)},
    )


def register_store_errors() -> None:
    """Called once by `server`, so that every service has them."""
    register_error_mapping(Conflict, _conflict)
    register_error_mapping(StoreUnavailable, lambda error: Unavailable("the store", timedelta(seconds=1)))
    register_error_mapping(Compacted, _compacted)
    register_error_mapping(
        RequestIdReused,
        lambda error: invalid_field(
            "request_id", f"{error.request_id[:100]!r} was used for another request", "REQUEST_ID_REUSED"
        ),
    )
    register_error_mapping(
        MalformedEtag,
        lambda error: invalid_field(
            "etag", f"{error.etag[:100]!r} must be one that was read", "INVALID_ETAG"
        ),
    )
