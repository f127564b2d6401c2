"""What an operator sees of the configuration."""

import pytest
from pydantic import Field

from libs.service_kit.settings import Address, Settings, markdown_table


class ThingSettings(Settings):
    listen_address: Address = Field("127.0.0.1:7399", description="HOST:PORT the gRPC server listens on")
    deployer_address: Address = Field("127.0.0.1:7302", description="HOST:PORT of the deployer")
    batch_size: int = Field(10, ge=1, le=99, description="Things per batch | at most")
    topics: list[str] = Field(default=[], description="Topics to read")
    cluster: str = Field(description="The cluster")


def problems(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **variables: str
) -> list[str]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        ThingSettings.load()
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_CLUSTER", "main")
    monkeypatch.setenv("SLUICE_SHUTDOWN_GRACE_SECONDS", "2.5")
    settings = ThingSettings.load()
    assert (settings.cluster, settings.shutdown_grace_seconds) == ("main", 2.5)


def test_each_wrong_variable_gets_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = problems(
        monkeypatch, capsys, SLUICE_LOG_FORMAT="xml", SLUICE_BATCH_SIZE="0", SLUICE_DEPLOYER_ADDRESS="nowhere"
    )
    assert lines == [
        "SLUICE_LOG_FORMAT='xml': should be 'json' or 'console'",
        "SLUICE_DEPLOYER_ADDRESS='nowhere': must be HOST:PORT with a port of 0 to 65535",
        "SLUICE_BATCH_SIZE='0': should be greater than or equal to 1",
        "SLUICE_CLUSTER is not set: a value is required",
    ]


def test_a_password_in_a_url_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = problems(monkeypatch, capsys, SLUICE_CLUSTER="a", SLUICE_REDIS_URL="http://user:hunter@host")
    assert "hunter" not in line
    assert "SLUICE_REDIS_URL='http://***@host'" in line


def test_a_list_that_is_not_json_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = problems(monkeypatch, capsys, SLUICE_CLUSTER="a", SLUICE_TOPICS="a,b")
    assert line.startswith("SLUICE_TOPICS: must be valid JSON")


def test_the_table_lists_every_variable_with_its_services_and_defaults() -> None:
    table = markdown_table({"thing": ThingSettings, "other": Settings})
    rows = {line.split("|")[1].strip(): line for line in table.splitlines()[2:]}
    assert set(rows) == {f"`SLUICE_{name.upper()}`" for name in ThingSettings.model_fields}
    assert "thing: `127.0.0.1:7399`, other: `127.0.0.1:7300`" in rows["`SLUICE_LISTEN_ADDRESS`"]
    assert "| `thing` | int, ≥ 1, ≤ 99 | `10` | Things per batch \\| at most |" in rows["`SLUICE_BATCH_SIZE`"]
    assert "| required |" in rows["`SLUICE_CLUSTER`"]
    assert "`json` \\| `console`" in rows["`SLUICE_LOG_FORMAT`"]
