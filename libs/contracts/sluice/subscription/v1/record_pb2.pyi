from sluice.dataplane.v1 import job_spec_pb2 as _job_spec_pb2
from sluice.subscription.v1 import subscription_pb2 as _subscription_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubscriptionRecord(_message.Message):
    __slots__ = ("subscription", "spec", "output_subject", "job_revision", "applied_generation")
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SUBJECT_FIELD_NUMBER: _ClassVar[int]
    JOB_REVISION_FIELD_NUMBER: _ClassVar[int]
    APPLIED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    subscription: _subscription_pb2.Subscription
    spec: _job_spec_pb2.JobSpec
    output_subject: str
    job_revision: int
    applied_generation: int
    def __init__(self, subscription: _Optional[_Union[_subscription_pb2.Subscription, _Mapping]] = ..., spec: _Optional[_Union[_job_spec_pb2.JobSpec, _Mapping]] = ..., output_subject: _Optional[str] = ..., job_revision: _Optional[int] = ..., applied_generation: _Optional[int] = ...) -> None: ...
