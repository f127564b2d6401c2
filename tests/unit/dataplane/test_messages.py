"""Outputs and dead letters as they are handed to the transaction."""

import hashlib
from dataclasses import dataclass, field
from typing import get_args

import pytest

from libs.codec.framing import VALUE_SCHEMA_ID_HEADER
from libs.dataplane.batches import (
    DeadLetter,
    DeadLetterReason,
    Header,
    MessageBatch,
    OutputBatch,
    ShardIdentity,
)
from libs.dataplane.cluster import TopicLimits, TopicMissingError
from libs.dataplane.messages import KEPT_PREFIX_BYTES, RECORD_OVERHEAD_BYTES, OutputWriter
from sluice.dataplane.v1 import job_spec_pb2
from tests.support.jobs import EVENT_SCHEMA, job_spec
from tests.unit.dataplane.fakes import FakeMessage, header_of

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


@dataclass
class Sent:
    topic: str
    value: bytes | None
    key: bytes | None
    timestamp_ms: int
    headers: list[Header]

    def header(self, name: str) -> bytes | None:
        return dict(self.headers).get(name)

    def size(self) -> int:
        headers = sum(len(name) + len(content or b"") for name, content in self.headers)
        return len(self.value or b"") + len(self.key or b"") + headers


@dataclass
class FakeSink:
    sent: list[Sent] = field(default_factory=list)
    polls: int = 0

    def produce(
        self, topic: str, value: bytes | None, key: bytes | None, timestamp_ms: int, headers: list[Header]
    ) -> None:
        self.sent.append(Sent(topic, value, key, timestamp_ms, headers))

    def poll(self) -> None:
        self.polls += 1


@dataclass
class FakeCluster:
    limits: dict[str, TopicLimits] = field(default_factory=dict)

    def topic_limits(self, topic: str) -> TopicLimits:
        if topic not in self.limits:
            raise TopicMissingError(topic)
        return self.limits[topic]


def writer(
    avro: bool = False, sink: TopicLimits | None = None, dead: TopicLimits | None = None
) -> OutputWriter:
    kind = job_spec_pb2.OUTPUT_FORMAT_AVRO if avro else job_spec_pb2.OUTPUT_FORMAT_JSON
    made = OutputWriter("jobs/one", job_spec("kafka:9092", output_format=kind))
    known = {"out": sink or TopicLimits("out", 1_048_588), "dead": dead or TopicLimits("dead", 1_048_588)}
    made.learn_limits(FakeCluster(known))  # type: ignore[arg-type]
    return made


def write(
    made: OutputWriter,
    message: FakeMessage,
    value: bytes | None = b"row",
    letter: DeadLetter | None = None,
) -> list[Sent]:
    source = MessageBatch(
        ShardIdentity("jobs/one", 1, 0), "reader", [message], [], [], [letter] if letter else []
    )
    rows = [] if value is None else [value]
    sink = FakeSink()
    written = made.write(OutputBatch(source, rows, [0] * len(rows)), sink, NOW_MS)
    assert written.rows + len(written.dead_letters) == len(sink.sent)
    assert written.newest_timestamp_ms == message.time_ms
    assert sink.polls == 1
    return sink.sent


def test_key_timestamp_and_headers_are_carried_over_and_the_schema_header_is_replaced() -> None:
    headers: list[Header] = [("trace", b"1"), header_of(EVENT_SCHEMA), ("trace", None)]
    (sent,) = write(writer(avro=True), FakeMessage(b"in", 7, named=b"k", carried=headers))
    assert (sent.topic, sent.value, sent.key, sent.timestamp_ms) == ("out", b"row", b"k", NOW_MS)
    assert [name for name, _ in sent.headers] == ["trace", "trace", VALUE_SCHEMA_ID_HEADER]
    assert sent.headers[2][1] != header_of(EVENT_SCHEMA)[1]


@pytest.mark.parametrize("carried", [None, [], [header_of(EVENT_SCHEMA)]])
def test_a_json_row_names_no_schema(carried: list[Header] | None) -> None:
    (sent,) = write(writer(), FakeMessage(b"in", carried=carried))
    assert sent.headers == []


@pytest.mark.parametrize("over", [0, 1])
def test_a_row_is_written_up_to_the_topics_limit_and_is_a_dead_letter_above(over: int) -> None:
    limit = TopicLimits("out", 10_000)
    carried: list[Header] = [("name", b"x" * 100)]
    size = 10_000 - RECORD_OVERHEAD_BYTES - len(b"key") - (4 + 100 + 10) + over
    (sent,) = write(writer(sink=limit), FakeMessage(b"in", 5, named=b"key", carried=carried), b"v" * size)
    assert sent.topic == ("dead" if over else "out")
    assert sent.header("sluice-reason") == (b"OUTPUT_TOO_LARGE" if over else None)
    assert sent.value == (b"in" if over else b"v" * size), "a dead letter holds the input"


