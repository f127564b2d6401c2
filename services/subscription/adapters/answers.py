"""What an answer of another service's means here: come again, or refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from libs.service_kit.client import remote_error
from services.subscription.ports import Refused, Unavailable

# A verdict on what was asked. Anything else (an outage, a lost race, a crash over there) may go away by itself.
_VERDICTS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


class RemoteRefusal(Refused):
    """A refusal with its code."""

    def __init__(self, service: str, detail: str, code: grpc.StatusCode) -> None:
        super().__init__(service, detail)
        self.not_found = code is grpc.StatusCode.NOT_FOUND


@asynccontextmanager
async def answering(service: str) -> AsyncIterator[None]:
    """Around calls to `service`: raises Unavailable and RemoteRefusal in place of gRPC's errors."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        remote = remote_error(error)
        if remote.code in _VERDICTS:
            raise RemoteRefusal(service, remote.message, remote.code) from error
        # What carries a reason was said by a service of ours, for others to read; the rest is gRPC's own.
        detail = remote.message if remote.reason else "no answer"
        raise Unavailable(service, detail, f"{remote.code.name} {remote.message}") from error
