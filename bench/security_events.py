"""Deterministic security events of 41 fields: nested records, arrays, maps, nullables, an enum, times (~700
bytes).

Standard library only, so that every benchmark and test can use it.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from typing import Any, Final

Avro = Any
"""An Avro schema, or a value of one, as fastavro takes it."""

FIRST_EVENT_MS: Final = 1_760_000_000_000


def _field(name: str, avro_type: Avro) -> Avro:
    return {"name": name, "type": avro_type, **({"default": None} if isinstance(avro_type, list) else {})}


def _optional(avro_type: Avro) -> Avro:
    return ["null", avro_type]


def _record(record: str, /, **fields: Avro) -> Avro:
    return {"type": "record", "name": record, "fields": [_field(key, value) for key, value in fields.items()]}


_MILLIS: Final = {"type": "long", "logicalType": "timestamp-millis"}
_MICROS: Final = {"type": "long", "logicalType": "timestamp-micros"}
_TEXTS: Final = {"type": "array", "items": "string"}
_LABELS: Final = {"type": "map", "values": "string"}
_SEVERITIES: Final = ["INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL"]

_GEO: Final = _record(
    "Geo",
    country="string",
    city=_optional("string"),
    lat=_optional("double"),
    lon=_optional("double"),
    asn=_optional("long"),
)
_THREAT: Final = _record(
    "Threat", id="long", name="string", category="string", confidence="double", cves=_TEXTS
)
_DEVICE: Final = _record(
    "Device",
    serial="string",
    hostname="string",
    vsys="string",
    os_version=_optional("string"),
    labels=_LABELS,
)

SCHEMA: Final[Avro] = {
    "namespace": "com.example.logs",
    **_record(
        "SecurityLog",
        ts=_MILLIS,
        receive_time=_MICROS,
        event_id="string",
        tenant_id="string",
        log_type="string",
        sequence="long",
        action="string",
        severity={"type": "enum", "name": "Severity", "symbols": _SEVERITIES},
        src_ip="string",
        dst_ip="string",
        src_port="int",
        dst_port="int",
        src_zone="string",
        dst_zone="string",
        src_user=_optional("string"),
        dst_user=_optional("string"),
        app="string",
        app_category=_optional("string"),
        protocol="string",
        rule="string",
        rule_uuid=_optional("string"),
        session_id="long",
        bytes_sent="long",
        bytes_received="long",
        packets_sent="int",
        packets_received="int",
        duration_ms=_optional("long"),
        start_time=_optional(_MILLIS),
        url=_optional("string"),
        user_agent=_optional("string"),
        http_status=_optional("int"),
        is_decrypted="boolean",
        risk_score="float",
        file_hash=_optional("bytes"),
        threat=_optional(_THREAT),
        src_geo=_GEO,
        dst_geo="Geo",
        device=_DEVICE,
        tags=_TEXTS,
        labels=_LABELS,
        hops={"type": "array", "items": _record("Hop", ip="string", rtt_ms="double")},
    ),
}

SCHEMA_JSON: Final = json.dumps(SCHEMA)


def events(count: int, seed: int = 42) -> Iterator[dict[str, Avro]]:
    """The same `count` events for the same seed; times are numbers, as on the wire."""
    source = _Source(seed)
    for index in range(count):
        yield source.event(index)


class _Source:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def event(self, index: int) -> dict[str, Avro]:
        choice, number, chance = self._random.choice, self._random.randrange, self._chance
        ts = FIRST_EVENT_MS + index * 37 + number(30)
        return {
            "ts": ts,
            "receive_time": (ts + number(2000)) * 1000 + number(1000),
            "event_id": self._uuid(),
            "tenant_id": f"tenant-{number(500):05d}",
            "log_type": choice(["TRAFFIC", "THREAT", "URL", "AUTH"]),
            "sequence": index,
            "action": "deny" if chance(0.2) else choice(["allow", "allow", "drop", "reset-both"]),
            "severity": choice(["INFO", *_SEVERITIES]),
            "src_ip": self._ip(),
            "dst_ip": self._ip(),
            "src_port": number(1024, 65536),
            "dst_port": choice([443, 80, 53, 22, 445, 8080]),
            "src_zone": choice(["trust", "dmz", "guest"]),
            "dst_zone": choice(["untrust", "dmz", "vpn"]),
            "src_user": f"corp\\user{number(20000)}" if chance(0.7) else None,
            "dst_user": f"corp\\user{number(20000)}" if chance(0.1) else None,
            "app": choice(["web-browsing", "ssl", "dns", "ms-office365", "slack-base", "ssh", "téléphonie"]),
            "app_category": choice(["business", "collaboration", "networking", None]),
            "protocol": choice(["tcp", "udp", "icmp"]),
            "rule": f"rule-{number(300)}-allow-outbound",
            "rule_uuid": self._uuid() if chance(0.8) else None,
            "session_id": self._random.getrandbits(40),
            "bytes_sent": int(self._random.lognormvariate(7.5, 2)),
            "bytes_received": int(self._random.lognormvariate(8, 2.2)),
            "packets_sent": number(1, 2000),
            "packets_received": number(1, 2000),
            "duration_ms": number(600_000) if chance(0.9) else None,
            "start_time": ts - number(600_000) if chance(0.9) else None,
            "url": self._url() if chance(0.8) else None,
            "user_agent": choice(
                [
                    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
                    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Safari/605.1.15",
                    "curl/8.5.0",
                    None,
                ]
            ),
            "http_status": choice([200, 301, 403, 404, 500, None]),
            "is_decrypted": chance(0.3),
            "risk_score": struct.unpack("f", struct.pack("f", self._random.random() * 10))[0],
            "file_hash": self._random.randbytes(32) if chance(0.6) else None,
            "threat": self._threat() if chance(0.5) else None,
            "src_geo": self._geo(),
            "dst_geo": self._geo(),
            "device": {
                "serial": f"0079{number(10**11):011d}",
                "hostname": f"fw-{choice(['sjc', 'fra', 'nrt'])}-{number(99):02d}",
                "vsys": "vsys1",
                "os_version": choice(["11.1.2", "10.2.9", None]),
                "labels": {"site": choice(["hq", "branch"]), "tier": choice(["1", "2"])},
            },
            "tags": [choice(["prod", "pci", "vip", "lab", "iot"]) for _ in range(number(4))],
            "labels": {
                key: self._hex(6)
                for key in self._random.sample(["env", "team", "cost", "owner", "zone"], number(4))
            },
            "hops": [{"ip": self._ip(), "rtt_ms": self._random.random() * 80} for _ in range(number(5))],
        }

    def _threat(self) -> Avro:
        number = self._random.randrange
        return {
            "id": number(10**6),
            "name": f"Trojan/Win32.gen.{number(999)}",
            "category": self._random.choice(["malware", "spyware", "phishing"]),
            "confidence": self._random.random(),
            "cves": [f"CVE-20{number(15, 26)}-{number(9999):04d}" for _ in range(number(4))],
        }

    def _geo(self) -> Avro:
        known = self._chance(0.8)
        return {
            "country": self._random.choice(["US", "DE", "JP", "BR", "GB", "FR"]),
            "city": self._random.choice(["Santa Clara", "München", "東京", "São Paulo", "London", None]),
            "lat": self._random.uniform(-90, 90) if known else None,
            "lon": self._random.uniform(-180, 180) if known else None,
            "asn": self._random.randrange(1, 400_000) if known else None,
        }

    def _url(self) -> str:
        number = self._random.randrange
        host = f"{self._random.choice(['www', 'api', 'cdn'])}.example{number(900)}.com"
        return f"https://{host}/api/v2/resources/{self._hex(24)}/download/{self._hex(32)}?q={number(10**6)}"

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _ip(self) -> str:
        number = self._random.randrange
        return f"{number(1, 224)}.{number(256)}.{number(256)}.{number(256)}"

    def _hex(self, digits: int) -> str:
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"

    def _uuid(self) -> str:
        return "-".join(map(self._hex, (8, 4, 4, 4, 12)))
