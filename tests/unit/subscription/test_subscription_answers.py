"""What the answers of other services mean: every gRPC code is either to be tried again or a refusal."""

import grpc
import pytest
from grpc_status import rpc_status

from libs.service_kit.error_mapping import to_status
from libs.service_kit.errors import NotFound
from libs.service_kit.errors import Unavailable as UnavailableError
from services.subscription.adapters.answers import RemoteRefusal, answering
from services.subscription.ports import Unavailable

REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}


def failure(
    code: grpc.StatusCode, details: str, trailers: grpc.aio.Metadata | None = None
) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        code, grpc.aio.Metadata(), trailers or grpc.aio.Metadata(), details, debug_error_string=""
    )


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
async def test_a_verdict_is_a_refusal_and_anything_else_may_go_away(code: grpc.StatusCode) -> None:
    expected: type[RemoteRefusal | Unavailable] = RemoteRefusal if code in REFUSALS else Unavailable
    with pytest.raises(expected) as error:
        async with answering("deployer"):
            raise failure(code, "said so")
    assert isinstance(error.value, RemoteRefusal | Unavailable) and error.value.service == "deployer"
    if isinstance(error.value, RemoteRefusal):
        assert error.value.not_found == (code is grpc.StatusCode.NOT_FOUND)
        assert str(error.value) == "deployer: said so"


async def test_what_grpc_says_of_a_connection_goes_into_the_log_only() -> None:
    with pytest.raises(Unavailable) as error:
        async with answering("deployer"):
            raise failure(grpc.StatusCode.UNAVAILABLE, "failed to connect to ipv4:10.1.2.3:7005")
    assert str(error.value) == "deployer: no answer" and "10.1.2.3" in error.value.cause


@pytest.mark.parametrize(
    ("said", "expected", "words"),
    [
        (UnavailableError("Kafka"), Unavailable, "Kafka is unavailable"),
        (NotFound("datasets/x"), RemoteRefusal, "datasets/x does not exist"),
    ],
)
async def test_what_a_service_of_ours_says_is_passed_on(
    said: UnavailableError | NotFound, expected: type[Exception], words: str
) -> None:
    status = rpc_status.to_status(to_status(said))
    trailers = grpc.aio.Metadata(*status.trailing_metadata)
    with pytest.raises(expected, match=words):
        async with answering("self healing"):
            raise failure(status.code, status.details, trailers)
