import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENGINE_UNSPECIFIED: _ClassVar[Engine]
    ENGINE_ARROW: _ClassVar[Engine]

class OutputFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTPUT_FORMAT_UNSPECIFIED: _ClassVar[OutputFormat]
    OUTPUT_FORMAT_AVRO: _ClassVar[OutputFormat]
    OUTPUT_FORMAT_JSON: _ClassVar[OutputFormat]
ENGINE_UNSPECIFIED: Engine
ENGINE_ARROW: Engine
OUTPUT_FORMAT_UNSPECIFIED: OutputFormat
OUTPUT_FORMAT_AVRO: OutputFormat
OUTPUT_FORMAT_JSON: OutputFormat

class JobSpec(_message.Message):
    __slots__ = ("tenant", "source", "outputs", "engine", "dead_letters", "shards", "limits", "pipeline_version")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_VERSION_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    source: Source
    outputs: _containers.RepeatedCompositeFieldContainer[Output]
    engine: Engine
    dead_letters: Topic
    shards: int
    limits: Limits
    pipeline_version: str
    def __init__(self, tenant: _Optional[str] = ..., source: _Optional[_Union[Source, _Mapping]] = ..., outputs: _Optional[_Iterable[_Union[Output, _Mapping]]] = ..., engine: _Optional[_Union[Engine, str]] = ..., dead_letters: _Optional[_Union[Topic, _Mapping]] = ..., shards: _Optional[int] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., pipeline_version: _Optional[str] = ...) -> None: ...

class Topic(_message.Message):
    __slots__ = ("cluster", "bootstrap_servers", "topic")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    BOOTSTRAP_SERVERS_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    bootstrap_servers: str
    topic: str
    def __init__(self, cluster: _Optional[str] = ..., bootstrap_servers: _Optional[str] = ..., topic: _Optional[str] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("dataset", "topics", "start_position", "schema_guid", "reader_schema", "referenced_fields", "pseudo_columns", "schema_registry")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    TOPICS_FIELD_NUMBER: _ClassVar[int]
    START_POSITION_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_GUID_FIELD_NUMBER: _ClassVar[int]
    READER_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    REFERENCED_FIELDS_FIELD_NUMBER: _ClassVar[int]
    PSEUDO_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_REGISTRY_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    topics: _containers.RepeatedCompositeFieldContainer[Topic]
    start_position: StartPosition
    schema_guid: str
    reader_schema: str
    referenced_fields: _containers.RepeatedScalarFieldContainer[str]
    pseudo_columns: _containers.RepeatedScalarFieldContainer[str]
    schema_registry: str
    def __init__(self, dataset: _Optional[str] = ..., topics: _Optional[_Iterable[_Union[Topic, _Mapping]]] = ..., start_position: _Optional[_Union[StartPosition, _Mapping]] = ..., schema_guid: _Optional[str] = ..., reader_schema: _Optional[str] = ..., referenced_fields: _Optional[_Iterable[str]] = ..., pseudo_columns: _Optional[_Iterable[str]] = ..., schema_registry: _Optional[str] = ...) -> None: ...

class StartPosition(_message.Message):
    __slots__ = ("earliest", "latest", "timestamp")
    class Earliest(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class Latest(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    EARLIEST_FIELD_NUMBER: _ClassVar[int]
    LATEST_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    earliest: StartPosition.Earliest
    latest: StartPosition.Latest
    timestamp: _timestamp_pb2.Timestamp
    def __init__(self, earliest: _Optional[_Union[StartPosition.Earliest, _Mapping]] = ..., latest: _Optional[_Union[StartPosition.Latest, _Mapping]] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("subscription", "sql", "format", "sink", "schema", "schema_guid")
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SQL_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SINK_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_GUID_FIELD_NUMBER: _ClassVar[int]
    subscription: str
    sql: str
    format: OutputFormat
    sink: Topic
    schema: str
    schema_guid: str
    def __init__(self, subscription: _Optional[str] = ..., sql: _Optional[str] = ..., format: _Optional[_Union[OutputFormat, str]] = ..., sink: _Optional[_Union[Topic, _Mapping]] = ..., schema: _Optional[str] = ..., schema_guid: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("batch_rows", "batch_wait_ms", "commit_interval_min_ms", "commit_interval_max_ms", "transaction_timeout_ms", "message_max_bytes")
    BATCH_ROWS_FIELD_NUMBER: _ClassVar[int]
    BATCH_WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_INTERVAL_MIN_MS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_INTERVAL_MAX_MS_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    batch_rows: int
    batch_wait_ms: int
    commit_interval_min_ms: int
    commit_interval_max_ms: int
    transaction_timeout_ms: int
    message_max_bytes: int
    def __init__(self, batch_rows: _Optional[int] = ..., batch_wait_ms: _Optional[int] = ..., commit_interval_min_ms: _Optional[int] = ..., commit_interval_max_ms: _Optional[int] = ..., transaction_timeout_ms: _Optional[int] = ..., message_max_bytes: _Optional[int] = ...) -> None: ...
