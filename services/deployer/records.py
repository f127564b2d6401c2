"""The stored record of a job ↔ the model, and the fact that tells of a change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from services.deployer.model import (
    Desire,
    Incarnation,
    JobName,
    JobRecord,
    KnownTopic,
    Spec,
    Start,
    State,
    runner_job_id,
)
from sluice.dataplane.v1 import control_pb2, job_spec_pb2
from sluice.deployer.v1 import job_pb2, record_pb2

RECORDS = "jobs/"
_STATES: Mapping[State, job_pb2.JobState] = {
    State.PENDING: job_pb2.JOB_STATE_PENDING,
    State.STARTING: job_pb2.JOB_STATE_STARTING,
    State.RUNNING: job_pb2.JOB_STATE_RUNNING,
    State.STOPPING: job_pb2.JOB_STATE_STOPPING,
    State.STOPPED: job_pb2.JOB_STATE_STOPPED,
    State.BACKOFF: job_pb2.JOB_STATE_BACKOFF,
    State.DRAINED: job_pb2.JOB_STATE_DRAINED,
    State.CANCELLED: job_pb2.JOB_STATE_CANCELLED,
}


def spec_of(message: job_spec_pb2.JobSpec) -> Spec:
    return Spec.of(
        message.SerializeToString(deterministic=True), message.shards, message.dead_letters.bootstrap_servers
    )


def spec_message(spec: Spec) -> job_spec_pb2.JobSpec:
    return job_spec_pb2.JobSpec.FromString(spec.serialized)


def state_message(state: State) -> job_pb2.JobState:
    return _STATES[state]


def job_message(record: JobRecord, runner: str) -> job_pb2.Job:
    """The job as the API shows it, without metrics and etag."""
    job = job_pb2.Job(
        name=record.name,
        spec=spec_message(record.spec),
        spec_digest=record.spec.digest,
        desire=job_pb2.Desire(
            drain=record.desire.drain,
            cancel=record.desire.cancel,
            pause=record.desire.pause,
            hibernate=record.desire.hibernate,
        ),
        state=state_message(record.state),
        state_reason=record.state_reason,
        reconciling=not record.settled or record.observed_generation < record.generation,
        generation=record.generation,
        observed_generation=record.observed_generation,
        incarnation=record.incarnation,
        runner_job_name=record.runner_job_name,
        runner_job_id=record.runner_job_id if record.incarnation else "",
        runner=runner,
        running_spec_digest=record.running.digest if record.running and record.occupied else "",
        failures=record.failures,
        state_time=_stamp(record.state_time),
        create_time=_stamp(record.create_time),
        update_time=_stamp(record.update_time),
    )
    if record.next_start_time is not None:
        job.next_start_time.CopyFrom(_stamp(record.next_start_time))
    for start in record.history:
        entry = job.history.add(
            incarnation=start.incarnation,
            runner_job_id=runner_job_id(record.name, start.incarnation),
            spec_digest=start.spec_digest,
            start_time=_stamp(start.start_time),
            reason=start.reason,
        )
        if start.end_time is not None:
            entry.end_time.CopyFrom(_stamp(start.end_time))
    return job


def to_message(record: JobRecord, runner: str) -> record_pb2.JobRecord:
    message = record_pb2.JobRecord(
        job=job_message(record, runner),
        submitted=record.submitted,
        stop_sent=record.stop_sent,
        fenced=record.fenced,
        known_topics=[known_topic_message(topic) for topic in record.known_topics],
        fence_shards=record.fence_shards,
        control_cleared=record.control_cleared,
    )
    if record.running is not None:
        message.running_spec.CopyFrom(spec_message(record.running))
    return message


def from_message(message: record_pb2.JobRecord) -> JobRecord:
    job = message.job
    return JobRecord(
        name=JobName(job.name),
        spec=spec_of(job.spec),
        desire=Desire(job.desire.drain, job.desire.cancel, job.desire.pause, job.desire.hibernate),
        state=State(job_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_")),
        state_reason=job.state_reason,
        state_time=_time(job.state_time),
        generation=job.generation,
        observed_generation=job.observed_generation,
        incarnation=Incarnation(job.incarnation),
        failures=job.failures,
        create_time=_time(job.create_time),
        update_time=_time(job.update_time),
        next_start_time=_time(job.next_start_time) if job.HasField("next_start_time") else None,
        running=spec_of(message.running_spec) if message.HasField("running_spec") else None,
        submitted=message.submitted,
        stop_sent=message.stop_sent,
        fenced=message.fenced,
        fence_shards=message.fence_shards,
        control_cleared=message.control_cleared,
        known_topics=tuple(map(known_topic, message.known_topics)),
        history=tuple(_start(entry) for entry in job.history),
    )


def change_message(record: JobRecord, previous: JobRecord | None, runner: str) -> job_pb2.JobStateChanged:
    return job_pb2.JobStateChanged(
        job=job_message(record, runner),
        previous_state=state_message(previous.state) if previous else job_pb2.JOB_STATE_UNSPECIFIED,
    )


def known_topic(message: control_pb2.KnownTopic) -> KnownTopic:
    return KnownTopic(message.topic, message.topic_id, message.partitions)


def known_topic_message(topic: KnownTopic) -> control_pb2.KnownTopic:
    return control_pb2.KnownTopic(topic=topic.topic, topic_id=topic.topic_id, partitions=topic.partitions)


def _start(entry: job_pb2.IncarnationRecord) -> Start:
    return Start(
        incarnation=Incarnation(entry.incarnation),
        spec_digest=entry.spec_digest,
        start_time=_time(entry.start_time),
        end_time=_time(entry.end_time) if entry.HasField("end_time") else None,
        reason=entry.reason,
    )


def _stamp(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
