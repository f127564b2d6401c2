import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ActivityState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTIVITY_STATE_UNSPECIFIED: _ClassVar[ActivityState]
    ACTIVITY_STATE_AWAKE: _ClassVar[ActivityState]
ACTIVITY_STATE_UNSPECIFIED: ActivityState
ACTIVITY_STATE_AWAKE: ActivityState

class HibernationPolicy(_message.Message):
    __slots__ = ("name", "scope", "idle_window", "never", "etag", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    IDLE_WINDOW_FIELD_NUMBER: _ClassVar[int]
    NEVER_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    scope: str
    idle_window: _duration_pb2.Duration
    never: bool
    etag: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., scope: _Optional[str] = ..., idle_window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., never: _Optional[bool] = ..., etag: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Activity(_message.Message):
    __slots__ = ("name", "job", "subscription", "state", "job_revision", "hibernation_policy", "update_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    JOB_REVISION_FIELD_NUMBER: _ClassVar[int]
    HIBERNATION_POLICY_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    job: str
    subscription: str
    state: ActivityState
    job_revision: int
    hibernation_policy: str
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., job: _Optional[str] = ..., subscription: _Optional[str] = ..., state: _Optional[_Union[ActivityState, str]] = ..., job_revision: _Optional[int] = ..., hibernation_policy: _Optional[str] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetActivityRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetActivityResponse(_message.Message):
    __slots__ = ("activity",)
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    activity: Activity
    def __init__(self, activity: _Optional[_Union[Activity, _Mapping]] = ...) -> None: ...

class ListActivitiesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListActivitiesResponse(_message.Message):
    __slots__ = ("activities", "next_page_token")
    ACTIVITIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    activities: _containers.RepeatedCompositeFieldContainer[Activity]
    next_page_token: str
    def __init__(self, activities: _Optional[_Iterable[_Union[Activity, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateHibernationPolicyRequest(_message.Message):
    __slots__ = ("hibernation_policy_id", "hibernation_policy", "request_id", "validate_only")
    HIBERNATION_POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    HIBERNATION_POLICY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    hibernation_policy_id: str
    hibernation_policy: HibernationPolicy
    request_id: str
    validate_only: bool
    def __init__(self, hibernation_policy_id: _Optional[str] = ..., hibernation_policy: _Optional[_Union[HibernationPolicy, _Mapping]] = ..., request_id: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class CreateHibernationPolicyResponse(_message.Message):
    __slots__ = ("hibernation_policy",)
    HIBERNATION_POLICY_FIELD_NUMBER: _ClassVar[int]
    hibernation_policy: HibernationPolicy
    def __init__(self, hibernation_policy: _Optional[_Union[HibernationPolicy, _Mapping]] = ...) -> None: ...

class GetHibernationPolicyRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetHibernationPolicyResponse(_message.Message):
    __slots__ = ("hibernation_policy",)
    HIBERNATION_POLICY_FIELD_NUMBER: _ClassVar[int]
    hibernation_policy: HibernationPolicy
    def __init__(self, hibernation_policy: _Optional[_Union[HibernationPolicy, _Mapping]] = ...) -> None: ...

class ListHibernationPoliciesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListHibernationPoliciesResponse(_message.Message):
    __slots__ = ("hibernation_policies", "next_page_token")
    HIBERNATION_POLICIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    hibernation_policies: _containers.RepeatedCompositeFieldContainer[HibernationPolicy]
    next_page_token: str
    def __init__(self, hibernation_policies: _Optional[_Iterable[_Union[HibernationPolicy, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateHibernationPolicyRequest(_message.Message):
    __slots__ = ("hibernation_policy", "update_mask", "request_id", "validate_only")
    HIBERNATION_POLICY_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    hibernation_policy: HibernationPolicy
    update_mask: _field_mask_pb2.FieldMask
    request_id: str
    validate_only: bool
    def __init__(self, hibernation_policy: _Optional[_Union[HibernationPolicy, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., request_id: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class UpdateHibernationPolicyResponse(_message.Message):
    __slots__ = ("hibernation_policy",)
    HIBERNATION_POLICY_FIELD_NUMBER: _ClassVar[int]
    hibernation_policy: HibernationPolicy
    def __init__(self, hibernation_policy: _Optional[_Union[HibernationPolicy, _Mapping]] = ...) -> None: ...

class DeleteHibernationPolicyRequest(_message.Message):
    __slots__ = ("name", "etag", "request_id", "validate_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    request_id: str
    validate_only: bool
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class DeleteHibernationPolicyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
