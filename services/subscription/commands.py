"""What a tenant may do with a subscription. Nothing is written unless all of it is right."""

import secrets
import uuid
from collections.abc import Awaitable, Callable

import tenacity

from libs.service_kit.errors import (
    AlreadyExists,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    PreconditionViolation,
)
from libs.service_kit.etag import check_etag
from libs.service_kit.resource_names import ResourcePattern
from libs.service_kit.update_mask import apply_update_mask
from libs.service_kit.validation import validate
from libs.store import ABSENT, AtRevision, Conflict, Mutation, Mutations, Stored, etag_of
from services.subscription.compiling import Compiler
from services.subscription.decide import is_deleting
from services.subscription.records import Record, Subscriptions, copy_of, set_spec, shown
from sluice.subscription.v1 import subscription_pb2
from sluice.subscription.v1 import subscription_service_pb2 as pb

_RESOURCE = "sluice.dev/Subscription"
_PATTERN = ResourcePattern("tenants/{tenant}/subscriptions/{subscription}")
_ATTEMPTS = 20
_JOB_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"

Change = (
    pb.CreateSubscriptionRequest
    | pb.UpdateSubscriptionRequest
    | pb.DeleteSubscriptionRequest
    | pb.PauseSubscriptionRequest
    | pb.ResumeSubscriptionRequest
)


def new_job_name() -> str:
    """An id of its own, 60 random bits: never used again, whatever happens to the subscription's name."""
    return "jobs/j-" + "".join(secrets.choice(_JOB_ID_ALPHABET) for _ in range(12))


class Commands:
    """The mutations of the API. `wake` tells the loop which subscription to look at."""

    def __init__(self, subscriptions: Subscriptions, compiler: Compiler, wake: Callable[[str], None]) -> None:
        self._subscriptions = subscriptions
        self._mutations = Mutations(subscriptions.store, subscriptions.clock)
        self._compiler = compiler
        self._wake = wake

    async def create(self, request: pb.CreateSubscriptionRequest) -> subscription_pb2.Subscription:
        name = f"{request.parent}/subscriptions/{request.subscription_id}"

        async def decide() -> Mutation[subscription_pb2.Subscription]:
            if await self._subscriptions.get(name) is not None:
                raise AlreadyExists(name, resource_type=_RESOURCE)
            record = Record()
            _copy_wish(request.subscription, record.subscription)
            record.subscription.name = name
            record.subscription.uid = str(uuid.uuid4())
            record.subscription.job = new_job_name()
            record.subscription.generation = 1
            record.subscription.create_time.FromDatetime(self._subscriptions.clock())
            set_spec(record, await self._compiler.accept(record.subscription))
            record.compile_due = True
            writes, events = self._subscriptions.writing(record, ABSENT)
            return Mutation(writes, events, record.subscription)

        response = await self._run(request, name, decide, validate_only=request.validate_only)
        if request.validate_only:
            for chosen_at_creation in ("uid", "job"):
                response.ClearField(chosen_at_creation)
        return response

    async def update(self, request: pb.UpdateSubscriptionRequest) -> subscription_pb2.Subscription:
        name = request.subscription.name
        _PATTERN.parse(name, field="subscription.name")

        async def decide() -> Mutation[subscription_pb2.Subscription]:
            before = await self._changeable(name, request.subscription.etag)
            after = copy_of(before.message)
            current = before.message.subscription
            wished = _merged(current, request)
            if _wish(wished) == _wish(current):
                return Mutation([], [], shown(before))
            after.subscription.CopyFrom(wished)
            after.subscription.ClearField("etag")
            after.subscription.generation += 1
            set_spec(after, await self._compiler.accept(after.subscription))
            after.compile_due = True
            writes, events = self._subscriptions.writing(after, AtRevision(before.revision))
            return Mutation(writes, events, after.subscription)

        return await self._run(request, name, decide, validate_only=request.validate_only)

    async def delete(self, request: pb.DeleteSubscriptionRequest) -> subscription_pb2.Subscription | None:
        def end(record: Record) -> bool:
            if is_deleting(record):
                return False
            record.subscription.state = subscription_pb2.SUBSCRIPTION_STATE_DELETING
            record.subscription.state_time.FromDatetime(self._subscriptions.clock())
            record.problem, record.problem_is_final = "", False
            return True

        try:
            return await self._change(request, end, may_be_deleting=True)
        except NotFound:
            if request.allow_missing:
                return None
            raise

    async def pause(self, request: pb.PauseSubscriptionRequest) -> subscription_pb2.Subscription:
        return await self._change(request, lambda record: _set_paused(record, True))

    async def resume(self, request: pb.ResumeSubscriptionRequest) -> subscription_pb2.Subscription:
        return await self._change(request, lambda record: _set_paused(record, False))

    async def _changeable(self, name: str, etag: str, *, may_be_deleting: bool = False) -> Stored[Record]:
        before = await self._subscriptions.get(name)
        if before is None:
            raise NotFound(name, resource_type=_RESOURCE)
        check_etag(etag, etag_of(before.revision), name)
        if is_deleting(before.message) and not may_be_deleting:
            text = "it is being deleted: wait until it is gone and create it again"
            raise FailedPrecondition(
                [PreconditionViolation("DELETING", name, text)], reason="SUBSCRIPTION_DELETING"
            )
        return before

    async def _change(
        self,
        request: pb.DeleteSubscriptionRequest | pb.PauseSubscriptionRequest | pb.ResumeSubscriptionRequest,
        change: Callable[[Record], bool],
        *,
        may_be_deleting: bool = False,
    ) -> subscription_pb2.Subscription:
        """Apply `change`, which says whether it changed anything; a change is a new generation."""

        async def decide() -> Mutation[subscription_pb2.Subscription]:
            before = await self._changeable(request.name, request.etag, may_be_deleting=may_be_deleting)
            after = copy_of(before.message)
            if not change(after):
                return Mutation([], [], shown(before))
            after.subscription.generation += 1
            writes, events = self._subscriptions.writing(after, AtRevision(before.revision))
            return Mutation(writes, events, after.subscription)

        return await self._run(request, request.name, decide)

    async def _run(
        self,
        request: Change,
        name: str,
        decide: Callable[[], Awaitable[Mutation[subscription_pb2.Subscription]]],
        *,
        validate_only: bool = False,
    ) -> subscription_pb2.Subscription:
        if validate_only:
            return (await decide()).response
        # The loop writes status at any time: a change without a condition of the tenant's own is decided again.
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, Conflict) and error.expected != ABSENT
            ),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_random(0, 0.05),
            reraise=True,
        ):
            with attempt:
                response = await self._decide_and_commit(request, decide)
        self._wake(name)
        return response

    async def _decide_and_commit(
        self, request: Change, decide: Callable[[], Awaitable[Mutation[subscription_pb2.Subscription]]]
    ) -> subscription_pb2.Subscription:
        if request.request_id:
            outcome = await self._mutations.run(
                request.request_id, request, subscription_pb2.Subscription, decide
            )
            response, revision = outcome.response, outcome.revision
        else:
            mutation = await decide()
            response = mutation.response
            if not mutation.writes:
                return response
            revision = (await self._subscriptions.store.commit(mutation.writes, mutation.events)).revision
        # A response that changed nothing has the record's etag already.
        response.etag = response.etag or etag_of(revision)
        return response


