import datetime

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

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_PENDING: _ClassVar[JobState]
    JOB_STATE_STARTING: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_STOPPING: _ClassVar[JobState]
    JOB_STATE_STOPPED: _ClassVar[JobState]
    JOB_STATE_BACKOFF: _ClassVar[JobState]
    JOB_STATE_DRAINED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_NO_OP: _ClassVar[Verdict]
    VERDICT_DRAIN_AND_REPLACE: _ClassVar[Verdict]
    VERDICT_REJECT: _ClassVar[Verdict]
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_PENDING: JobState
JOB_STATE_STARTING: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_STOPPING: JobState
JOB_STATE_STOPPED: JobState
JOB_STATE_BACKOFF: JobState
JOB_STATE_DRAINED: JobState
JOB_STATE_CANCELLED: JobState
VERDICT_UNSPECIFIED: Verdict
VERDICT_NO_OP: Verdict
VERDICT_DRAIN_AND_REPLACE: Verdict
VERDICT_REJECT: Verdict

class Job(_message.Message):
    __slots__ = ("name", "spec", "spec_digest", "desire", "state", "state_reason", "state_time", "reconciling", "generation", "observed_generation", "incarnation", "runner_job_name", "runner_job_id", "runner", "running_spec_digest", "failures", "next_start_time", "metrics", "etag", "create_time", "update_time", "history")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    SPEC_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DESIRE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    STATE_TIME_FIELD_NUMBER: _ClassVar[int]
    RECONCILING_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    RUNNER_JOB_NAME_FIELD_NUMBER: _ClassVar[int]
    RUNNER_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RUNNER_FIELD_NUMBER: _ClassVar[int]
    RUNNING_SPEC_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    NEXT_START_TIME_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    name: str
    spec: _job_spec_pb2.JobSpec
    spec_digest: str
    desire: Desire
    state: JobState
    state_reason: str
    state_time: _timestamp_pb2.Timestamp
    reconciling: bool
    generation: int
    observed_generation: int
    incarnation: int
    runner_job_name: str
    runner_job_id: str
    runner: str
    running_spec_digest: str
    failures: int
    next_start_time: _timestamp_pb2.Timestamp
    metrics: JobMetrics
    etag: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    history: _containers.RepeatedCompositeFieldContainer[IncarnationRecord]
    def __init__(self, name: _Optional[str] = ..., spec: _Optional[_Union[_job_spec_pb2.JobSpec, _Mapping]] = ..., spec_digest: _Optional[str] = ..., desire: _Optional[_Union[Desire, _Mapping]] = ..., state: _Optional[_Union[JobState, str]] = ..., state_reason: _Optional[str] = ..., state_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reconciling: _Optional[bool] = ..., generation: _Optional[int] = ..., observed_generation: _Optional[int] = ..., incarnation: _Optional[int] = ..., runner_job_name: _Optional[str] = ..., runner_job_id: _Optional[str] = ..., runner: _Optional[str] = ..., running_spec_digest: _Optional[str] = ..., failures: _Optional[int] = ..., next_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., metrics: _Optional[_Union[JobMetrics, _Mapping]] = ..., etag: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., history: _Optional[_Iterable[_Union[IncarnationRecord, _Mapping]]] = ...) -> None: ...

class Desire(_message.Message):
    __slots__ = ("drain", "cancel", "pause", "hibernate")
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    HIBERNATE_FIELD_NUMBER: _ClassVar[int]
    drain: bool
    cancel: bool
    pause: bool
    hibernate: bool
    def __init__(self, drain: _Optional[bool] = ..., cancel: _Optional[bool] = ..., pause: _Optional[bool] = ..., hibernate: _Optional[bool] = ...) -> None: ...

class IncarnationRecord(_message.Message):
    __slots__ = ("incarnation", "runner_job_id", "spec_digest", "start_time", "end_time", "reason")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    RUNNER_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_DIGEST_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    incarnation: int
    runner_job_id: str
    spec_digest: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    reason: str
    def __init__(self, incarnation: _Optional[int] = ..., runner_job_id: _Optional[str] = ..., spec_digest: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class JobMetrics(_message.Message):
    __slots__ = ("report_time", "live_shards", "events_in", "events_out", "dead_letters", "events_in_per_second", "events_out_per_second", "lag", "freshness_ms", "last_error", "bytes_in", "bytes_out", "commits")
    REPORT_TIME_FIELD_NUMBER: _ClassVar[int]
    LIVE_SHARDS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_IN_FIELD_NUMBER: _ClassVar[int]
    EVENTS_OUT_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_IN_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    EVENTS_OUT_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_FIELD_NUMBER: _ClassVar[int]
    BYTES_OUT_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    report_time: _timestamp_pb2.Timestamp
    live_shards: int
    events_in: int
    events_out: int
    dead_letters: int
    events_in_per_second: float
    events_out_per_second: float
    lag: int
    freshness_ms: int
    last_error: str
    bytes_in: int
    bytes_out: int
    commits: int
    def __init__(self, report_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., live_shards: _Optional[int] = ..., events_in: _Optional[int] = ..., events_out: _Optional[int] = ..., dead_letters: _Optional[int] = ..., events_in_per_second: _Optional[float] = ..., events_out_per_second: _Optional[float] = ..., lag: _Optional[int] = ..., freshness_ms: _Optional[int] = ..., last_error: _Optional[str] = ..., bytes_in: _Optional[int] = ..., bytes_out: _Optional[int] = ..., commits: _Optional[int] = ...) -> None: ...

class JobStateChanged(_message.Message):
    __slots__ = ("job", "previous_state", "deleted")
    JOB_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_STATE_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    job: Job
    previous_state: JobState
    deleted: bool
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., previous_state: _Optional[_Union[JobState, str]] = ..., deleted: _Optional[bool] = ...) -> None: ...