def test_the_limit_of_the_spec_holds_where_the_topic_would_take_more() -> None:
    (sent,) = write(writer(sink=TopicLimits("out", 50_000_000)), FakeMessage(b"in"), b"v" * 1_000_001)
    assert sent.header("sluice-reason") == b"OUTPUT_TOO_LARGE"


@pytest.mark.parametrize(
    ("time_ms", "topic"),
    [(NOW_MS, "out"), (NOW_MS + 2 * HOUR_MS, "dead"), (NOW_MS - 2 * HOUR_MS, "dead"), (NOW_MS - 1000, "out")],
)
def test_a_timestamp_that_the_sink_would_refuse_makes_a_dead_letter(time_ms: int, topic: str) -> None:
    bounded = TopicLimits("out", 1_000_000, oldest_ms=HOUR_MS, newest_ms=HOUR_MS)
    (sent,) = write(writer(sink=bounded), FakeMessage(b"in", time_ms=time_ms))
    assert sent.topic == topic
    assert sent.timestamp_ms == time_ms


def test_a_dead_letter_whose_timestamp_would_be_refused_says_it_in_a_header() -> None:
    bounded = TopicLimits("dead", 1_000_000, newest_ms=HOUR_MS)
    late = FakeMessage(b"in", time_ms=NOW_MS + 2 * HOUR_MS)
    (sent,) = write(writer(dead=bounded), late, None, DeadLetter(0, "UNDECODABLE", "why"))
    assert sent.timestamp_ms == NOW_MS
    assert sent.header("sluice-timestamp") == str(late.time_ms).encode()


def test_a_compacted_sink_takes_no_row_without_a_key() -> None:
    compacted = TopicLimits("out", 1_000_000, needs_key=True)
    (sent,) = write(writer(sink=compacted), FakeMessage(b"in"))
    assert sent.header("sluice-reason") == b"OUTPUT_REFUSED"
    (sent,) = write(writer(sink=compacted), FakeMessage(b"in", named=b"k"))
    assert sent.topic == "out"


def test_a_dead_letter_holds_the_message_and_says_where_from_and_why() -> None:
    message = FakeMessage(b"bad", 42, 3, named=b"k", carried=[header_of(EVENT_SCHEMA)])
    (sent,) = write(writer(), message, None, DeadLetter(0, "UNDECODABLE", "byte 3: " + "é" * 2000))
    assert (sent.topic, sent.value, sent.key, sent.timestamp_ms) == ("dead", b"bad", b"k", NOW_MS)
    assert sent.headers[0] == header_of(EVENT_SCHEMA)
    assert {name: sent.header(name) for name, _ in sent.headers[1:]} == {
        "sluice-reason": b"UNDECODABLE",
        "sluice-detail": ("byte 3: " + "é" * 2000)[:1000].encode(),
        "sluice-subscription": b"tenants/test/subscriptions/test",
        "sluice-job": b"jobs/one",
        "sluice-topic": b"in",
        "sluice-partition": b"3",
        "sluice-offset": b"42",
    }


def test_a_tombstone_stays_one_as_a_dead_letter() -> None:
    (sent,) = write(writer(), FakeMessage(None), None, DeadLetter(0, "MISSING_SCHEMA_ID", "empty"))
    assert sent.value is None


@pytest.mark.parametrize("limit", [2_000, 20_000, 1_048_588])
def test_what_is_too_large_for_the_dead_letters_is_cut_and_its_digest_kept(limit: int) -> None:
    value = b"0123456789" * 2_000_000
    many: list[Header] = [(f"h{number}", b"x" * 1000) for number in range(100)]
    message = FakeMessage(value, named=b"k" * 100_000, carried=many)
    (sent,) = write(writer(dead=TopicLimits("dead", limit)), message, None, DeadLetter(0, "ROW_ERROR", "why"))
    assert sent.value is not None
    assert value.startswith(sent.value)
    assert len(sent.value) <= KEPT_PREFIX_BYTES
    assert sent.header("sluice-truncated") == hashlib.sha256(value).hexdigest().encode()
    assert sent.size() <= limit


def test_record_batches_are_as_small_as_the_stricter_topic_demands() -> None:
    made = writer(sink=TopicLimits("out", 20_000), dead=TopicLimits("dead", 5_000_000))
    assert made.largest_batch_bytes == 20_000
    assert made.largest_message_bytes == 5_000_000


def test_a_missing_sink_is_said() -> None:
    made = OutputWriter("jobs/one", job_spec("kafka:9092"))
    with pytest.raises(TopicMissingError):
        made.learn_limits(FakeCluster())  # type: ignore[arg-type]


def test_the_reasons_are_those_of_the_documentation() -> None:
    from pathlib import Path

    text = (Path(__file__).parents[3] / "docs" / "dead-letters.md").read_text()
    documented = {
        line.split("`")[1] for line in text.splitlines() if line.startswith("| `") and "`sluice-" not in line
    }
    assert documented == set(get_args(DeadLetterReason))
