"""The runner contract on the simulated runner, and Flink's REST API as its adapter reads it."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.deployer.adapters.flink import FlinkRunner, root_message
from services.deployer.adapters.simulated import SimulatedRunner
from services.deployer.adapters.thin_jar import ENTRY_CLASS, JarsMissing, ThinJarMaker
from services.deployer.model import RunnerJobId, RunnerPhase
from services.deployer.ports import Launch, Pipeline, Runner, RunnerUnavailable, SubmissionRefused
from tests.unit.deployer.conftest import a_spec
from tests.unit.deployer.runner_contract import RunnerContract, a_launch

ID = RunnerJobId("a" * 32)
PIPELINE = Pipeline(b'{"components": {}}', b"{}")
NOT_FOUND = "org.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find Flink job"


class TestSimulatedRunner(RunnerContract):
    @pytest.fixture
    def runner(self) -> Runner:
        return SimulatedRunner()

    @pytest.fixture
    def launch(self) -> Launch:
        return a_launch("jobs/j-1", a_spec())

    @pytest.fixture
    def pipeline(self) -> Pipeline:
        return PIPELINE


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    contents = {
        "beam-runners-flink-1.19-2.70.0.jar": [
            "FlinkPipelineRunner",
            "FlinkPortableRunnerResult",
            "FlinkRunner",
        ],
        "beam-runners-java-job-service-2.65.0.jar": ["PortablePipelineJarUtils", "JobInvoker"],
    }
    for jar, classes in contents.items():
        package = "flink" if "flink" in jar else "jobsubmission"
        with zipfile.ZipFile(tmp_path / jar, "w") as file:
            for name in classes:
                file.writestr(f"org/apache/beam/runners/{package}/{name}.class", name)
    return tmp_path


class FakeFlink:
    """Answers by method and path; `requests` are all that came."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Callable[[httpx.Request], httpx.Response]] = {}
        self.requests: list[tuple[str, str]] = []
        self.uploaded: bytes = b""

    def answer(self, method: str, path: str, status: int = 200, body: Any = None) -> None:
        self.answers[method, path] = lambda _request: httpx.Response(
            status, json=body if body is not None else {}
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        key = (request.method, request.url.path)
        self.requests.append(key)
        if key == ("POST", "/jars/upload"):
            self.uploaded = request.content
        if key not in self.answers:
            return httpx.Response(404, json={"errors": [f"Not found: {request.url.path}"]})
        return self.answers[key](request)


@pytest.fixture
def fake() -> FakeFlink:
    flink = FakeFlink()
    flink.answer("GET", f"/jobs/{ID}/status", 500, {"errors": ["Internal server error.", NOT_FOUND]})
    flink.answer("POST", "/jars/upload", 200, {"filename": "/tmp/web/5f_sluice.jar", "status": "success"})
    flink.answer("POST", "/jars/5f_sluice.jar/run", 200, {"jobid": ID})
    flink.answer("DELETE", "/jars/5f_sluice.jar")
    return flink


@pytest.fixture
def flink(fake: FakeFlink, jars: Path) -> FlinkRunner:
    return FlinkRunner("http://flink", ThinJarMaker(jars), transport=httpx.MockTransport(fake))


def launch_of_id() -> Launch:
    launch = a_launch("jobs/j-1", a_spec())
    return Launch(launch.job, launch.incarnation, ID, launch.runner_job_name, launch.spec)


async def test_a_submission_uploads_the_thin_jar_runs_it_under_its_id_and_deletes_it(
    flink: FlinkRunner, fake: FakeFlink
) -> None:
    await flink.submit(launch_of_id(), PIPELINE)
    assert fake.requests[-3:] == [
        ("POST", "/jars/upload"),
        ("POST", "/jars/5f_sluice.jar/run"),
        ("DELETE", "/jars/5f_sluice.jar"),
    ]
    start = fake.uploaded.index(b"PK")
    with zipfile.ZipFile(io.BytesIO(fake.uploaded[start:])) as jar:
        classes = {Path(name).stem for name in jar.namelist() if name.endswith(".class")}
        assert classes == {"FlinkPipelineRunner", "FlinkPortableRunnerResult", "PortablePipelineJarUtils"}
        assert jar.read("BEAM-PIPELINE/pipeline/pipeline.json") == PIPELINE.proto_json
        assert ENTRY_CLASS in jar.read("META-INF/MANIFEST.MF").decode()


async def test_a_job_that_is_known_is_not_submitted_again(flink: FlinkRunner, fake: FakeFlink) -> None:
    fake.answer("GET", f"/jobs/{ID}/status", 200, {"status": "FINISHED"})
    await flink.submit(launch_of_id(), PIPELINE)
    assert fake.requests == [("GET", f"/jobs/{ID}/status")]


async def test_a_refusal_because_another_was_faster_counts_as_success(
    flink: FlinkRunner, fake: FakeFlink
) -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        fake.answer("GET", f"/jobs/{ID}/status", 200, {"status": "RUNNING"})
        return httpx.Response(400, json={"errors": ["Caused by: DuplicateJobSubmissionException"]})

    fake.answers["POST", "/jars/5f_sluice.jar/run"] = refuse
    await flink.submit(launch_of_id(), PIPELINE)
    assert fake.requests[-1] == ("DELETE", "/jars/5f_sluice.jar")


async def test_a_submission_that_flink_cannot_run_is_refused_with_its_cause(
    flink: FlinkRunner, fake: FakeFlink
) -> None:
    trace = (
        "ProgramInvocationException: main\n\tat a.B.c(B.java:1)\nCaused by: no such class\n\tat d.E.f(E.java)"
    )
    fake.answer("POST", "/jars/5f_sluice.jar/run", 400, {"errors": ["Bad request", trace]})
    with pytest.raises(SubmissionRefused, match=r"^no such class$"):
        await flink.submit(launch_of_id(), PIPELINE)
    assert fake.requests[-1] == ("DELETE", "/jars/5f_sluice.jar")


@pytest.mark.parametrize(
    "trouble",
    [
        lambda request: httpx.Response(503, json={"errors": ["leader election"]}),
        lambda request: httpx.Response(502, text="bad gateway"),
        lambda request: httpx.Response(
            500, json={"errors": ["Caused by: AskTimeoutException: Ask timed out"]}
        ),
        lambda request: (_ for _ in ()).throw(httpx.ConnectError("refused")),
        lambda request: (_ for _ in ()).throw(httpx.ReadTimeout("slow")),
        lambda request: httpx.Response(200, json=["no object"]),
    ],
)
async def test_a_flink_that_is_ill_is_unavailable_whatever_is_asked(
    flink: FlinkRunner, fake: FakeFlink, trouble: Callable[[httpx.Request], httpx.Response]
) -> None:
    fake.answers = dict.fromkeys(
        [
            ("GET", "/jobs/overview"),
            ("GET", f"/jobs/{ID}/status"),
            ("PATCH", f"/jobs/{ID}"),
            ("GET", f"/jobs/{ID}/exceptions"),
        ],
        trouble,
    )
    for call in (
        flink.list_jobs(),
        flink.phase(ID),
        flink.cancel(ID),
        flink.root_cause(ID),
        flink.submit(launch_of_id(), PIPELINE),
    ):
        with pytest.raises(RunnerUnavailable):
            await call


async def test_jobs_are_listed_with_their_phase_and_an_unknown_state_is_not_guessed(
    flink: FlinkRunner, fake: FakeFlink
) -> None:
    jobs = [{"jid": ID, "name": "sluice-j-1", "state": "RESTARTING"}]
    fake.answer("GET", "/jobs/overview", 200, {"jobs": jobs})
    assert [(job.id, job.phase) for job in await flink.list_jobs()] == [(ID, RunnerPhase.RESTARTING)]
    fake.answer("GET", "/jobs/overview", 200, {"jobs": [{**jobs[0], "state": "PONDERING"}]})
    with pytest.raises(RunnerUnavailable, match="PONDERING"):
        await flink.list_jobs()


async def test_only_old_jars_of_ours_are_cleaned_up(flink: FlinkRunner, fake: FakeFlink) -> None:
    ours = f"sluice-{ID}.jar"
    files = [
        {"id": "1_x", "name": "somebody.jar", "uploaded": 0},
        {"id": "2_x", "name": ours, "uploaded": 0},
        {"id": "3_x", "name": ours, "uploaded": 10_000_000},
    ]
    fake.answer("GET", "/jars", 200, {"files": files})
    await flink.remove_leftovers()
    assert [path for method, path in fake.requests if method == "DELETE"] == ["/jars/2_x"]


@pytest.mark.parametrize(
    ("stacktrace", "message"),
    [
        ("", ""),
        ("java.lang.Exception: plain", "java.lang.Exception: plain"),
        (
            "JobException: Recovery is suppressed\n\tat a.B.c(B.java:1)\nCaused by: java.lang.RuntimeException: deep\n"
            "\tat d.E.f(E.java:2)\n\t... 3 more\n",
            "java.lang.RuntimeException: deep",
        ),
        (
            "Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 3:\n"
            "Traceback (most recent call last):\n"
            '  File "x.py", line 1, in process\n    work()\n'
            "ValueError: topic in does not exist [while running 'Read']\n\n\tat org.apache.beam.X(Y.java:1)",
            "java.lang.RuntimeException: Error received from SDK harness for instruction 3: "
            "ValueError: topic in does not exist [while running 'Read']",
        ),
    ],
)
def test_the_root_cause_is_the_innermost_message_without_frames(stacktrace: str, message: str) -> None:
    assert root_message(stacktrace) == message


def test_a_folder_without_the_jars_is_named(tmp_path: Path) -> None:
    with pytest.raises(JarsMissing, match="beam-runners-flink"):
        ThinJarMaker(tmp_path)
