"""Who wants what: three tenants, each with one subscription of another kind."""

from dataclasses import dataclass
from typing import Final

from deploy.demo.schemas import DNS_QUERIES, HTTP_REQUESTS, NETWORK_CONNECTIONS, Dataset
from sluice.dataplane.v1 import job_spec_pb2

PARTITIONS: Final = 4
BACKLOG: Final = 20_000
EVENTS_PER_SECOND: Final = 2_000


@dataclass(frozen=True)
class Tenant:
    """One tenant of the demo: the events it owns and the subscription it asks for."""

    id: str
    dataset: Dataset
    subscription_id: str
    wish: str
    sql: str
    output_format: job_spec_pb2.OutputFormat

    @property
    def name(self) -> str:
        return f"tenants/{self.id}"

    @property
    def subscription(self) -> str:
        return f"{self.name}/subscriptions/{self.subscription_id}"

    @property
    def topic(self) -> str:
        """The tenant's own input topic: what the dataset's binding names."""
        return f"{self.id}.{self.dataset.id}"

    @property
    def names_offsets(self) -> bool:
        """Whether each row names the input event it comes from, as columns `p` and `o`."""
        return "_offset AS o" in self.sql

    @property
    def format_name(self) -> str:
        return job_spec_pb2.OutputFormat.Name(self.output_format).removeprefix("OUTPUT_FORMAT_")


TENANTS: Final = (
    Tenant(
        id="acme",
        dataset=NETWORK_CONNECTIONS,
        subscription_id="botnet-peers",
        wish="a filter: traffic on the port of the ZeroAccess botnet",
        sql=(
            "SELECT ts, id.orig_h AS source, id.resp_h AS peer, conn_state, duration\n"
            "FROM events\n"
            "WHERE proto = 'udp' AND id.resp_p = 16464"
        ),
        output_format=job_spec_pb2.OUTPUT_FORMAT_JSON,
    ),
    Tenant(
        id="globex",
        dataset=DNS_QUERIES,
        subscription_id="resolved-names",
        wish="a projection: nested fields, an array, a map, functions, CASE",
        sql=(
            "SELECT ts, id.orig_h AS client, lower(query) AS name, answers[-1] AS address,\n"
            "       array_length(answers) AS hops, flags['RD'] AS recursive,\n"
            "       CASE WHEN ttls[1] < 300 THEN 'short' ELSE 'long' END AS life,\n"
            "       _partition AS p, _offset AS o\n"
            "FROM events"
        ),
        output_format=job_spec_pb2.OUTPUT_FORMAT_AVRO,
    ),
    Tenant(
        id="initech",
        dataset=HTTP_REQUESTS,
        subscription_id="all-requests",
        wish="the full row",
        sql="SELECT * FROM events",
        output_format=job_spec_pb2.OUTPUT_FORMAT_JSON,
    ),
)
