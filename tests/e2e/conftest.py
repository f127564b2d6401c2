"""One whole stack for all end-to-end tests of a session: Kafka, Redis, Flink, the workers and the five services."""

from collections.abc import Iterator

import pytest

from deploy.local.parts import PARTS
from tests.support.platform import Platform
from tests.support.stack import local_stack


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running platform. Transactions time out early, so that a hung worker does not hold up the tests."""
    environment = {"SLUICE_TRANSACTION_TIMEOUT_MS": "5000"}
    with local_stack(tmp_path_factory.mktemp("e2e"), PARTS, service_environment=environment) as stack:
        yield Platform(stack)
