"""Bad messages go to the dead letters, outages stall, and everything else arrives."""

import hashlib
import json
import uuid
from typing import Any

import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource  # type: ignore[attr-defined]

from deploy.local import LocalStack
from libs.codec.framing import VALUE_SCHEMA_ID_HEADER, Guid, SchemaId, SchemaRef, guid_header, id_prefix
from libs.dataplane.schemas import RegistryUnavailableError, SchemaNotFoundError
from sluice.dataplane.v1 import job_spec_pb2, report_pb2
from tests.support.jobs import (
    EVENT_SCHEMA,
    create_topics,
    encode_event,
    job_spec,
    produce_events,
    read_topic,
    schema_header,
)
from tests.support.shard import RunningShard, lookup_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

SQL = "SELECT number, 100 / number AS q FROM events"
MEBIBYTE = 1 << 20


def event(number: int) -> bytes:
    return encode_event({"number": number, "action": "allow", "note": None})


class World:
    """`<name>-in` with three partitions, `<name>-out` and `<name>-dead` with one."""

    def __init__(self, kafka: LocalStack, name: str, sql: str = SQL, **options: Any) -> None:
        self.bootstrap, self.name = kafka.kafka_bootstrap, name
        create_topics(self.bootstrap, {f"{name}-in": 3}, {"max.message.bytes": str(32 * MEBIBYTE)})
        create_topics(self.bootstrap, {f"{name}-out": 1, f"{name}-dead": 1})
        self.spec = job_spec(self.bootstrap, topics=[f"{name}-in"], sink=f"{name}-out", sql=sql, **options)
        self.spec.dead_letters.topic = f"{name}-dead"
        self.producer = Producer({"bootstrap.servers": self.bootstrap, "message.max.bytes": 32 * MEBIBYTE})
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap})

    def shard(self, lookup: Any = None, **options: Any) -> RunningShard:
        return RunningShard(f"jobs/{self.name}", self.spec, lookup or lookup_of(EVENT_SCHEMA), **options)

    def send(self, value: bytes | None, partition: int = 0, **options: Any) -> None:
        options.setdefault("headers", [schema_header()])
        self.producer.produce(f"{self.name}-in", value, partition=partition, **options)
        self.producer.flush(30)

    def rows(self) -> list[Message]:
        return read_topic(self.bootstrap, f"{self.name}-out")

    def numbers(self) -> list[int]:
        return [json.loads(message.value() or b"")["number"] for message in self.rows()]

    def dead(self) -> list[tuple[Message, dict[str, str]]]:
        return [(message, _described(message)) for message in read_topic(self.bootstrap, f"{self.name}-dead")]


def _described(message: Message) -> dict[str, str]:
    """The headers that Sluice added."""
    headers: Any = message.headers() or []
    return {name: value.decode() for name, value in headers if name.startswith("sluice-")}


def test_each_kind_of_bad_message_is_a_dead_letter_with_its_reason_and_the_rest_arrives(
    kafka: LocalStack,
) -> None:
    world = World(kafka, "kinds")
    unknown = VALUE_SCHEMA_ID_HEADER, guid_header(Guid(uuid.uuid4()))
    world.send(event(1))
    world.send(b"\xff\xff garbage")
    world.send(event(2)[:-1])
    world.send(event(4), headers=[])
    world.send(None)
    world.send(None, headers=[])
    world.send(event(5), headers=[unknown])
    world.send(id_prefix(SchemaId(0)) + b"zero", headers=[])
    world.send(event(0))
    world.send(event(10), key=b"k", timestamp=1_700_000_000_000)
    with world.shard(not_found_bound_s=2.0) as shard:
        shard.wait_for_rows(2)
        eventually(lambda: sum(shard.session.counters.dead_letters.values()) == 8, 20, "eight dead letters")
        reported = {count.reason: count.count for count in shard.reports.last.dead_letters}
    assert world.numbers() == [1, 10]
    letters = {int(headers["sluice-offset"]): headers["sluice-reason"] for _, headers in world.dead()}
    assert letters == {
        1: "UNDECODABLE",
        2: "UNDECODABLE",
        3: "MISSING_SCHEMA_ID",
        4: "UNDECODABLE",
        5: "MISSING_SCHEMA_ID",
        6: "UNKNOWN_WRITER_SCHEMA",
        7: "UNKNOWN_WRITER_SCHEMA",
        8: "ROW_ERROR",
    }
    assert set(reported) <= set(letters.values())


