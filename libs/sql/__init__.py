"""Compile a tenant's SQL and run it on Arrow batches. The dialect is described in docs/sql.md."""

from libs.sql.compiler import CompiledQuery, compile_query
from libs.sql.errors import Reason, SqlError, Violation
from libs.sql.executor import Query, QueryResult, RowError
from libs.sql.failures import FailPoint, FailureKind
from libs.sql.limits import BatchBounds, Limits

__all__ = [
    "BatchBounds",
    "CompiledQuery",
    "FailPoint",
    "FailureKind",
    "Limits",
    "Query",
    "QueryResult",
    "Reason",
    "RowError",
    "SqlError",
    "Violation",
    "compile_query",
]
