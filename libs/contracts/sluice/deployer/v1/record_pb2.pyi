from sluice.dataplane.v1 import control_pb2 as _control_pb2
from sluice.dataplane.v1 import job_spec_pb2 as _job_spec_pb2
from sluice.deployer.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobRecord(_message.Message):
    __slots__ = ("job", "running_spec", "submitted", "stop_sent", "fenced", "known_topics", "fence_shards", "control_cleared")
    JOB_FIELD_NUMBER: _ClassVar[int]
    RUNNING_SPEC_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    STOP_SENT_FIELD_NUMBER: _ClassVar[int]
    FENCED_FIELD_NUMBER: _ClassVar[int]
    KNOWN_TOPICS_FIELD_NUMBER: _ClassVar[int]
    FENCE_SHARDS_FIELD_NUMBER: _ClassVar[int]
    CONTROL_CLEARED_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    running_spec: _job_spec_pb2.JobSpec
    submitted: bool
    stop_sent: bool
    fenced: bool
    known_topics: _containers.RepeatedCompositeFieldContainer[_control_pb2.KnownTopic]
    fence_shards: int
    control_cleared: bool
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ..., running_spec: _Optional[_Union[_job_spec_pb2.JobSpec, _Mapping]] = ..., submitted: _Optional[bool] = ..., stop_sent: _Optional[bool] = ..., fenced: _Optional[bool] = ..., known_topics: _Optional[_Iterable[_Union[_control_pb2.KnownTopic, _Mapping]]] = ..., fence_shards: _Optional[int] = ..., control_cleared: _Optional[bool] = ...) -> None: ...
