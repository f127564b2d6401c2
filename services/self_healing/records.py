"""Reading and changing recorded resources, the same way for each type.

A change is decided on what is stored; then the record, what guards it and its TopologyChanged are committed
in one step. When something that it was decided on has changed meanwhile, it is decided again.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import tenacity
from google.protobuf.field_mask_pb2 import FieldMask

from libs.service_kit.errors import Aborted, AlreadyExists, NotFound
from libs.service_kit.etag import check_etag
from libs.service_kit.pagination import read_page
from libs.service_kit.resource_names import ResourcePattern
from libs.service_kit.tracing import current_traceparent
from libs.service_kit.update_mask import apply_update_mask
from libs.store import (
    ABSENT,
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
    new_event,
    utc_now,
)
from services.self_healing.model import SOURCE
from sluice.self_healing.v1 import self_healing_pb2 as pb
from sluice.self_healing.v1 import topology_pb2

ResourceT = TypeVar("ResourceT", bound=topology_pb2.Cluster | topology_pb2.Dataset | topology_pb2.Binding)

ListRequest = pb.ListClustersRequest | pb.ListDatasetsRequest | pb.ListBindingsRequest
CreateRequest = pb.CreateClusterRequest | pb.CreateDatasetRequest | pb.CreateBindingRequest
UpdateRequest = pb.UpdateClusterRequest | pb.UpdateDatasetRequest | pb.UpdateBindingRequest
DeleteRequest = pb.DeleteClusterRequest | pb.DeleteDatasetRequest | pb.DeleteBindingRequest

DEFAULT_PAGE_SIZE = 50
ATTEMPTS = 30


@dataclass(frozen=True, slots=True)
class Kind(Generic[ResourceT]):
    """A resource type: `field` is its name in requests; record names are `prefix` and the resource's name."""

    field: str
    message_type: type[ResourceT]
    prefix: str
    pattern: ResourcePattern
    fact: Callable[[ResourceT, bool], topology_pb2.TopologyChanged]


CLUSTERS = Kind(
    "cluster",
    topology_pb2.Cluster,
    "cluster/",
    ResourcePattern("clusters/{cluster}"),
    lambda cluster, deleted: topology_pb2.TopologyChanged(cluster=cluster, deleted=deleted),
)
DATASETS = Kind(
    "dataset",
    topology_pb2.Dataset,
    "dataset/",
    ResourcePattern("datasets/{dataset}"),
    lambda dataset, deleted: topology_pb2.TopologyChanged(dataset=dataset, deleted=deleted),
)
BINDINGS = Kind(
    "binding",
    topology_pb2.Binding,
    "binding/",
    ResourcePattern("datasets/{dataset}/bindings/{tenant}"),
    lambda binding, deleted: topology_pb2.TopologyChanged(binding=binding, deleted=deleted),
)


