"""The jar that Flink's /jars/upload gets: the pipeline, and just the classes that start it.

Everything else is on the cluster's classpath. With more classes than these Flink says `... not visible from
class loader`; with fewer, `Resource BEAM-PIPELINE/... not found` or IllegalAccessError. The layout under
BEAM-PIPELINE/ is that of Beam's PortablePipelineJarUtils.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from services.deployer.ports import Pipeline

ENTRY_CLASS = "org.apache.beam.runners.flink.FlinkPipelineRunner"
_MANIFEST = f"Manifest-Version: 1.0\r\nMain-Class: {ENTRY_CLASS}\r\n\r\n"
_STARTERS = {
    "beam-runners-flink-*.jar": (
        "org/apache/beam/runners/flink/FlinkPipelineRunner",
        "org/apache/beam/runners/flink/FlinkPortableRunnerResult",
    ),
    "beam-runners-java-job-service-*.jar": (
        "org/apache/beam/runners/jobsubmission/PortablePipelineJarUtils",
    ),
}


class JarsMissing(Exception):
    """The folder does not hold what it should; the message names both."""


class ThinJarMaker:
    """Reads the starter classes once."""

    def __init__(self, jars: Path) -> None:
        self._starters: dict[str, bytes] = {}
        for pattern, prefixes in _STARTERS.items():
            found = sorted(jars.glob(pattern))
            if len(found) != 1:
                raise JarsMissing(f"{jars}: exactly one {pattern} is needed, {len(found)} are there")
            with zipfile.ZipFile(found[0]) as source:
                for name in source.namelist():
                    if name.startswith(prefixes):
                        self._starters[name] = source.read(name)

    def make(self, pipeline: Pipeline) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as jar:
            jar.writestr("META-INF/MANIFEST.MF", _MANIFEST)
            for name, content in self._starters.items():
                jar.writestr(name, content)
            jar.writestr("BEAM-PIPELINE/pipeline/pipeline.json", pipeline.proto_json)
            jar.writestr("BEAM-PIPELINE/pipeline/pipeline-options.json", pipeline.options_json)
            jar.writestr("BEAM-PIPELINE/pipeline-manifest.json", json.dumps({"defaultJobName": "pipeline"}))
        return out.getvalue()
