import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from sluice.dataplane.v1 import control_pb2 as _control_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ShardPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHARD_PHASE_UNSPECIFIED: _ClassVar[ShardPhase]
    SHARD_PHASE_CLAIMING: _ClassVar[ShardPhase]
    SHARD_PHASE_RUNNING: _ClassVar[ShardPhase]
    SHARD_PHASE_STOPPED: _ClassVar[ShardPhase]
    SHARD_PHASE_SUPERSEDED: _ClassVar[ShardPhase]
    SHARD_PHASE_FAILED: _ClassVar[ShardPhase]
SHARD_PHASE_UNSPECIFIED: ShardPhase
SHARD_PHASE_CLAIMING: ShardPhase
SHARD_PHASE_RUNNING: ShardPhase
SHARD_PHASE_STOPPED: ShardPhase
SHARD_PHASE_SUPERSEDED: ShardPhase
SHARD_PHASE_FAILED: ShardPhase

class ShardReport(_message.Message):
    __slots__ = ("job", "incarnation", "shard", "worker", "time", "phase", "events_in", "events_out", "bytes_in", "bytes_out", "dead_letters", "commits", "records_lost", "lag", "freshness_ms", "stage_ms", "writer_schema_guids", "error", "partitions", "known_topics")
    JOB_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_IN_FIELD_NUMBER: _ClassVar[int]
    EVENTS_OUT_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_FIELD_NUMBER: _ClassVar[int]
    BYTES_OUT_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_LOST_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_MS_FIELD_NUMBER: _ClassVar[int]
    STAGE_MS_FIELD_NUMBER: _ClassVar[int]
    WRITER_SCHEMA_GUIDS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    KNOWN_TOPICS_FIELD_NUMBER: _ClassVar[int]
    job: str
    incarnation: int
    shard: int
    worker: str
    time: _timestamp_pb2.Timestamp
    phase: ShardPhase
    events_in: int
    events_out: int
    bytes_in: int
    bytes_out: int
    dead_letters: _containers.RepeatedCompositeFieldContainer[DeadLetterCount]
    commits: int
    records_lost: int
    lag: int
    freshness_ms: int
    stage_ms: StageMillis
    writer_schema_guids: _containers.RepeatedScalarFieldContainer[str]
    error: ShardError
    partitions: int
    known_topics: _containers.RepeatedCompositeFieldContainer[_control_pb2.KnownTopic]
    def __init__(self, job: _Optional[str] = ..., incarnation: _Optional[int] = ..., shard: _Optional[int] = ..., worker: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., phase: _Optional[_Union[ShardPhase, str]] = ..., events_in: _Optional[int] = ..., events_out: _Optional[int] = ..., bytes_in: _Optional[int] = ..., bytes_out: _Optional[int] = ..., dead_letters: _Optional[_Iterable[_Union[DeadLetterCount, _Mapping]]] = ..., commits: _Optional[int] = ..., records_lost: _Optional[int] = ..., lag: _Optional[int] = ..., freshness_ms: _Optional[int] = ..., stage_ms: _Optional[_Union[StageMillis, _Mapping]] = ..., writer_schema_guids: _Optional[_Iterable[str]] = ..., error: _Optional[_Union[ShardError, _Mapping]] = ..., partitions: _Optional[int] = ..., known_topics: _Optional[_Iterable[_Union[_control_pb2.KnownTopic, _Mapping]]] = ...) -> None: ...

class DeadLetterCount(_message.Message):
    __slots__ = ("reason", "count")
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    count: int
    def __init__(self, reason: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class StageMillis(_message.Message):
    __slots__ = ("read", "decode", "sql", "encode", "produce", "commit")
    READ_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    SQL_FIELD_NUMBER: _ClassVar[int]
    ENCODE_FIELD_NUMBER: _ClassVar[int]
    PRODUCE_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    read: int
    decode: int
    sql: int
    encode: int
    produce: int
    commit: int
    def __init__(self, read: _Optional[int] = ..., decode: _Optional[int] = ..., sql: _Optional[int] = ..., encode: _Optional[int] = ..., produce: _Optional[int] = ..., commit: _Optional[int] = ...) -> None: ...

class ShardError(_message.Message):
    __slots__ = ("reason", "message", "since")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeadLetterHeaders(_message.Message):
    __slots__ = ("reason", "detail", "subscription", "job", "topic", "partition", "offset", "truncated_sha256")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_SHA256_FIELD_NUMBER: _ClassVar[int]
    reason: str
    detail: str
    subscription: str
    job: str
    topic: str
    partition: int
    offset: int
    truncated_sha256: str
    def __init__(self, reason: _Optional[str] = ..., detail: _Optional[str] = ..., subscription: _Optional[str] = ..., job: _Optional[str] = ..., topic: _Optional[str] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ..., truncated_sha256: _Optional[str] = ...) -> None: ...