class Records:
    """The recorded resources of one store."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self.store = store
        self._clock = clock
        self._mutations = Mutations(store, clock)
        self._contended = asyncio.Lock()

    async def find(self, kind: Kind[ResourceT], name: str) -> Stored[ResourceT]:
        """Raises NotFound."""
        stored = await self._collection(kind).get(kind.prefix + name)
        if stored is None:
            raise NotFound(name, resource_type=_type_name(kind))
        return stored

    async def get(self, kind: Kind[ResourceT], name: str) -> ResourceT:
        """The resource with its etag. Raises NotFound."""
        return _with_etag(await self.find(kind, name))

    async def page(
        self, kind: Kind[ResourceT], request: ListRequest, within: str = ""
    ) -> tuple[list[ResourceT], str]:
        """A page of the resources whose names start with `within`, and the token of the next one."""
        page = read_page(request, default_size=DEFAULT_PAGE_SIZE, max_size=1000)
        found = await self._collection(kind).list(page.size, page.cursor, kind.prefix + within)
        token = page.token_after(found.next_after) if found.next_after else ""
        return [_with_etag(stored) for stored in found.items], token

    async def names(self, kind: Kind[ResourceT], within: str, count: int) -> tuple[list[str], bool]:
        """Up to `count` names that start with `within`, and whether there are more."""
        found = await self._collection(kind).list(count, within=kind.prefix + within)
        return [stored.message.name for stored in found.items], bool(found.next_after)

    async def many(self, kind: Kind[ResourceT], names: Sequence[str]) -> dict[str, ResourceT]:
        """Those of the resources that exist, by name."""
        found = [await self._collection(kind).get(kind.prefix + name) for name in names]
        return {stored.message.name: stored.message for stored in found if stored is not None}

    async def create(
        self,
        kind: Kind[ResourceT],
        name: str,
        given: ResourceT,
        request: CreateRequest,
        prepare: Callable[[ResourceT], Awaitable[Sequence[Write]]],
    ) -> ResourceT:
        """`prepare` checks the resource, may complete it, and returns what else to write."""

        async def decide() -> Mutation[ResourceT]:
            collection = self._collection(kind)
            if await collection.get(kind.prefix + name) is not None:
                raise AlreadyExists(name, resource_type=_type_name(kind))
            resource = copy.deepcopy(given)
            resource.name = name
            resource.ClearField("etag")
            resource.create_time.FromDatetime(self._clock())
            writes = await prepare(resource)
            own = collection.put(kind.prefix + name, resource, ABSENT)
            return self._mutation(kind, resource, [own, *writes])

        return await self._change(kind, request, decide)

    async def update(
        self,
        kind: Kind[ResourceT],
        given: ResourceT,
        request: UpdateRequest,
        prepare: Callable[[ResourceT, ResourceT], Awaitable[Sequence[Write]]],
    ) -> ResourceT:
        """`prepare` gets the resource before and after. An update that changes nothing writes nothing."""

        async def decide() -> Mutation[ResourceT]:
            kind.pattern.parse(given.name, field=f"{kind.field}.name")
            stored = await self.find(kind, given.name)
            check_etag(given.etag, stored.etag, given.name)
            mask: FieldMask = request.update_mask
            resource = apply_update_mask(stored.message, given, mask, field=kind.field)
            resource.ClearField("etag")
            writes = await prepare(stored.message, resource)
            if resource == stored.message:
                return Mutation([], [], _with_etag(stored))
            own = self._collection(kind).put(stored.name, resource, AtRevision(stored.revision))
            return self._mutation(kind, resource, [own, *writes])

        return await self._change(kind, request, decide)

    async def delete(
        self,
        kind: Kind[ResourceT],
        request: DeleteRequest,
        prepare: Callable[[ResourceT], Awaitable[Sequence[Write]]],
    ) -> ResourceT:
        """Returns the resource as it was."""

        async def decide() -> Mutation[ResourceT]:
            stored = await self.find(kind, request.name)
            check_etag(request.etag, stored.etag, request.name)
            writes = await prepare(stored.message)
            own = self._collection(kind).delete(stored.name, AtRevision(stored.revision))
            return self._mutation(kind, stored.message, [own, *writes], deleted=True)

        return await self._change(kind, request, decide)

    async def _change(
        self,
        kind: Kind[ResourceT],
        request: CreateRequest | UpdateRequest | DeleteRequest,
        decide: Callable[[], Awaitable[Mutation[ResourceT]]],
    ) -> ResourceT:
        if request.validate_only:
            return (await decide()).response

        async def run() -> ResourceT:
            if request.request_id:
                outcome = await self._mutations.run(request.request_id, request, kind.message_type, decide)
                return _stamped(outcome.response, outcome.revision)
            mutation = await decide()
            if not mutation.writes:
                return mutation.response
            commit = await self.store.commit(mutation.writes, mutation.events)
            return _stamped(mutation.response, commit.revision)

        try:
            return await run()
        except Conflict:
            # Calls of this process that contend for a record take turns from here on.
            async with self._contended:
                try:
                    return await _until_no_conflict(run)
                except Conflict as conflict:
                    raise Aborted(
                        "the topology is being changed by many others: repeat the call"
                    ) from conflict

    def _mutation(
        self, kind: Kind[ResourceT], resource: ResourceT, writes: Sequence[Write], *, deleted: bool = False
    ) -> Mutation[ResourceT]:
        event = new_event(
            source=SOURCE,
            subject=resource.name,
            data=kind.fact(resource, deleted),
            time=self._clock(),
            traceparent=current_traceparent(),
        )
        return Mutation(writes, [event], resource)

    def _collection(self, kind: Kind[ResourceT]) -> Collection[ResourceT]:
        return Collection(self.store, kind.message_type, kind.prefix)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(Conflict),
    stop=tenacity.stop_after_attempt(ATTEMPTS),
    wait=tenacity.wait_random(0, 0.05),
    reraise=True,
)
async def _until_no_conflict(run: Callable[[], Awaitable[ResourceT]]) -> ResourceT:
    return await run()


def _stamped(resource: ResourceT, revision: int) -> ResourceT:
    """With the etag of the commit, unless nothing was changed and it has the one it had."""
    if not resource.etag:
        resource.etag = etag_of(revision)
    return resource


def _with_etag(stored: Stored[ResourceT]) -> ResourceT:
    stored.message.etag = stored.etag
    return stored.message


def _type_name(kind: Kind[ResourceT]) -> str:
    return f"sluice.dev/{kind.message_type.DESCRIPTOR.name}"
