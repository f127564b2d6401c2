"""The Flink runner over its REST API (1.19): docs/adr/0003-runner-port.md has the traps."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import structlog

from services.deployer.adapters.thin_jar import ENTRY_CLASS, ThinJarMaker
from services.deployer.model import RunnerJobId, RunnerJobName, RunnerPhase
from services.deployer.ports import (
    Capabilities,
    Launch,
    Pipeline,
    RunnerJob,
    RunnerUnavailable,
    SubmissionRefused,
)

_log = structlog.get_logger(__name__)
# One line per request is too much: the runner is asked twice a second.
logging.getLogger("httpx").setLevel(logging.WARNING)

_PHASES: Mapping[str, RunnerPhase] = {
    "INITIALIZING": RunnerPhase.STARTING,
    "CREATED": RunnerPhase.STARTING,
    "RUNNING": RunnerPhase.RUNNING,
    "FAILING": RunnerPhase.RESTARTING,
    "RESTARTING": RunnerPhase.RESTARTING,
    "SUSPENDED": RunnerPhase.RESTARTING,
    "RECONCILING": RunnerPhase.RESTARTING,
    "CANCELLING": RunnerPhase.ENDING,
    "FAILED": RunnerPhase.FAILED,
    "CANCELED": RunnerPhase.CANCELLED,
    "FINISHED": RunnerPhase.FINISHED,
}
_JAR_NAME = re.compile(r"sluice-[0-9a-f]{32}\.jar")
_LEFTOVER_AFTER_MS = 10 * 60 * 1000


class _Refused(Exception):
    """Flink answered with an error of its own, which says something about the request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class FlinkRunner:
    """Flink session cluster at `url`. `close()` ends the connections."""

    name = "flink"
    capabilities = Capabilities(
        deterministic_job_ids=True, two_jobs_of_one_name=True, savepoints=True, in_flight_update=False
    )

    def __init__(
        self,
        url: str,
        jars: ThinJarMaker,
        *,
        timeout_seconds: float = 10.0,
        submit_timeout_seconds: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._jars = jars
        self._submit_timeout = submit_timeout_seconds
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            timeout=timeout_seconds,
            limits=httpx.Limits(max_connections=32, keepalive_expiry=20.0),
            trust_env=False,
            transport=transport,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def list_jobs(self) -> tuple[RunnerJob, ...]:
        # /jobs/overview asks the dispatcher itself; /jobs/{id} answers from a cache that is up to 3 s old.
        answer = await self._request("GET", "/jobs/overview")
        try:
            return tuple(
                RunnerJob(RunnerJobId(job["jid"]), RunnerJobName(job["name"]), _phase(job["state"]))
                for job in answer["jobs"]
            )
        except (KeyError, TypeError) as error:
            raise RunnerUnavailable(f"Flink answers what is no list of jobs: {error!r}") from error

    async def phase(self, job: RunnerJobId) -> RunnerPhase:
        try:
            answer = await self._request("GET", f"/jobs/{job}/status")
        except _Refused as refusal:
            if refusal.status == httpx.codes.NOT_FOUND:
                return RunnerPhase.ABSENT
            raise RunnerUnavailable(str(refusal)) from refusal
        return _phase(str(answer.get("status")))

    async def submit(self, launch: Launch, pipeline: Pipeline) -> None:
        if await self.phase(launch.runner_job_id) is not RunnerPhase.ABSENT:
            return
        jar = await asyncio.to_thread(self._jars.make, pipeline)
        async with self._uploaded(launch, jar) as jar_id:
            try:
                await self._request(
                    "POST",
                    f"/jars/{jar_id}/run",
                    json={"entryClass": ENTRY_CLASS, "jobId": launch.runner_job_id},
                    timeout=self._submit_timeout,
                )
            except _Refused as refusal:
                # A job that is known under this id was submitted before, by a process that died, or by another replica.
                if await self.phase(launch.runner_job_id) is RunnerPhase.ABSENT:
                    raise SubmissionRefused(str(refusal)) from refusal

    async def cancel(self, job: RunnerJobId) -> None:
        try:
            await self._request("PATCH", f"/jobs/{job}", params={"mode": "cancel"})
        except _Refused as refusal:
            # 404: unknown. 409: it has ended already.
            if refusal.status not in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
                raise RunnerUnavailable(str(refusal)) from refusal

    async def root_cause(self, job: RunnerJobId) -> str:
        try:
            answer = await self._request("GET", f"/jobs/{job}/exceptions", params={"maxExceptions": "1"})
        except _Refused as refusal:
            if refusal.status == httpx.codes.NOT_FOUND:
                return ""
            raise RunnerUnavailable(str(refusal)) from refusal
        entries = (answer.get("exceptionHistory") or {}).get("entries") or []
        return root_message(str(entries[0].get("stacktrace") or "")) if entries else ""

    @contextlib.asynccontextmanager
    async def _uploaded(self, launch: Launch, jar: bytes) -> AsyncIterator[str]:
        """The jar's id while it is on the cluster. A job keeps its own copy, so it goes once the job has started."""
        name = f"sluice-{launch.runner_job_id}.jar"
        try:
            answer = await self._request(
                "POST",
                "/jars/upload",
                files={"jarfile": (name, jar, "application/x-java-archive")},
                timeout=self._submit_timeout,
            )
        except _Refused as refusal:
            raise RunnerUnavailable(f"Flink takes no jar: {refusal}") from refusal
        jar_id = str(answer["filename"]).rpartition("/")[2]
        try:
            yield jar_id
        finally:
            await self._delete_jar(jar_id)

    async def remove_leftovers(self) -> None:
        """Delete uploaded jars of ours that a process left behind when it died. Raises RunnerUnavailable."""
        try:
            answer = await self._request("GET", "/jars")
        except _Refused as refusal:
            raise RunnerUnavailable(str(refusal)) from refusal
        files = answer.get("files") or []
        newest = max((int(file["uploaded"]) for file in files), default=0)
        for file in files:
            old = int(file["uploaded"]) < newest - _LEFTOVER_AFTER_MS
            if old and _JAR_NAME.fullmatch(str(file["name"])):
                await self._delete_jar(str(file["id"]))

    async def _delete_jar(self, jar_id: str) -> None:
        try:
            await self._request("DELETE", f"/jars/{jar_id}")
        except (_Refused, RunnerUnavailable) as error:
            _log.info("uploaded jar is left behind", jar=jar_id, error=str(error))

    async def _request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The JSON answer. Raises _Refused for an error that Flink explains, RunnerUnavailable for everything else."""
        try:
            response = await self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise RunnerUnavailable(f"{method} {path}: {type(error).__name__} {error}".strip()) from error
        try:
            answer = response.json() if response.content else {}
        except json.JSONDecodeError as error:
            raise RunnerUnavailable(f"{method} {path}: {response.status_code}, no JSON") from error
        if response.is_success and isinstance(answer, dict):
            return answer
        errors = answer.get("errors") if isinstance(answer, dict) else None
        if not errors:
            raise RunnerUnavailable(f"{method} {path}: status {response.status_code}")
        text = "\n".join(map(str, errors))
        if "FlinkJobNotFoundException" in text:
            # /jobs/{id}/status says 500 where it means 404.
            raise _Refused(httpx.codes.NOT_FOUND, root_message(text))
        if response.is_server_error or "TimeoutException" in text:
            raise RunnerUnavailable(f"{method} {path}: {root_message(text)}")
        raise _Refused(response.status_code, root_message(text))


def _phase(state: str) -> RunnerPhase:
    phase = _PHASES.get(state)
    if phase is None:
        raise RunnerUnavailable(f"Flink tells of an unknown job state {state!r}")
    return phase


def root_message(stacktrace: str) -> str:
    """The last `Caused by:` of a Java stack trace, without its frames."""
    causes = re.split(r"^\s*Caused by: ", stacktrace, flags=re.MULTILINE)
    lines = []
    for line in causes[-1].splitlines():
        text = line.strip()
        if (text.startswith(("at ", "... ")) and "\t" in line[:2]) or re.match(
            r"\.\.\. \d+ (more|common)", text
        ):
            break
        if text and not text.startswith(("<Exception on server side", "End of exception on server side")):
            lines.append(text)
    return _without_python_frames("\n".join(lines))


def _without_python_frames(message: str) -> str:
    """A Python traceback inside a message is reduced to its last line."""
    head, separator, traceback = message.partition("Traceback (most recent call last):")
    if not separator:
        return message
    ends = [
        line for line in traceback.splitlines() if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Exit)\b", line)
    ]
    return f"{head.strip()} {ends[-1] if ends else traceback.strip().splitlines()[-1]}".strip()
