"""Writer schemas by the id on each message, from the registry, without ever waiting for it.

NOT_FOUND counts only after it was repeated for a while (a producer may be faster than the registry); an unreachable
registry is never an answer.
"""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from libs.codec.framing import Guid, SchemaId, SchemaRef

# How long a NOT_FOUND is doubted, and how often it is asked again meanwhile.
NOT_FOUND_BOUND_S = 30.0
RETRY_S = 1.0
# A schema that was given up may be registered after all: it is asked for now and then as long as messages name it,
# and an answer older than this counts no more (the registry may have been away since).
ASK_AGAIN_S = 10.0
GIVEN_UP_S = 60.0
# Questions that no message raised for so long are forgotten.
FORGET_S = 300.0
# Questions asked at the same time: a slow answer for one id is no reason to wait for another.
_THREADS = 4


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
    wanted_at: float
    future: Future[str] | None = None
    ask_at: float = 0.0
    not_found_since: float | None = None
    not_found_at: float = 0.0
    unavailable: str = ""


class WriterSchemas:
    """Answers at once from memory and asks the registry in the background. One per shard, used by one thread."""

    def __init__(
        self,
        lookup: SchemaLookup,
        clock: Callable[[], float] = time.monotonic,
        not_found_bound_s: float = NOT_FOUND_BOUND_S,
        executor: Executor | None = None,
    ) -> None:
        self._lookup = lookup
        self._clock = clock
        self._not_found_bound_s = not_found_bound_s
        self._executor = executor or ThreadPoolExecutor(_THREADS, thread_name_prefix="writer-schemas")
        self._known: dict[SchemaRef, Known] = {}
        self._questions: dict[SchemaRef, _Question] = {}

    def get(self, ref: SchemaRef) -> Known | Unknown | Pending:
        """What is known of a schema now; starts or continues asking when it is not known."""
        known = self._known.get(ref)
        if known is not None:
            return known
        now = self._clock()
        question = self._questions.setdefault(ref, _Question(now))
        question.wanted_at = now
        self._tend(ref, question, now)
        if ref in self._known:
            return self._known[ref]
        return Unknown() if self._is_given_up(question, now) else Pending(question.unavailable)

    def tend(self) -> None:
        """Take what the registry answered meanwhile, and ask again what is open; cheap when nothing is."""
        if not self._questions:
            return
        now = self._clock()
        for ref, question in list(self._questions.items()):
            if now - question.wanted_at > FORGET_S:
                del self._questions[ref]
            else:
                self._tend(ref, question, now)

    def close(self) -> None:
        """Stop asking."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        close = getattr(self._lookup, "close", None)
        if close is not None:
            close()

    def _tend(self, ref: SchemaRef, question: _Question, now: float) -> None:
        if question.future is not None and question.future.done():
            self._take_answer(ref, question, now)
            if ref in self._known:
                return
        if question.future is None and now >= question.ask_at:
            question.future = self._executor.submit(self._lookup, ref)

    def _is_given_up(self, question: _Question, now: float) -> bool:
        since, last = question.not_found_since, question.not_found_at
        return since is not None and last - since >= self._not_found_bound_s and now - last < GIVEN_UP_S

    def _take_answer(self, ref: SchemaRef, question: _Question, now: float) -> None:
        assert question.future is not None
        error = question.future.exception()
        if error is None:
            self._known[ref] = Known(question.future.result())
            del self._questions[ref]
            return
        question.future = None
        if isinstance(error, SchemaNotFoundError):
            question.unavailable = ""
            question.not_found_since = now if question.not_found_since is None else question.not_found_since
            question.not_found_at = now
        elif isinstance(error, RegistryUnavailableError):
            question.unavailable = str(error)
            # Nobody could register a schema meanwhile: that time does not count. Once given up, it stays so for long.
            if not self._is_given_up(question, now):
                question.not_found_since = None
        else:
            raise error
        question.ask_at = now + (ASK_AGAIN_S if self._is_given_up(question, now) else RETRY_S)


class GrpcSchemaLookup:
    """Asks Sluice's own schema registry."""

    def __init__(self, address: str) -> None:
        # Imported here because only a worker that meets a new schema needs gRPC's client.
        import grpc

        from sluice.schema_registry.v1 import schema_registry_pb2_grpc

        # gRPC's own back-off grows to two minutes: too long for partitions that wait for a registry that is back.
        options = [("grpc.initial_reconnect_backoff_ms", 500), ("grpc.max_reconnect_backoff_ms", 2000)]
        self._channel = grpc.insecure_channel(address, options=options)
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
            # INVALID_ARGUMENT: an id that no schema can have (0), as the first bytes of garbage may well say.
            if code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                raise SchemaNotFoundError(str(ref.value)) from error
            raise RegistryUnavailableError(f"schema registry: {code.name if code else error}") from error

    def close(self) -> None:
        """Close the connection; a call under way ends as cancelled."""
        self._channel.close()
