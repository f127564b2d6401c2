"""Compiling against the world as it is now: gather, compile, and say it in the API's errors."""

import asyncio
import time

from libs.service_kit.errors import (
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    PreconditionViolation,
)
from libs.service_kit.errors import Unavailable as UnavailableError
from services.subscription import metrics
from services.subscription.compile import compile_spec
from services.subscription.model import CannotCompile, JobDefaults, Problem
from services.subscription.ports import Refused, Unavailable, World
from services.subscription.sink import TOPIC_FIELD, output_subject, subject_of
from sluice.dataplane.v1 import job_spec_pb2
from sluice.subscription.v1 import subscription_pb2


class Compiler:
    """Compiles subscriptions for the loop (`compile`) and for tenants' requests (`accept`)."""

    def __init__(self, world: World, defaults: JobDefaults) -> None:
        self._world = world
        self._defaults = defaults

    async def compile(self, subscription: subscription_pb2.Subscription) -> job_spec_pb2.JobSpec:
        """Raises CannotCompile with every problem, Unavailable and Refused."""
        tenant = subscription.name.split("/")[1]
        surroundings = await self._world.surroundings(subscription.dataset, tenant)
        began = time.perf_counter()
        # A long statement takes a quarter of a second: other calls go on meanwhile.
        spec = await asyncio.to_thread(compile_spec, subscription, surroundings, self._defaults)
        metrics.COMPILE_SECONDS.observe(time.perf_counter() - began)
        return spec

    async def accept(self, subscription: subscription_pb2.Subscription) -> job_spec_pb2.JobSpec:
        """Compile what a tenant asks for, and look at the sink that it names.

        Raises InvalidArgument with every problem, FailedPrecondition when another service refuses, and
        UNAVAILABLE naming the service that does not answer.
        """
        try:
            spec = await self.compile(subscription)
            await self._check_sink(subscription.sink, spec)
        except CannotCompile as error:
            raise InvalidArgument(
                [FieldViolation(p.field, p.description, p.reason) for p in error.problems],
                reason=error.problems[0].reason,
            ) from error
        except Refused as error:
            violation = PreconditionViolation("DEPENDENCY_REFUSED", error.service, error.detail)
            raise FailedPrecondition(
                [violation], reason="DEPENDENCY_REFUSED", metadata={"dependency": error.service}
            ) from error
        except Unavailable as error:
            raise UnavailableError(error.service) from error
        return spec

    async def _check_sink(self, sink: subscription_pb2.Sink, spec: job_spec_pb2.JobSpec) -> None:
        """What only the other services know of a topic that the tenant named."""
        if sink.WhichOneof("kind") != "kafka_topic":
            return
        cluster, topic = sink.kafka_topic.cluster, sink.kafka_topic.topic
        if not await self._world.topic_exists(cluster, topic):
            text = f"topic {topic} does not exist on {cluster}: create it, or use managed_topic"
            raise CannotCompile(Problem(TOPIC_FIELD, text, "SINK_TOPIC_MISSING"))
        # Whose events they are is not this tenant's business.
        if dataset := await self._world.dataset_in(cluster, topic):
            text = f"{topic!r} holds events of {dataset}: rows would appear among them; take another topic"
            raise CannotCompile(Problem(TOPIC_FIELD, text, "SINK_IS_INPUT"))
        if output_subject(spec) and (
            dataset := await self._world.dataset_of(f"subjects/{subject_of(topic)}")
        ):
            text = (
                f"rows in {topic!r} would be described by subjects/{subject_of(topic)}, which describes the events "
                f"of {dataset}: take another topic, or JSON"
            )
            raise CannotCompile(Problem(TOPIC_FIELD, text, "SINK_SUBJECT_IN_USE"))