def _merged(
    current: subscription_pb2.Subscription, request: pb.UpdateSubscriptionRequest
) -> subscription_pb2.Subscription:
    """The subscription after the update. What is fixed names what to do instead."""
    try:
        return apply_update_mask(current, request.subscription, request.update_mask, field="subscription")
    except InvalidArgument as error:
        if all(violation.reason != "IMMUTABLE_FIELD" for violation in error.violations):
            raise
        instead = "create another subscription with it, and delete this one once that is active"
        raise InvalidArgument(
            [FieldViolation(v.field, f"{v.description}; or {instead}", v.reason) for v in error.violations],
            reason="IMMUTABLE_FIELD",
        ) from error


def _set_paused(record: Record, paused: bool) -> bool:
    if record.subscription.paused == paused:
        return False
    record.subscription.paused = paused
    record.problem, record.problem_is_final = "", False
    return True


def _copy_wish(given: subscription_pb2.Subscription, target: subscription_pb2.Subscription) -> None:
    """Take over what a tenant may say; output-only fields are ignored as AIP-203 asks."""
    wish = _wish(given)
    validate(wish, prefix="subscription")
    target.CopyFrom(wish)


def _wish(subscription: subscription_pb2.Subscription) -> subscription_pb2.Subscription:
    """Just what the tenant asks for."""
    wish = subscription_pb2.Subscription(
        dataset=subscription.dataset,
        sql=subscription.sql,
        output_format=subscription.output_format,
        description=subscription.description,
    )
    if subscription.HasField("sink"):
        wish.sink.CopyFrom(subscription.sink)
    if subscription.HasField("start_position"):
        wish.start_position.CopyFrom(subscription.start_position)
    return wish
