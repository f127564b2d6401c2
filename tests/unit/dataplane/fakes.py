"""Messages and registries that record what they are asked."""

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from libs.codec.framing import VALUE_SCHEMA_ID_HEADER, Guid, SchemaRef, guid_header
from libs.codec.guid import guid
from libs.dataplane.batches import Header
from libs.dataplane.schemas import Known, Pending, SchemaNotFoundError, Unknown, WriterSchemas


def guid_of(schema: str) -> Guid:
    return Guid(UUID(str(guid(schema))))


def header_of(schema: str) -> Header:
    return VALUE_SCHEMA_ID_HEADER, guid_header(guid_of(schema))


@dataclass
class FakeMessage:
    """A record as the client delivers it."""

    content: bytes | None
    at: int = 0
    of_partition: int = 0
    of_topic: str = "in"
    named: bytes | None = None
    time_ms: int = 1_700_000_000_000
    carried: list[Header] | None = None

    def topic(self) -> str:
        return self.of_topic

    def partition(self) -> int:
        return self.of_partition

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.named

    def value(self) -> bytes | None:
        return self.content

    def timestamp(self) -> tuple[int, int]:
        return 1, self.time_ms

    def headers(self) -> list[Header] | None:
        return self.carried


@dataclass
class FakeClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class AtOnce(Executor):
    """Runs what is submitted before `submit` returns."""

    def __init__(self) -> None:
        self.is_shut_down = False

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args, **kwargs))
        except (LookupError, RuntimeError, ArithmeticError) as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.is_shut_down = True


@dataclass
class FakeRegistry:
    """Answers from `known`; `fails` is raised instead while it is set."""

    known: dict[SchemaRef, str] = field(default_factory=dict)
    fails: Exception | None = None
    asked: list[SchemaRef] = field(default_factory=list)
    closed: bool = False

    def __call__(self, ref: SchemaRef, /) -> str:
        self.asked.append(ref)
        if self.fails is not None:
            raise self.fails
        if ref not in self.known:
            raise SchemaNotFoundError(str(ref))
        return self.known[ref]

    def close(self) -> None:
        self.closed = True


class SettledSchemas(WriterSchemas):
    """What is known of each schema, fixed; those not named are pending."""

    def __init__(self, answers: Mapping[SchemaRef, Known | Unknown | Pending]) -> None:
        super().__init__(FakeRegistry(), FakeClock(), executor=AtOnce())
        self.answers = dict(answers)
        self.wanted: list[SchemaRef] = []

    def get(self, ref: SchemaRef) -> Known | Unknown | Pending:
        self.wanted.append(ref)
        return self.answers.get(ref, Pending())
