import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Compatibility(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPATIBILITY_UNSPECIFIED: _ClassVar[Compatibility]
    COMPATIBILITY_NONE: _ClassVar[Compatibility]
    COMPATIBILITY_BACKWARD: _ClassVar[Compatibility]
    COMPATIBILITY_BACKWARD_TRANSITIVE: _ClassVar[Compatibility]
    COMPATIBILITY_FORWARD: _ClassVar[Compatibility]
    COMPATIBILITY_FORWARD_TRANSITIVE: _ClassVar[Compatibility]
    COMPATIBILITY_FULL: _ClassVar[Compatibility]
    COMPATIBILITY_FULL_TRANSITIVE: _ClassVar[Compatibility]

class SchemaType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCHEMA_TYPE_UNSPECIFIED: _ClassVar[SchemaType]
    SCHEMA_TYPE_AVRO: _ClassVar[SchemaType]
COMPATIBILITY_UNSPECIFIED: Compatibility
COMPATIBILITY_NONE: Compatibility
COMPATIBILITY_BACKWARD: Compatibility
COMPATIBILITY_BACKWARD_TRANSITIVE: Compatibility
COMPATIBILITY_FORWARD: Compatibility
COMPATIBILITY_FORWARD_TRANSITIVE: Compatibility
COMPATIBILITY_FULL: Compatibility
COMPATIBILITY_FULL_TRANSITIVE: Compatibility
SCHEMA_TYPE_UNSPECIFIED: SchemaType
SCHEMA_TYPE_AVRO: SchemaType

class Subject(_message.Message):
    __slots__ = ("name", "compatibility", "effective_compatibility", "latest_version", "etag", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMPATIBILITY_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_COMPATIBILITY_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    compatibility: Compatibility
    effective_compatibility: Compatibility
    latest_version: int
    etag: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., compatibility: _Optional[_Union[Compatibility, str]] = ..., effective_compatibility: _Optional[_Union[Compatibility, str]] = ..., latest_version: _Optional[int] = ..., etag: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SchemaVersion(_message.Message):
    __slots__ = ("name", "version", "schema", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    schema: Schema
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., schema: _Optional[_Union[Schema, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Schema(_message.Message):
    __slots__ = ("definition", "type", "id", "guid", "fingerprint")
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    GUID_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    definition: str
    type: SchemaType
    id: int
    guid: str
    fingerprint: str
    def __init__(self, definition: _Optional[str] = ..., type: _Optional[_Union[SchemaType, str]] = ..., id: _Optional[int] = ..., guid: _Optional[str] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class SchemaChanged(_message.Message):
    __slots__ = ("schema_version", "previous")
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    schema_version: SchemaVersion
    previous: SchemaVersion
    def __init__(self, schema_version: _Optional[_Union[SchemaVersion, _Mapping]] = ..., previous: _Optional[_Union[SchemaVersion, _Mapping]] = ...) -> None: ...
