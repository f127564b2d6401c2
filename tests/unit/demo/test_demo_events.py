"""Zeek rows become events that the demo's schemas and statements accept."""

import io
import json

import fastavro
import pytest

from deploy.demo import feed, zeek
from deploy.demo.scenario import TENANTS, Tenant
from deploy.demo.schemas import DNS_QUERIES, HTTP_REQUESTS, NETWORK_CONNECTIONS, Dataset
from libs.codec.messages import decoded_schema
from libs.codec.schema import canonical
from libs.sql import compile_query
from sluice.dataplane.v1 import job_spec_pb2

COMMON = "1379288667.706265\tC1\t10.0.0.1\t1032\t10.0.0.2\t80"
COMMON_FIELDS = "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p"
COMMON_TYPES = "time\tstring\taddr\tport\taddr\tport"


def rows(fields: str, types: str, *lines: str) -> list[zeek.Row]:
    head = [f"#fields\t{COMMON_FIELDS}\t{fields}", f"#types\t{COMMON_TYPES}\t{types}"]
    return list(zeek.parse([*head, *(f"{COMMON}\t{line}" for line in lines)]))


CONNECTIONS = rows(
    "proto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes"
    "\tresp_pkts\tresp_ip_bytes\ttunnel_parents",
    "enum\tstring\tinterval\tcount\tcount\tstring\tcount\tstring\tcount\tcount\tcount\tcount\ttable[string]",
    "tcp\thttp\t0.447460\t601\t38393\tRSTO\t0\tShADadR\t22\t1489\t31\t39641\t(empty)",
    "udp\t-\t-\t-\t-\t-\t0\t-\t1\t44\t0\t0\t-",
)
QUERIES = rows(
    "proto\ttrans_id\tquery\tqtype_name\trcode_name\tAA\tTC\tRD\tRA\tanswers\tTTLs\trejected",
    "enum\tcount\tstring\tstring\tstring\tbool\tbool\tbool\tbool\tvector[string]\tvector[interval]\tbool",
    "udp\t44949\tguyspy.com\tA\tNOERROR\tF\tF\tT\tT\t54.245.228.191\t36.0\tF",
    "tcp\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\tF",
)
REQUESTS = rows(
    "trans_depth\tmethod\thost\turi\treferrer\tuser_agent\trequest_body_len\tresponse_body_len\tstatus_code\tstatus_msg"
    "\tresp_mime_types",
    "count\tstring\tstring\tstring\tstring\tstring\tcount\tcount\tcount\tstring\tvector[string]",
    "1\tGET\tguyspy.com\t/\t-\tMozilla\t0\t184\t301\tMoved Permanently\ttext/html",
    "1\t-\t-\t-\t-\t-\t0\t0\t-\t-\t-",
)


@pytest.mark.parametrize(
    "dataset, logged",
    [(NETWORK_CONNECTIONS, CONNECTIONS), (DNS_QUERIES, QUERIES), (HTTP_REQUESTS, REQUESTS)],
    ids=lambda value: value.id if isinstance(value, Dataset) else "rows",
)
def test_every_row_fits_its_schema_and_comes_back_the_same(dataset: Dataset, logged: list[zeek.Row]) -> None:
    schema = fastavro.parse_schema(json.loads(dataset.schema))
    encode = feed.encoder(dataset.schema)

    for row in logged:
        event = dataset.event_of(row)
        decoded = fastavro.schemaless_reader(io.BytesIO(encode(event)), schema, None)
        assert isinstance(decoded, dict)
        assert int(decoded.pop("ts").timestamp() * 1_000_000) == event["ts"]
        assert decoded == {name: value for name, value in event.items() if name != "ts"}


@pytest.mark.parametrize("tenant", TENANTS, ids=lambda tenant: tenant.id)
def test_every_statement_compiles_against_its_dataset(tenant: Tenant) -> None:
    compiled = compile_query(tenant.sql, decoded_schema(canonical(tenant.dataset.schema)))

    assert compiled.output_schema.names[0] == "ts"


def test_the_tenants_show_both_formats_and_three_datasets() -> None:
    assert len({tenant.dataset.id for tenant in TENANTS}) == len({tenant.topic for tenant in TENANTS}) == 3
    assert {tenant.output_format for tenant in TENANTS} == {
        job_spec_pb2.OUTPUT_FORMAT_AVRO,
        job_spec_pb2.OUTPUT_FORMAT_JSON,
    }


def test_a_repeated_event_differs_in_its_time_only() -> None:
    event = NETWORK_CONNECTIONS.event_of(CONNECTIONS[0])

    assert feed.at(event, 7) == {**event, "ts": 7}
    assert event["ts"] == 1_379_288_667_706_265
