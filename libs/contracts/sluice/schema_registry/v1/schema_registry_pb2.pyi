from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from sluice.schema_registry.v1 import schema_pb2 as _schema_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IncompatibilityKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INCOMPATIBILITY_KIND_UNSPECIFIED: _ClassVar[IncompatibilityKind]
    INCOMPATIBILITY_KIND_NAME_MISMATCH: _ClassVar[IncompatibilityKind]
    INCOMPATIBILITY_KIND_FIXED_SIZE_MISMATCH: _ClassVar[IncompatibilityKind]
    INCOMPATIBILITY_KIND_MISSING_ENUM_SYMBOLS: _ClassVar[IncompatibilityKind]
    INCOMPATIBILITY_KIND_READER_FIELD_MISSING_DEFAULT_VALUE: _ClassVar[IncompatibilityKind]
    INCOMPATIBILITY_KIND_TYPE_MISMATCH: _ClassVar[IncompatibilityKind]
    INCOMPATIBILITY_KIND_MISSING_UNION_BRANCH: _ClassVar[IncompatibilityKind]
    INCOMPATIBILITY_KIND_LOGICAL_TYPE_MISMATCH: _ClassVar[IncompatibilityKind]
INCOMPATIBILITY_KIND_UNSPECIFIED: IncompatibilityKind
INCOMPATIBILITY_KIND_NAME_MISMATCH: IncompatibilityKind
INCOMPATIBILITY_KIND_FIXED_SIZE_MISMATCH: IncompatibilityKind
INCOMPATIBILITY_KIND_MISSING_ENUM_SYMBOLS: IncompatibilityKind
INCOMPATIBILITY_KIND_READER_FIELD_MISSING_DEFAULT_VALUE: IncompatibilityKind
INCOMPATIBILITY_KIND_TYPE_MISMATCH: IncompatibilityKind
INCOMPATIBILITY_KIND_MISSING_UNION_BRANCH: IncompatibilityKind
INCOMPATIBILITY_KIND_LOGICAL_TYPE_MISMATCH: IncompatibilityKind

class RegisterSchemaRequest(_message.Message):
    __slots__ = ("parent", "schema", "request_id", "validate_only")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    schema: _schema_pb2.Schema
    request_id: str
    validate_only: bool
    def __init__(self, parent: _Optional[str] = ..., schema: _Optional[_Union[_schema_pb2.Schema, _Mapping]] = ..., request_id: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class RegisterSchemaResponse(_message.Message):
    __slots__ = ("schema_version",)
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    schema_version: _schema_pb2.SchemaVersion
    def __init__(self, schema_version: _Optional[_Union[_schema_pb2.SchemaVersion, _Mapping]] = ...) -> None: ...

class GetSchemaRequest(_message.Message):
    __slots__ = ("id", "guid")
    ID_FIELD_NUMBER: _ClassVar[int]
    GUID_FIELD_NUMBER: _ClassVar[int]
    id: int
    guid: str
    def __init__(self, id: _Optional[int] = ..., guid: _Optional[str] = ...) -> None: ...

class GetSchemaResponse(_message.Message):
    __slots__ = ("schema",)
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    schema: _schema_pb2.Schema
    def __init__(self, schema: _Optional[_Union[_schema_pb2.Schema, _Mapping]] = ...) -> None: ...

class GetSchemaVersionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetSchemaVersionResponse(_message.Message):
    __slots__ = ("schema_version",)
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    schema_version: _schema_pb2.SchemaVersion
    def __init__(self, schema_version: _Optional[_Union[_schema_pb2.SchemaVersion, _Mapping]] = ...) -> None: ...

class ListSchemaVersionsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSchemaVersionsResponse(_message.Message):
    __slots__ = ("schema_versions", "next_page_token")
    SCHEMA_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    schema_versions: _containers.RepeatedCompositeFieldContainer[_schema_pb2.SchemaVersion]
    next_page_token: str
    def __init__(self, schema_versions: _Optional[_Iterable[_Union[_schema_pb2.SchemaVersion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class LookupSchemaRequest(_message.Message):
    __slots__ = ("parent", "schema")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    parent: str
    schema: _schema_pb2.Schema
    def __init__(self, parent: _Optional[str] = ..., schema: _Optional[_Union[_schema_pb2.Schema, _Mapping]] = ...) -> None: ...

class LookupSchemaResponse(_message.Message):
    __slots__ = ("schema_version",)
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    schema_version: _schema_pb2.SchemaVersion
    def __init__(self, schema_version: _Optional[_Union[_schema_pb2.SchemaVersion, _Mapping]] = ...) -> None: ...

class CheckCompatibilityRequest(_message.Message):
    __slots__ = ("parent", "schema")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    parent: str
    schema: _schema_pb2.Schema
    def __init__(self, parent: _Optional[str] = ..., schema: _Optional[_Union[_schema_pb2.Schema, _Mapping]] = ...) -> None: ...

class CheckCompatibilityResponse(_message.Message):
    __slots__ = ("compatible", "incompatibilities")
    COMPATIBLE_FIELD_NUMBER: _ClassVar[int]
    INCOMPATIBILITIES_FIELD_NUMBER: _ClassVar[int]
    compatible: bool
    incompatibilities: _containers.RepeatedCompositeFieldContainer[Incompatibility]
    def __init__(self, compatible: _Optional[bool] = ..., incompatibilities: _Optional[_Iterable[_Union[Incompatibility, _Mapping]]] = ...) -> None: ...

class Incompatibility(_message.Message):
    __slots__ = ("version", "direction", "path", "message", "kind")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    version: str
    direction: str
    path: str
    message: str
    kind: IncompatibilityKind
    def __init__(self, version: _Optional[str] = ..., direction: _Optional[str] = ..., path: _Optional[str] = ..., message: _Optional[str] = ..., kind: _Optional[_Union[IncompatibilityKind, str]] = ...) -> None: ...

class GetSubjectRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetSubjectResponse(_message.Message):
    __slots__ = ("subject",)
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    subject: _schema_pb2.Subject
    def __init__(self, subject: _Optional[_Union[_schema_pb2.Subject, _Mapping]] = ...) -> None: ...

class ListSubjectsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSubjectsResponse(_message.Message):
    __slots__ = ("subjects", "next_page_token")
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    subjects: _containers.RepeatedCompositeFieldContainer[_schema_pb2.Subject]
    next_page_token: str
    def __init__(self, subjects: _Optional[_Iterable[_Union[_schema_pb2.Subject, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateSubjectRequest(_message.Message):
    __slots__ = ("subject", "update_mask", "request_id")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    subject: _schema_pb2.Subject
    update_mask: _field_mask_pb2.FieldMask
    request_id: str
    def __init__(self, subject: _Optional[_Union[_schema_pb2.Subject, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateSubjectResponse(_message.Message):
    __slots__ = ("subject",)
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    subject: _schema_pb2.Subject
    def __init__(self, subject: _Optional[_Union[_schema_pb2.Subject, _Mapping]] = ...) -> None: ...
