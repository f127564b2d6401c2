"""The Java command line that Kafka's and Flink's processes share."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.preflight import find_java

# Flink reaches into these packages (bin/config.sh of its distribution passes the same list).
OPENED_PACKAGES = (
    "java.base/java.util",
    "java.base/java.lang",
    "java.base/java.net",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/sun.nio.ch",
    "java.base/java.lang.reflect",
    "java.base/java.text",
    "java.base/java.time",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.util.concurrent.locks",
)


def java_command(
    jars: Path,
    main_class: str,
    arguments: Sequence[str],
    *,
    heap_mb: int,
    options: Sequence[str] = (),
    log_levels: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """`java` with a fixed heap, slf4j-simple on standard error, and every jar of `jars` on the classpath."""
    simple_logger = {
        "showDateTime": "true",
        "dateTimeFormat": "yyyy-MM-dd HH:mm:ss.SSS",
        "showThreadName": "false",
        "showShortLogName": "true",
        "defaultLogLevel": "info",
        **{f"log.{name}": level for name, level in (log_levels or {}).items()},
    }
    return (
        str(find_java()),
        f"-Xms{heap_mb // 4}m",
        f"-Xmx{heap_mb}m",
        "-XX:+ExitOnOutOfMemoryError",
        *options,
        *(f"-Dorg.slf4j.simpleLogger.{key}={value}" for key, value in simple_logger.items()),
        "-classpath",
        f"{jars}/*",
        main_class,
        *arguments,
    )
