"""Configuration by environment variables with the prefix `SLUICE_`; each service subclasses `Settings`."""

import re
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import AfterValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

PREFIX = "SLUICE_"
EXIT_BAD_CONFIGURATION = 2


def _host_and_port(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be HOST:PORT with a port of 0 to 65535")
    return value


def _host_and_port_or_empty(value: str) -> str:
    return value and _host_and_port(value)


Address = Annotated[str, AfterValidator(_host_and_port)]
OptionalAddress = Annotated[str, AfterValidator(_host_and_port_or_empty)]


class Settings(BaseSettings):
    """What every service is configured by. A subclass gives its own defaults and adds fields with a
    description.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    listen_address: Address = Field("127.0.0.1:7300", description="HOST:PORT the gRPC server listens on")
    metrics_address: OptionalAddress = Field(
        "", description="HOST:PORT of the Prometheus endpoint `/metrics`; empty: none"
    )
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        pattern=r"^(redis|rediss|unix|memory)://",
        description="Where the service's records and events are; `redis://`, `rediss://` or `unix://`",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level logged"
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="Form of the log lines on standard error"
    )
    shutdown_grace_seconds: float = Field(
        5.0, ge=0, le=60, description="How long calls in flight may take to finish after SIGTERM"
    )
    request_timeout_seconds: float = Field(
        30.0, gt=0, le=600, description="Deadline of a unary call whose client sets none"
    )
    max_message_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="Largest gRPC message received or sent"
    )

    @classmethod
    def load(cls) -> Self:
        """Read the environment, or end the process with exit code 2 and one line per wrong variable."""
        try:
            return cls()
        except (ValidationError, SettingsError) as error:
            for line in describe_problems(error):
                print(line, file=sys.stderr)
            raise SystemExit(EXIT_BAD_CONFIGURATION) from None


def variable_name(field: str) -> str:
    return PREFIX + field.upper()


def _shown(value: object) -> str:
    """The value as the operator wrote it, without the password of a URL, at most 100 characters."""
    text = re.sub(r"://[^@/\s]*@", "://***@", str(value))
    return repr(text if len(text) <= 100 else text[:100] + "…")


def describe_problems(error: ValidationError | SettingsError) -> list[str]:
    """One line per wrong variable: its name, its value and what is allowed."""
    if isinstance(error, SettingsError):
        named = re.search(r'field "(\w+)"', str(error))
        return [f"{variable_name(named.group(1)) if named else PREFIX}: must be valid JSON for its type"]
    lines = []
    for problem in error.errors():
        name = variable_name(str(problem["loc"][0])) if problem["loc"] else PREFIX + "*"
        allowed = problem["msg"].removeprefix("Value error, ").replace("Input should", "should")
        if problem["type"] == "missing":
            lines.append(f"{name} is not set: a value is required")
        else:
            lines.append(f"{name}={_shown(problem['input'])}: {allowed}")
    return lines


def _allowed(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    if get_origin(annotation) is Literal:
        words = " \\| ".join(f"`{value}`" for value in get_args(annotation))
    elif annotation is not None and hasattr(annotation, "__name__") and not get_args(annotation):
        words = annotation.__name__
    else:
        words = str(annotation).replace("typing.", "").replace("|", "\\|")
    for constraint in field.metadata:
        for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            bound = getattr(constraint, attribute, None)
            if bound is not None:
                words += f", {sign} {bound}"
    return words


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "empty" if value in ("", None) else f"`{value}`"


def markdown_table(services: Mapping[str, type[Settings]]) -> str:
    """The documented table of all variables, from the classes; a default that differs by service is listed
    per service.
    """
    fields: dict[str, dict[str, FieldInfo]] = {}
    for service, settings_class in services.items():
        for name, field in settings_class.model_fields.items():
            fields.setdefault(name, {})[service] = field
    lines = ["| variable | services | type | default | meaning |", "|---|---|---|---|---|"]
    for name, by_service in fields.items():
        any_field = next(iter(by_service.values()))
        who = (
            "all" if len(by_service) == len(services) else ", ".join(f"`{service}`" for service in by_service)
        )
        defaults = {service: _default(field) for service, field in by_service.items()}
        default = (
            _default(any_field)
            if len(set(defaults.values())) == 1
            else ", ".join(f"{service}: {value}" for service, value in defaults.items())
        )
        meaning = " ".join((any_field.description or "").split()).replace("|", "\\|")
        lines.append(f"| `{variable_name(name)}` | {who} | {_allowed(any_field)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"