def test_waits_for_unknown_schemas_do_not_add_up(kafka: LocalStack) -> None:
    world = World(kafka, "addup")
    for schema_id in range(1, 31):
        world.send(id_prefix(SchemaId(schema_id)) + b"junk", headers=[])
    world.send(event(1))
    with world.shard(not_found_bound_s=2.0) as shard:
        shard.wait_for_rows(1, 20)
        assert shard.session.counters.dead_letters == {"UNKNOWN_WRITER_SCHEMA": 30}


def test_an_absent_registry_stalls_only_the_partitions_that_need_it(kafka: LocalStack) -> None:
    world = World(kafka, "absent")
    away = True

    def lookup(ref: SchemaRef, /) -> str:
        if ref == SchemaId(7) and away:
            raise RegistryUnavailableError("schema registry: UNAVAILABLE")
        if ref == SchemaId(7):
            return EVENT_SCHEMA
        return lookup_of(EVENT_SCHEMA)(ref)

    world.send(event(1), partition=0)
    world.send(id_prefix(SchemaId(7)) + event(2), partition=0, headers=[])
    world.send(event(4), partition=0)
    world.send(event(5), partition=1)
    with world.shard(lookup, not_found_bound_s=0.1) as shard:
        shard.wait_for_rows(2)
        shard.wait_for_error("REGISTRY_UNAVAILABLE")
        world.send(event(10), partition=1)
        shard.wait_for_rows(3)
        assert sorted(world.numbers()) == [1, 5, 10]
        away = False
        shard.wait_for_rows(5)
        eventually(lambda: not shard.reports.last.error.reason, 10, "it is well again")
    assert [number for number in world.numbers() if number in (1, 2, 4)] == [1, 2, 4]
    assert world.dead() == []


def test_a_schema_registered_after_its_first_event_is_waited_for(kafka: LocalStack) -> None:
    world = World(kafka, "slowreg")
    answers = iter([SchemaNotFoundError("9")] * 2)

    def lookup(ref: SchemaRef, /) -> str:
        if ref == SchemaId(9) and (error := next(answers, None)):
            raise error
        return EVENT_SCHEMA

    world.send(id_prefix(SchemaId(9)) + event(3), headers=[])
    with world.shard(lookup) as shard:
        shard.wait_for_rows(1)
    assert world.dead() == []


def test_a_huge_message_becomes_a_truncated_dead_letter_or_a_row_and_the_job_goes_on(
    kafka: LocalStack,
) -> None:
    world = World(kafka, "huge", sql="SELECT number, note FROM events")
    garbage = b"\xff" * (20 * MEBIBYTE)
    huge = encode_event({"number": 2, "action": "allow", "note": "x" * (20 * MEBIBYTE)})
    world.send(garbage)
    world.send(huge)
    world.send(event(3))
    with world.shard() as shard:
        shard.wait_for_rows(1, 60)
    assert world.numbers() == [3]
    letters = world.dead()
    assert [headers["sluice-reason"] for _, headers in letters] == ["UNDECODABLE", "OUTPUT_TOO_LARGE"]
    for (message, headers), value in zip(letters, (garbage, huge), strict=True):
        assert headers["sluice-truncated"] == hashlib.sha256(value).hexdigest()
        assert value.startswith(message.value() or b"-")


def test_a_statement_that_leaves_the_huge_field_out_makes_a_row_of_it(kafka: LocalStack) -> None:
    world = World(kafka, "pruned", sql="SELECT number FROM events")
    world.send(encode_event({"number": 2, "action": "allow", "note": "x" * (20 * MEBIBYTE)}))
    with world.shard() as shard:
        shard.wait_for_rows(1, 60)
    assert world.numbers() == [2]


