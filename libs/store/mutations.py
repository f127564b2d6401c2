"""Mutations that a client may repeat: one `request_id`, one effect, the same response (AIP-155)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from google.protobuf.message import Message

from libs.store.errors import RequestIdReused
from libs.store.model import ABSENT, Put, Record, Write, utc_now
from libs.store.ports import Clock, Store
from sluice.event.v1 import event_pb2

ResponseT = TypeVar("ResponseT", bound=Message)

REQUEST_LIFETIME = timedelta(days=1)
_PREFIX = ".requests/"
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Mutation(Generic[ResponseT]):
    """What a request wants committed, and the response that tells of it (without the etag: see Outcome)."""

    writes: Sequence[Write]
    events: Sequence[event_pb2.Event]
    response: ResponseT


@dataclass(frozen=True, slots=True)
class Outcome(Generic[ResponseT]):
    """The response of this or the first time.

    `revision` is the commit's, from which the servicer makes the etag.
    """

    response: ResponseT
    revision: int
    replayed: bool


class Mutations:
    """Commits mutations and remembers their responses for a day, in the same atomic step."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store = store
        self._clock = clock

    async def run(
        self,
        request_id: str,
        request: Message,
        response_type: type[ResponseT],
        decide: Callable[[], Awaitable[Mutation[ResponseT]]],
    ) -> Outcome[ResponseT]:
        """Commit what `decide` returns, unless `request_id` (may be empty: never remembered) was answered
        before.

        `decide` may read the store and raise; it must change nothing by itself. Raises RequestIdReused if the
        id belongs to another request, and what `decide` and `Store.commit` raise.
        """
        if not request_id:
            mutation = await decide()
            commit = await self._store.commit(mutation.writes, mutation.events)
            return Outcome(mutation.response, commit.revision, replayed=False)
        digest = _digest(request)
        answered = await self._find(request_id, digest, response_type)
        if answered is not None:
            return answered
        try:
            mutation = await decide()
            remembered = Put(
                name=_PREFIX + request_id,
                value=digest + mutation.response.SerializeToString(deterministic=True),
                expect=ABSENT,
                expires_at=self._clock() + REQUEST_LIFETIME,
            )
            commit = await self._store.commit([remembered, *mutation.writes], mutation.events)
        except Exception:
            # The same request, running at the same time, may have been first; then this one's failure is its
            # doing.
            answered = await self._find(request_id, digest, response_type)
            if answered is not None:
                return answered
            raise
        return Outcome(mutation.response, commit.revision, replayed=False)

    async def _find(
        self, request_id: str, digest: bytes, response_type: type[ResponseT]
    ) -> Outcome[ResponseT] | None:
        record: Record | None = await self._store.get(_PREFIX + request_id)
        if record is None:
            return None
        if record.value[:_DIGEST_BYTES] != digest:
            raise RequestIdReused(request_id)
        response = response_type.FromString(record.value[_DIGEST_BYTES:])
        return Outcome(response, record.revision, replayed=True)


def _digest(request: Message) -> bytes:
    content = request.DESCRIPTOR.full_name.encode() + b"\0" + request.SerializeToString(deterministic=True)
    return hashlib.sha256(content).digest()
