import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from sluice.dataplane.v1 import job_spec_pb2 as _job_spec_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubscriptionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUBSCRIPTION_STATE_UNSPECIFIED: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_PROVISIONING: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_ACTIVE: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_PAUSED: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_HIBERNATED: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_DEGRADED: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_FAILED: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_DELETING: _ClassVar[SubscriptionState]
SUBSCRIPTION_STATE_UNSPECIFIED: SubscriptionState
SUBSCRIPTION_STATE_PROVISIONING: SubscriptionState
SUBSCRIPTION_STATE_ACTIVE: SubscriptionState
SUBSCRIPTION_STATE_PAUSED: SubscriptionState
SUBSCRIPTION_STATE_HIBERNATED: SubscriptionState
SUBSCRIPTION_STATE_DEGRADED: SubscriptionState
SUBSCRIPTION_STATE_FAILED: SubscriptionState
SUBSCRIPTION_STATE_DELETING: SubscriptionState

class Subscription(_message.Message):
    __slots__ = ("name", "uid", "dataset", "sql", "output_format", "sink", "start_position", "description", "state", "state_reason", "state_time", "reconciling", "generation", "observed_generation", "paused", "job", "effective_sink", "effective_dead_letters", "output_schema", "schema_guid", "referenced_fields", "spec_digest", "etag", "create_time", "update_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    SQL_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    SINK_FIELD_NUMBER: _ClassVar[int]
    START_POSITION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    STATE_TIME_FIELD_NUMBER: _ClassVar[int]
    RECONCILING_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SINK_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_GUID_FIELD_NUMBER: _ClassVar[int]
    REFERENCED_FIELDS_FIELD_NUMBER: _ClassVar[int]
    SPEC_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    uid: str
    dataset: str
    sql: str
    output_format: _job_spec_pb2.OutputFormat
    sink: Sink
    start_position: _job_spec_pb2.StartPosition
    description: str
    state: SubscriptionState
    state_reason: str
    state_time: _timestamp_pb2.Timestamp
    reconciling: bool
    generation: int
    observed_generation: int
    paused: bool
    job: str
    effective_sink: _job_spec_pb2.Topic
    effective_dead_letters: _job_spec_pb2.Topic
    output_schema: str
    schema_guid: str
    referenced_fields: _containers.RepeatedScalarFieldContainer[str]
    spec_digest: str
    etag: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., uid: _Optional[str] = ..., dataset: _Optional[str] = ..., sql: _Optional[str] = ..., output_format: _Optional[_Union[_job_spec_pb2.OutputFormat, str]] = ..., sink: _Optional[_Union[Sink, _Mapping]] = ..., start_position: _Optional[_Union[_job_spec_pb2.StartPosition, _Mapping]] = ..., description: _Optional[str] = ..., state: _Optional[_Union[SubscriptionState, str]] = ..., state_reason: _Optional[str] = ..., state_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reconciling: _Optional[bool] = ..., generation: _Optional[int] = ..., observed_generation: _Optional[int] = ..., paused: _Optional[bool] = ..., job: _Optional[str] = ..., effective_sink: _Optional[_Union[_job_spec_pb2.Topic, _Mapping]] = ..., effective_dead_letters: _Optional[_Union[_job_spec_pb2.Topic, _Mapping]] = ..., output_schema: _Optional[str] = ..., schema_guid: _Optional[str] = ..., referenced_fields: _Optional[_Iterable[str]] = ..., spec_digest: _Optional[str] = ..., etag: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Sink(_message.Message):
    __slots__ = ("managed_topic", "kafka_topic")
    class ManagedTopic(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class KafkaTopic(_message.Message):
        __slots__ = ("cluster", "topic")
        CLUSTER_FIELD_NUMBER: _ClassVar[int]
        TOPIC_FIELD_NUMBER: _ClassVar[int]
        cluster: str
        topic: str
        def __init__(self, cluster: _Optional[str] = ..., topic: _Optional[str] = ...) -> None: ...
    MANAGED_TOPIC_FIELD_NUMBER: _ClassVar[int]
    KAFKA_TOPIC_FIELD_NUMBER: _ClassVar[int]
    managed_topic: Sink.ManagedTopic
    kafka_topic: Sink.KafkaTopic
    def __init__(self, managed_topic: _Optional[_Union[Sink.ManagedTopic, _Mapping]] = ..., kafka_topic: _Optional[_Union[Sink.KafkaTopic, _Mapping]] = ...) -> None: ...

class SubscriptionChanged(_message.Message):
    __slots__ = ("subscription", "deleted")
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    subscription: Subscription
    deleted: bool
    def __init__(self, subscription: _Optional[_Union[Subscription, _Mapping]] = ..., deleted: _Optional[bool] = ...) -> None: ...