def test_many_rows_fit_a_sink_that_takes_small_record_batches_only(kafka: LocalStack) -> None:
    world = World(kafka, "small", sql="SELECT number FROM events")
    create_topics(world.bootstrap, {"small-sink": 1}, {"max.message.bytes": "5000"})
    world.spec.outputs[0].sink.topic = "small-sink"
    produce_events(world.producer, "small-in", range(3000), 3)
    with world.shard() as shard:
        shard.wait_for_rows(3000)
        assert not any(report.error.reason for report in shard.reports.all)
    assert len(read_topic(world.bootstrap, "small-sink")) == 3000


def test_a_limit_lowered_while_the_job_runs_ends_in_dead_letters(kafka: LocalStack) -> None:
    world = World(kafka, "lowered", sql="SELECT number, note FROM events")
    with world.shard() as shard:
        shard.wait_for_phase(report_pb2.SHARD_PHASE_RUNNING)
        entry = ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource("topic", "lowered-out", incremental_configs=[entry])
        (changed,) = world.admin.incremental_alter_configs([resource]).values()
        changed.result(10)
        world.send(encode_event({"number": 1, "action": "a", "note": "x" * 5000}))
        world.send(event(2))
        shard.wait_for_rows(1)
    assert world.numbers() == [2]
    assert [headers["sluice-reason"] for _, headers in world.dead()] == ["OUTPUT_TOO_LARGE"]


def test_a_timestamp_that_only_the_input_takes_makes_a_dead_letter(kafka: LocalStack) -> None:
    world = World(kafka, "ahead")
    create_topics(world.bootstrap, {"ahead-free": 1}, {"message.timestamp.after.max.ms": str(2**63 - 1)})
    world.spec.source.topics[0].topic = "ahead-free"
    ahead = 4_000_000_000_000
    world.producer.produce("ahead-free", event(1), timestamp=ahead, headers=[schema_header()])
    world.producer.produce("ahead-free", event(2), headers=[schema_header()])
    world.producer.flush(10)
    with world.shard() as shard:
        shard.wait_for_rows(1)
    assert world.numbers() == [2]
    ((message, headers),) = world.dead()
    assert headers["sluice-reason"] == "OUTPUT_REFUSED"
    assert headers["sluice-timestamp"] == str(ahead)
    assert message.value() == event(1)


def test_a_sink_that_vanished_stalls_the_job_until_it_is_back(kafka: LocalStack) -> None:
    world = World(kafka, "gone", limits={"transaction_timeout_ms": 3000})
    with world.shard() as shard:
        shard.wait_for_phase(report_pb2.SHARD_PHASE_RUNNING)
        (deleted,) = world.admin.delete_topics(["gone-out"]).values()
        deleted.result(30)
        world.send(event(1))
        shard.wait_for_error("SINK_UNAVAILABLE", 40)
        create_topics(world.bootstrap, {"gone-out": 1})
        shard.wait_for_rows(1)
    assert world.numbers() == [1]


def test_key_timestamp_and_headers_arrive_and_avro_rows_name_their_schema(kafka: LocalStack) -> None:
    import io

    import fastavro

    world = World(
        kafka,
        "carried",
        sql="SELECT number, action FROM events",
        output_format=job_spec_pb2.OUTPUT_FORMAT_AVRO,
    )
    headers = [("trace", b"abc"), schema_header(), ("empty", None)]
    world.send(event(1), key=b"\x00key", timestamp=1_700_000_000_123, headers=headers)
    with world.shard() as shard:
        shard.wait_for_rows(1)
    (row,) = world.rows()
    output = world.spec.outputs[0]
    assert (row.key(), row.timestamp()[1]) == (b"\x00key", 1_700_000_000_123)
    named = VALUE_SCHEMA_ID_HEADER, b"\x01" + uuid.UUID(output.schema_guid).bytes
    assert row.headers() == [("trace", b"abc"), ("empty", None), named]
    schema = fastavro.parse_schema(json.loads(output.schema))
    assert fastavro.schemaless_reader(io.BytesIO(row.value() or b""), schema, None) == {
        "number": 1,
        "action": "allow",
    }
