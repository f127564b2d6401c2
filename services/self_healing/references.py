"""Who names what: topic claims, and the guards that keep a delete and a new reference from both succeeding.

A guard exists as long as its cluster or dataset. Whoever comes to name the resource writes the guard at the
revision that was read; whoever deletes the resource reads the guard first, then looks for referrers, and
deletes the guard at that revision. Of two that race, one gets a Conflict and decides again.
"""

from collections.abc import Iterable, Mapping

from libs.service_kit.errors import NotFound
from libs.store import ABSENT, ANYTHING, AtRevision, Collection, Store, Stored, Write
from services.self_healing.decide import SHOWN_REFERRERS, TopicKey
from services.self_healing.model import topic_name
from sluice.self_healing.v1 import record_pb2

_GUARDS = "guard/"
_CLAIMS = "claim/"
_KAFKA_CLUSTERS = "kafka-cluster/"


class References:
    """Guards and claims of one store."""

    def __init__(self, store: Store) -> None:
        self._guards = Collection(store, record_pb2.ReferenceGuard, _GUARDS)
        self._claims = Collection(store, record_pb2.TopicClaim, _CLAIMS)
        self._kafka_clusters = Collection(store, record_pb2.KafkaClusterClaim, _KAFKA_CLUSTERS)

    def new_guard(self, resource: str) -> Write:
        return self._guards.put(_GUARDS + resource, record_pb2.ReferenceGuard(), ABSENT)

    async def reference(self, resource: str) -> Write:
        """The write of somebody who comes to name `resource`. Raises NotFound."""
        guard = await self._guard(resource)
        return self._guards.put(guard.name, guard.message, AtRevision(guard.revision))

    async def end_guard(self, resource: str) -> Write:
        """The write of somebody who deletes `resource`; to be read before the referrers. Raises NotFound."""
        guard = await self._guard(resource)
        return self._guards.delete(guard.name, AtRevision(guard.revision))

    async def known_as(self, kafka_cluster_id: str) -> str:
        """The cluster under which this Kafka cluster is recorded; empty if it is not."""
        claim = await self._kafka_clusters.get(_KAFKA_CLUSTERS + kafka_cluster_id)
        return "" if claim is None else claim.message.cluster

    def claim_kafka_cluster(self, kafka_cluster_id: str, cluster: str) -> Write:
        claim = record_pb2.KafkaClusterClaim(cluster=cluster)
        return self._kafka_clusters.put(_KAFKA_CLUSTERS + kafka_cluster_id, claim, ABSENT)

    def release_kafka_cluster(self, kafka_cluster_id: str) -> Write:
        """The claim is the cluster's own, as long as the cluster is at the revision that was read."""
        return self._kafka_clusters.delete(_KAFKA_CLUSTERS + kafka_cluster_id, ANYTHING)

    async def claims(self, keys: Iterable[TopicKey]) -> dict[TopicKey, Stored[record_pb2.TopicClaim]]:
        """The claims that there are on these topics."""
        found = {key: await self._claims.get(_claim_name(key)) for key in sorted(keys)}
        return {key: claim for key, claim in found.items() if claim is not None}

    def change_claims(
        self,
        changed: Mapping[TopicKey, record_pb2.TopicClaim | None],
        known: Mapping[TopicKey, Stored[record_pb2.TopicClaim]],
    ) -> list[Write]:
        """The writes of `decide.claims_after`, on the claims that it was decided on."""
        writes: list[Write] = []
        for key, claim in changed.items():
            expect = AtRevision(known[key].revision) if key in known else ABSENT
            if claim is not None:
                writes.append(self._claims.put(_claim_name(key), claim, expect))
            elif key in known:
                writes.append(self._claims.delete(_claim_name(key), expect))
        return writes

    async def bindings_on(self, cluster: str) -> tuple[list[str], bool]:
        """A few of the bindings that name topics of the cluster, and whether there may be more."""
        page = await self._claims.list(SHOWN_REFERRERS, within=_claim_name((cluster, "")))
        names = [binding for claim in page.items for binding in claim.message.bindings]
        return names, bool(page.next_after)

    async def _guard(self, resource: str) -> Stored[record_pb2.ReferenceGuard]:
        guard = await self._guards.get(_GUARDS + resource)
        if guard is None:
            raise NotFound(resource)
        return guard


def _claim_name(key: TopicKey) -> str:
    return _CLAIMS + topic_name(*key)
