"""The three datasets of the demo: their Avro schemas, and how a Zeek row becomes an event of each."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from deploy.demo.zeek import Row

FOLDER: Final = Path(__file__).parent / "schemas"
DNS_FLAGS: Final = ("AA", "TC", "RD", "RA")

# What fastavro encodes: the fields of the schema by name; times in microseconds since 1970.
Event: TypeAlias = Mapping[str, object]


@dataclass(frozen=True)
class Dataset:
    """A logical stream of events and the Zeek log that it is made from; `schema` is Avro JSON."""

    id: str
    log: str
    schema: str
    event_of: Callable[[Row], Event]

    @property
    def name(self) -> str:
        return f"datasets/{self.id}"

    @property
    def subject(self) -> str:
        return f"subjects/{self.id}-value"


def connection(row: Row) -> Event:
    """conn.log"""
    return {
        "ts": row["ts"],
        "uid": row["uid"],
        "id": endpoints(row),
        "proto": row["proto"],
        "service": row["service"],
        "duration": row["duration"],
        "orig": traffic(row, "orig"),
        "resp": traffic(row, "resp"),
        "conn_state": row["conn_state"] or "OTH",
        "missed_bytes": row["missed_bytes"],
        "history": row["history"],
        "tunnel_parents": row["tunnel_parents"] or [],
    }


def dns_query(row: Row) -> Event:
    """dns.log"""
    return {
        "ts": row["ts"],
        "uid": row["uid"],
        "id": endpoints(row),
        "proto": row["proto"],
        "trans_id": row["trans_id"],
        "query": row["query"],
        "qtype_name": row["qtype_name"],
        "rcode_name": row["rcode_name"],
        "flags": {flag: row[flag] for flag in DNS_FLAGS if row[flag] is not None},
        "answers": row["answers"] or [],
        "ttls": row["TTLs"] or [],
        "rejected": row["rejected"],
    }


def http_request(row: Row) -> Event:
    """http.log"""
    code = row["status_code"]
    return {
        "ts": row["ts"],
        "uid": row["uid"],
        "id": endpoints(row),
        "trans_depth": row["trans_depth"],
        "method": row["method"],
        "host": row["host"],
        "uri": row["uri"],
        "status": None if code is None else {"code": code, "message": row["status_msg"]},
        "request_body_bytes": row["request_body_len"],
        "response_body_bytes": row["response_body_len"],
        "response_types": row["resp_mime_types"] or [],
        "referrer": row["referrer"],
        "user_agent": row["user_agent"],
    }


def endpoints(row: Row) -> Event:
    return {name: row[f"id.{name}"] for name in ("orig_h", "orig_p", "resp_h", "resp_p")}


def traffic(row: Row, side: str) -> Event:
    return {
        "bytes": row[f"{side}_bytes"],
        "packets": row[f"{side}_pkts"],
        "ip_bytes": row[f"{side}_ip_bytes"],
    }


def _load(id: str, log: str, event_of: Callable[[Row], Event]) -> Dataset:
    schema = json.loads((FOLDER / f"{id}.avsc").read_text())
    return Dataset(id, log, json.dumps(schema, separators=(",", ":")), event_of)


NETWORK_CONNECTIONS: Final = _load("network-connections", "conn.log", connection)
DNS_QUERIES: Final = _load("dns-queries", "dns.log", dns_query)
HTTP_REQUESTS: Final = _load("http-requests", "http.log", http_request)
