"""The types a tenant may cast to."""

from __future__ import annotations

from sqlglot import exp

INSTANT = "TIMESTAMP WITH TIME ZONE"

_PLAIN: dict[exp.DType, str] = {
    exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.TINYINT: "TINYINT",
    exp.DType.SMALLINT: "SMALLINT",
    exp.DType.INT: "INT",
    exp.DType.BIGINT: "BIGINT",
    exp.DType.FLOAT: "REAL",
    exp.DType.DOUBLE: "DOUBLE",
    exp.DType.VARCHAR: "VARCHAR",
    exp.DType.TEXT: "VARCHAR",
    exp.DType.BINARY: "BYTEA",
    exp.DType.VARBINARY: "BYTEA",
    exp.DType.DATE: "DATE",
    exp.DType.TIME: "TIME",
    exp.DType.TIMESTAMP: "TIMESTAMP",
    exp.DType.TIMESTAMPTZ: INSTANT,
    exp.DType.DECIMAL: "DECIMAL",
}
TYPE_NAMES = (
    "BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, REAL, DOUBLE, DECIMAL(p, s), VARCHAR, BYTEA, DATE, TIME, "
    "TIMESTAMP(0 | 3 | 6 | 9), TIMESTAMP WITH TIME ZONE"
)


def cast_sql(value: str, engine: str, trying: bool) -> str:
    """A cast in the engine's words; one to an instant gives microseconds in UTC."""
    prefix = "TRY_" if trying else ""
    if engine == INSTANT:
        return f"arrow_{prefix.lower()}cast({value}, 'Timestamp(Microsecond, Some(\"UTC\"))')"
    return f"{prefix}CAST({value} AS {engine})"


def engine_type(data_type: exp.DataType) -> str | None:
    """The engine's spelling of a type, or None for one that cannot be cast to.

    Lengths of VARCHAR are not accepted: the engine would ignore them instead of truncating.
    """
    plain = _PLAIN.get(data_type.this)
    if plain is None or any(
        value for name, value in data_type.args.items() if name not in ("this", "expressions", "nested")
    ):
        return None
    parameters = [parameter.sql() for parameter in data_type.expressions]
    if not parameters:
        return plain
    if not all(parameter.isdigit() and len(parameter) <= 2 for parameter in parameters):
        return None
    numbers = [int(parameter) for parameter in parameters]
    if plain == "DECIMAL" and len(numbers) <= 2:
        precision, scale = numbers[0], numbers[1] if len(numbers) == 2 else 0
        return f"DECIMAL({precision}, {scale})" if 1 <= precision <= 38 and scale <= precision else None
    if plain == "TIMESTAMP" and len(numbers) == 1 and numbers[0] in (0, 3, 6, 9):
        return f"TIMESTAMP({numbers[0]})"
    return None
