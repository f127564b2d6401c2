from sluice.dataplane.v1 import job_spec_pb2 as _job_spec_pb2
from sluice.deployer.v1 import job_pb2 as _job_pb2
from sluice.subscription.v1 import subscription_pb2 as _subscription_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubscriptionRecord(_message.Message):
    __slots__ = ("subscription", "spec", "prepared_digest", "applied_spec", "applied_paused", "drain_requested", "job", "problem", "problem_is_final", "compile_due")
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    PREPARED_DIGEST_FIELD_NUMBER: _ClassVar[int]
    APPLIED_SPEC_FIELD_NUMBER: _ClassVar[int]
    APPLIED_PAUSED_FIELD_NUMBER: _ClassVar[int]
    DRAIN_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    COMPILE_DUE_FIELD_NUMBER: _ClassVar[int]
    subscription: _subscription_pb2.Subscription
    spec: _job_spec_pb2.JobSpec
    prepared_digest: str
    applied_spec: _job_spec_pb2.JobSpec
    applied_paused: bool
    drain_requested: bool
    job: JobView
    problem: str
    problem_is_final: bool
    compile_due: bool
    def __init__(self, subscription: _Optional[_Union[_subscription_pb2.Subscription, _Mapping]] = ..., spec: _Optional[_Union[_job_spec_pb2.JobSpec, _Mapping]] = ..., prepared_digest: _Optional[str] = ..., applied_spec: _Optional[_Union[_job_spec_pb2.JobSpec, _Mapping]] = ..., applied_paused: _Optional[bool] = ..., drain_requested: _Optional[bool] = ..., job: _Optional[_Union[JobView, _Mapping]] = ..., problem: _Optional[str] = ..., problem_is_final: _Optional[bool] = ..., compile_due: _Optional[bool] = ...) -> None: ...

class JobView(_message.Message):
    __slots__ = ("revision", "state", "state_reason", "running_spec_digest", "hibernate", "reconciling")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    RUNNING_SPEC_DIGEST_FIELD_NUMBER: _ClassVar[int]
    HIBERNATE_FIELD_NUMBER: _ClassVar[int]
    RECONCILING_FIELD_NUMBER: _ClassVar[int]
    revision: int
    state: _job_pb2.JobState
    state_reason: str
    running_spec_digest: str
    hibernate: bool
    reconciling: bool
    def __init__(self, revision: _Optional[int] = ..., state: _Optional[_Union[_job_pb2.JobState, str]] = ..., state_reason: _Optional[str] = ..., running_spec_digest: _Optional[str] = ..., hibernate: _Optional[bool] = ..., reconciling: _Optional[bool] = ...) -> None: ...
