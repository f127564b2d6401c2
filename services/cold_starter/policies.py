"""Hibernation policies: at most one for a scope, by a claim that is written in the same commit."""

from collections.abc import Awaitable, Callable, Iterable
from typing import NoReturn

import tenacity

from libs.service_kit.errors import Aborted, AlreadyExists, NotFound
from libs.service_kit.etag import check_etag
from libs.service_kit.resource_names import ResourcePattern
from libs.service_kit.update_mask import apply_update_mask
from libs.store import (
    ABSENT,
    ANYTHING,
    AtRevision,
    Clock,
    Collection,
    Conflict,
    Mutation,
    Mutations,
    Store,
    Stored,
    Write,
    etag_of,
    utc_now,
)
from services.cold_starter.decide import policy_in_force, scopes_of
from sluice.cold_starter.v1 import cold_starter_pb2 as pb
from sluice.cold_starter.v1 import record_pb2

POLICIES = "hibernationPolicies/"
SCOPES = "scopes/"
_PATTERN = ResourcePattern("hibernationPolicies/{hibernation_policy}")

ChangeRequest = (
    pb.CreateHibernationPolicyRequest | pb.UpdateHibernationPolicyRequest | pb.DeleteHibernationPolicyRequest
)


class ScopeTaken(AlreadyExists):
    """There is a policy for this scope."""

    def __init__(self, scope: str, policy: str) -> None:
        super().__init__(policy, resource_type="sluice.dev/HibernationPolicy", reason="SCOPE_HAS_POLICY")
        self.message = f"{policy} is already the policy for {scope}: change that one"
        self.metadata["scope"] = scope


def _contended(_state: tenacity.RetryCallState) -> NoReturn:
    raise Aborted("the policies are being changed by many others: repeat the call")


class Policies:
    """The hibernation policies of one store."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store = store
        self._clock = clock
        self._mutations = Mutations(store, clock)
        self._policies = Collection(store, pb.HibernationPolicy, POLICIES)
        self._scopes = Collection(store, record_pb2.ScopeClaim, SCOPES)

    async def get(self, name: str) -> pb.HibernationPolicy:
        """Raises NotFound."""
        return _with_etag(await self._find(name))

    async def page(self, page_size: int, after: str) -> tuple[list[pb.HibernationPolicy], str]:
        """A page in the order of names, and the cursor of the next one."""
        found = await self._policies.list(page_size, after)
        return [_with_etag(stored) for stored in found.items], found.next_after

    async def in_force(self, subscriptions: Iterable[str]) -> dict[str, str]:
        """The name of the policy that counts for each of the subscriptions now; empty where none does."""
        wanted = sorted(set(subscriptions))
        scopes = sorted({scope for subscription in wanted for scope in scopes_of(subscription)})
        records = await self._store.get_many([SCOPES + scope for scope in scopes]) if scopes else ()
        policies = {
            scope: record_pb2.ScopeClaim.FromString(record.value).hibernation_policy
            for scope, record in zip(scopes, records, strict=True)
            if record is not None
        }
        return {subscription: policy_in_force(subscription, policies) for subscription in wanted}

    async def create(self, request: pb.CreateHibernationPolicyRequest) -> pb.HibernationPolicy:
        name = POLICIES + request.hibernation_policy_id

        async def decide() -> Mutation[pb.HibernationPolicy]:
            if await self._policies.get(name) is not None:
                raise AlreadyExists(name, resource_type="sluice.dev/HibernationPolicy")
            policy = pb.HibernationPolicy()
            policy.CopyFrom(request.hibernation_policy)
            policy.name = name
            policy.ClearField("etag")
            policy.create_time.FromDatetime(self._clock())
            claim = await self._claim(policy)
            return Mutation([self._policies.put(name, policy, ABSENT), claim], [], policy)

        return await self._change(request, decide)

    async def update(self, request: pb.UpdateHibernationPolicyRequest) -> pb.HibernationPolicy:
        given = request.hibernation_policy

        async def decide() -> Mutation[pb.HibernationPolicy]:
            _PATTERN.parse(given.name, field="hibernation_policy.name")
            stored = await self._find(given.name)
            check_etag(given.etag, stored.etag, given.name)
            policy = apply_update_mask(stored.message, given, request.update_mask, field="hibernation_policy")
            writes: list[Write] = [self._policies.put(given.name, policy, AtRevision(stored.revision))]
            if policy.scope != stored.message.scope:
                writes += [await self._claim(policy), self._release(stored.message)]
            return Mutation(writes, [], policy)

        return await self._change(request, decide)

    async def delete(self, request: pb.DeleteHibernationPolicyRequest) -> None:
        async def decide() -> Mutation[pb.HibernationPolicy]:
            stored = await self._find(request.name)
            check_etag(request.etag, stored.etag, request.name)
            own = self._policies.delete(request.name, AtRevision(stored.revision))
            return Mutation([own, self._release(stored.message)], [], stored.message)

        await self._change(request, decide)

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(Conflict),
        stop=tenacity.stop_after_attempt(10),
        wait=tenacity.wait_random(0, 0.05),
        retry_error_callback=_contended,
    )
    async def _change(
        self, request: ChangeRequest, decide: Callable[[], Awaitable[Mutation[pb.HibernationPolicy]]]
    ) -> pb.HibernationPolicy:
        """Commit what is decided; decided again when something has changed meanwhile."""
        if request.validate_only:
            return (await decide()).response
        outcome = await self._mutations.run(request.request_id, request, pb.HibernationPolicy, decide)
        outcome.response.etag = etag_of(outcome.revision)
        return outcome.response

    async def _find(self, name: str) -> Stored[pb.HibernationPolicy]:
        stored = await self._policies.get(name)
        if stored is None:
            raise NotFound(name, resource_type="sluice.dev/HibernationPolicy")
        return stored

    async def _claim(self, policy: pb.HibernationPolicy) -> Write:
        claim = await self._scopes.get(SCOPES + policy.scope)
        if claim is not None:
            raise ScopeTaken(policy.scope, claim.message.hibernation_policy)
        return self._scopes.put(
            SCOPES + policy.scope, record_pb2.ScopeClaim(hibernation_policy=policy.name), ABSENT
        )

    def _release(self, policy: pb.HibernationPolicy) -> Write:
        """The claim is the policy's own, as long as the policy is at the revision that was read."""
        return self._scopes.delete(SCOPES + policy.scope, ANYTHING)


def _with_etag(stored: Stored[pb.HibernationPolicy]) -> pb.HibernationPolicy:
    stored.message.etag = stored.etag
    return stored.message
