"""The codec against fastavro and json on 41-field security events: `python -m bench.codec`.

All cases run interleaved in one process, round by round; figures are medians of CPU time (`process_time`, garbage
collector paused) and say less about a machine than their ratios do.
"""

from __future__ import annotations

import argparse
import base64
import gc
import io
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import fastavro

from bench.security_events import SCHEMA_JSON, events
from libs.codec.messages import AvroMessageEncoder, JsonMessageEncoder, MessageDecoder
from libs.codec.schema import Path, prune
from libs.codec.types import avro_schema_for

BATCH: Final = 10_000
PROJECTION: Final[list[Path]] = [("ts",), ("src_ip",), ("dst_ip",), ("action",), ("threat", "name")]


@dataclass(frozen=True)
class Case:
    """`ordinary` names the case that this one is compared with; None for those that are compared with."""

    name: str
    run: Callable[[], object]
    ordinary: str | None = None


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=20_000, help="events per round (default 20000)")
    arguments.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    options = arguments.parse_args()
    cases = _cases(options.events)
    seconds = _measure(cases, options.rounds)
    rates = {case.name: options.events / seconds[case.name] / 1000 for case in cases}
    print(f"{options.events} events, {options.rounds} rounds, K events per CPU-second")
    for case in cases:
        ratio = f"{rates[case.name] / rates[case.ordinary]:6.1f} x {case.ordinary}" if case.ordinary else ""
        print(f"{case.name:40}{rates[case.name]:9.1f}   {ratio}")


def _measure(cases: list[Case], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {case.name: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            gc.collect()
            gc.disable()
            started = time.process_time()
            case.run()
            times[case.name].append(time.process_time() - started)
            gc.enable()
    return {name: statistics.median(measured) for name, measured in times.items()}


def _cases(count: int) -> list[Case]:
    parsed = fastavro.parse_schema(json.loads(SCHEMA_JSON))
    messages = [_fastavro_write(parsed, event) for event in events(count)]
    batches = [messages[start : start + BATCH] for start in range(0, count, BATCH)]

    pruned = prune(SCHEMA_JSON, PROJECTION)
    parsed_pruned = fastavro.parse_schema(json.loads(pruned))
    whole, few = MessageDecoder(SCHEMA_JSON, SCHEMA_JSON), MessageDecoder(SCHEMA_JSON, pruned)
    decoded = [whole.decode(batch).batch for batch in batches]
    truncated = [[*batch[:-3], *(message[:-1] for message in batch[-3:])] for batch in batches]

    output = avro_schema_for(whole.schema, "Output", "bench")
    parsed_output = fastavro.parse_schema(json.loads(output))
    avro, as_json = AvroMessageEncoder(output), JsonMessageEncoder()
    rows = [fastavro.schemaless_reader(io.BytesIO(message), parsed, None) for message in messages]

    def read_each(reader: Any) -> None:
        for message in messages:
            fastavro.schemaless_reader(io.BytesIO(message), parsed, reader)

    return [
        Case("fastavro: decode to dict", lambda: read_each(None)),
        Case("codec: decode", lambda: [whole.decode(b) for b in batches], "fastavro: decode to dict"),
        Case(
            "codec: decode, 3 truncated a batch",
            lambda: [whole.decode(b) for b in truncated],
            "codec: decode",
        ),
        Case("fastavro: decode to dict, 5 fields", lambda: read_each(parsed_pruned)),
        Case(
            "codec: decode, 5 fields",
            lambda: [few.decode(b) for b in batches],
            "fastavro: decode to dict, 5 fields",
        ),
        Case("fastavro: encode Avro", lambda: [_fastavro_write(parsed_output, row) for row in rows]),
        Case("codec: encode Avro", lambda: [avro.encode(b) for b in decoded], "fastavro: encode Avro"),
        Case("json: encode", lambda: [json.dumps(row, default=_json_form).encode() for row in rows]),
        Case("codec: encode JSON", lambda: [as_json.encode(b) for b in decoded], "json: encode"),
    ]


def _fastavro_write(parsed: Any, row: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, row)
    return out.getvalue()


def _json_form(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value.isoformat())


if __name__ == "__main__":
    main()
