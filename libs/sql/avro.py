"""From Avro text to Avro text: what a subscription needs of a statement and a reader schema."""

from __future__ import annotations

from dataclasses import dataclass

from libs.codec.messages import decoded_schema
from libs.codec.schema import prune
from libs.codec.types import avro_schema_for
from libs.sql.compiler import CompiledQuery, compile_query
from libs.sql.errors import Reason, SqlError, refuse
from libs.sql.limits import Limits


@dataclass(frozen=True)
class AvroQuery:
    """A compiled statement with the schemas on both of its sides, as canonical Avro JSON.

    `reader_schema` is pruned to the fields that the statement reads; `output_schema` describes its rows.
    """

    query: CompiledQuery
    reader_schema: str
    output_schema: str


def compile_for_avro(
    sql: str, reader_schema: str, name: str, namespace: str, limits: Limits | None = None
) -> AvroQuery:
    """Compile against a dataset's reader schema; the output record is called `<namespace>.<name>`.

    Deterministic. Raises SqlError for the statement and ValueError for a reader schema that is invalid or
    has an unsupported type in the fields that the statement reads.
    """
    query = compile_query(sql, decoded_schema(reader_schema), limits)
    try:
        output_schema = avro_schema_for(query.output_schema, name, namespace)
    except ValueError as error:
        message = f"the output cannot be written as Avro: {error}"
        raise refuse(sql, 0, Reason.UNSUPPORTED_TYPE, message, "cast the column") from error
    return AvroQuery(query, prune(reader_schema, query.referenced), output_schema)


__all__ = ["AvroQuery", "SqlError", "compile_for_avro"]
