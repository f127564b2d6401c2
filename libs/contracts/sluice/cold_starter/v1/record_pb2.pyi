from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ScopeClaim(_message.Message):
    __slots__ = ("hibernation_policy",)
    HIBERNATION_POLICY_FIELD_NUMBER: _ClassVar[int]
    hibernation_policy: str
    def __init__(self, hibernation_policy: _Optional[str] = ...) -> None: ...

class SeenJob(_message.Message):
    __slots__ = ("job_revision", "ended")
    JOB_REVISION_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    job_revision: int
    ended: bool
    def __init__(self, job_revision: _Optional[int] = ..., ended: _Optional[bool] = ...) -> None: ...
