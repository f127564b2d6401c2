"""State of one service: records with revisions, committed together with the events that tell of them.

`ports.Store` is the contract; `RedisStore` keeps it on Redis, `MemoryStore` in memory. `Collection` reads and
writes one resource type, `Mutations` makes requests repeatable by their `request_id`.
"""

from libs.store.collection import Collection, Stored, StoredPage
from libs.store.errors import (
    Compacted,
    Conflict,
    MalformedEtag,
    RequestIdReused,
    StoreError,
    StoreUnavailable,
)
from libs.store.events import new_event
from libs.store.memory_server import MemoryServer
from libs.store.memory_store import MemoryStore
from libs.store.model import (
    ABSENT,
    ANYTHING,
    AtRevision,
    Changed,
    Commit,
    Delete,
    Expectation,
    Notification,
    Page,
    Progress,
    Put,
    Record,
    Write,
    etag_of,
    expectation_of,
    utc_now,
)
from libs.store.mutations import Mutation, Mutations, Outcome
from libs.store.ports import Clock, Store
from libs.store.redis_client import connect
from libs.store.redis_store import RedisStore

__all__ = [
    "ABSENT",
    "ANYTHING",
    "AtRevision",
    "Changed",
    "Clock",
    "Collection",
    "Commit",
    "Compacted",
    "Conflict",
    "Delete",
    "Expectation",
    "MalformedEtag",
    "MemoryServer",
    "MemoryStore",
    "Mutation",
    "Mutations",
    "Notification",
    "Outcome",
    "Page",
    "Progress",
    "Put",
    "Record",
    "RedisStore",
    "RequestIdReused",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Stored",
    "StoredPage",
    "Write",
    "connect",
    "etag_of",
    "expectation_of",
    "new_event",
    "utc_now",
]
