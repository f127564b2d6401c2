"""Records and clusters of the deployer's integration tests."""

import uuid
from dataclasses import replace

import pytest

from deploy.local import LocalStack
from libs.store import utc_now
from services.deployer import commands
from services.deployer.model import Incarnation, JobName, JobRecord, KnownTopic, Spec


@pytest.fixture
def record(kafka: LocalStack) -> JobRecord:
    """A started job of its own on the session's cluster."""
    spec = Spec.of(b"spec", 2, kafka.kafka_bootstrap)
    name = JobName(f"jobs/j-{uuid.uuid4().hex[:12]}")
    created = commands.created(name, spec, paused=False, now=utc_now())
    return replace(
        created, incarnation=Incarnation(3), running=spec, known_topics=(KnownTopic("in", "topic-id", 4),)
    )
