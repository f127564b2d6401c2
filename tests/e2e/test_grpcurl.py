"""The services as an operator meets them: grpcurl, with nothing but an address.

grpcurl comes through the Go proxy in CI (.ci/run). Elsewhere the tests run when it is in build/bin or on the PATH.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.platform import Platform

_LOCAL = Path("build/bin/grpcurl")
GRPCURL = str(_LOCAL) if _LOCAL.exists() else shutil.which("grpcurl")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        GRPCURL is None and "CI" not in os.environ, reason="grpcurl is not installed (needs Go)"
    ),
]

LISTS = {
    "subscription": ("sluice.subscription.v1.SubscriptionService/ListSubscriptions", {"parent": "tenants/-"}),
    "schema_registry": ("sluice.schema_registry.v1.SchemaRegistryService/ListSubjects", {}),
    "self_healing": ("sluice.self_healing.v1.SelfHealingService/ListClusters", {}),
    "cold_starter": ("sluice.cold_starter.v1.ColdStarterService/ListActivities", {}),
    "deployer": ("sluice.deployer.v1.DeployerService/ListJobs", {}),
}


def grpcurl(address: str, *words: str, data: object = None) -> subprocess.CompletedProcess[str]:
    assert GRPCURL is not None, "grpcurl is not installed"
    given = [] if data is None else ["-d", json.dumps(data)]
    command = [GRPCURL, "-plaintext", *given, address, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("service", sorted(LISTS))
def test_every_service_is_listed_healthy_and_called_by_reflection(platform: Platform, service: str) -> None:
    address = platform.stack.settings.ports.address(service)
    method, request = LISTS[service]

    assert method.split("/")[0] in grpcurl(address, "list").stdout
    assert "SERVING" in grpcurl(address, "grpc.health.v1.Health/Check").stdout
    answer = grpcurl(address, method, data=request)
    assert answer.returncode == 0, answer.stderr


def test_a_wrong_subscription_names_the_field_and_the_reason(platform: Platform) -> None:
    address = platform.stack.settings.ports.address("subscription")
    request = {
        "parent": "tenants/Not A Tenant",
        "subscription_id": "x",
        "subscription": {"dataset": "datasets/d", "sql": "SELECT 1", "output_format": "OUTPUT_FORMAT_JSON"},
    }

    answer = grpcurl(address, "sluice.subscription.v1.SubscriptionService/CreateSubscription", data=request)

    assert answer.returncode != 0
    assert "InvalidArgument" in answer.stderr
    assert "parent" in answer.stderr
    assert "google.rpc.BadRequest" in answer.stderr
