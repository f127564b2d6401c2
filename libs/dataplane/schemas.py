"""Writer schemas by the id on each message, from the registry, without ever waiting for it.

NOT_FOUND counts only after it was repeated for a while (a producer may be faster than the registry); an unreachable
registry is never an answer.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from libs.codec.framing import Guid, SchemaId, SchemaRef

# How long a NOT_FOUND is doubted, and how often it is asked again meanwhile.
NOT_FOUND_BOUND_S = 30.0
RETRY_S = 1.0
# A message of an id that was given up may come again after the schema was registered.
GIVEN_UP_S = 300.0


class SchemaNotFoundError(LookupError):
    """The registry answered that it has no such schema."""


class RegistryUnavailableError(RuntimeError):
    """The registry did not answer."""


class SchemaLookup(Protocol):
    """Asks the registry once. Raises SchemaNotFoundError or RegistryUnavailableError."""

    def __call__(self, ref: SchemaRef, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Known:
    """The writer schema's Avro JSON."""

    definition: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The registry insists that there is no such schema."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Not known yet; `unavailable` says why if the registry does not answer."""

    unavailable: str = ""


@dataclass(slots=True)
class _Question:
    future: Future[str] | None = None
    ask_at: float = 0.0
    not_found_since: float | None = None
    given_up_at: float | None = None
    unavailable: str = ""


class WriterSchemas:
    """Answers at once from memory and asks the registry in the background. One per shard, used by one thread."""

    def __init__(self, lookup: SchemaLookup, clock: Callable[[], float] = time.monotonic) -> None:
        self._lookup = lookup
        self._clock = clock
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer-schemas")
        self._known: dict[SchemaRef, Known] = {}
        self._questions: dict[SchemaRef, _Question] = {}

    def get(self, ref: SchemaRef) -> Known | Unknown | Pending:
        """What is known of a schema now; starts or continues asking when it is not known."""
        known = self._known.get(ref)
        if known is not None:
            return known
        question = self._questions.setdefault(ref, _Question())
        now = self._clock()
        if question.given_up_at is not None:
            if now - question.given_up_at < GIVEN_UP_S:
                return Unknown()
            question = self._questions[ref] = _Question()
        if question.future is not None and question.future.done():
            self._take_answer(ref, question, now)
            if ref in self._known:
                return self._known[ref]
            if question.given_up_at is not None:
                return Unknown()
        if question.future is None and now >= question.ask_at:
            question.future = self._executor.submit(self._lookup, ref)
        return Pending(question.unavailable)

    def close(self) -> None:
        """Stop asking."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _take_answer(self, ref: SchemaRef, question: _Question, now: float) -> None:
        assert question.future is not None
        error = question.future.exception()
        if error is None:
            self._known[ref] = Known(question.future.result())
            del self._questions[ref]
            return
        question.future = None
        question.ask_at = now + RETRY_S
        if isinstance(error, SchemaNotFoundError):
            question.unavailable = ""
            question.not_found_since = now if question.not_found_since is None else question.not_found_since
            if now - question.not_found_since >= NOT_FOUND_BOUND_S:
                question.given_up_at = now
        elif isinstance(error, RegistryUnavailableError):
            question.unavailable = str(error)
            question.not_found_since = None
        else:
            raise error


class GrpcSchemaLookup:
    """Asks Sluice's own schema registry."""

    def __init__(self, address: str) -> None:
        # Imported here because only a worker that meets a new schema needs gRPC's client.
        import grpc

        from sluice.schema_registry.v1 import schema_registry_pb2_grpc

        self._channel = grpc.insecure_channel(address)
        self._stub = schema_registry_pb2_grpc.SchemaRegistryServiceStub(self._channel)

    def __call__(self, ref: SchemaRef, /) -> str:
        import grpc

        from sluice.schema_registry.v1 import schema_registry_pb2

        match ref:
            case Guid():
                request = schema_registry_pb2.GetSchemaRequest(guid=str(ref.value))
            case SchemaId():
                request = schema_registry_pb2.GetSchemaRequest(id=ref.value)
        try:
            return self._stub.GetSchema(request, timeout=5.0).schema.definition
        except grpc.RpcError as error:
            code = error.code() if isinstance(error, grpc.Call) else None
            if code is grpc.StatusCode.NOT_FOUND:
                raise SchemaNotFoundError(str(ref.value)) from error
            raise RegistryUnavailableError(f"schema registry: {code.name if code else error}") from error
