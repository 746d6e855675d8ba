"""A collector that receives spans over OTLP and writes them to a file, as any backend would get them."""

from __future__ import annotations

from pathlib import Path

from .collector import Collector, free_port, read_json_lines

STORE = {
    "extensions": {
        "file_storage": {
            "directory": "${env:MIDA_DATA}/state",
            "create_directory": True,
            "directory_permissions": "0700",
        },
        "taskstore": {"stores": {"main": {"sqlite": {"path": "${env:MIDA_DATA}/mida.db"}}}},
        "taskquery": {
            "store": "main",
            "endpoint": "${env:MIDA_QUERY_ENDPOINT}",
            "state_directory": "${env:MIDA_DATA}",
        },
    },
    "processors": {"provenance": {}},
    "exporters": {"taskstore": {"store": "main"}},
}
METRICS = {
    "metrics": {
        "readers": [{"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": "${env:MIDA_METRICS_PORT}"}}}}]
    }
}


def base(receivers: dict, **more: dict) -> dict:
    """Return a configuration with a store, the query API and these receivers of task events."""
    service = {
        "extensions": list(STORE["extensions"]),
        "pipelines": {
            "logs": {
                "receivers": list(receivers),
                "processors": ["provenance"],
                "exporters": ["taskstore"],
            }
        },
        "telemetry": METRICS,
    }
    return {**STORE, "receivers": receivers, "service": service, **more}


class SpanSink:
    """An OTLP receiver with a file exporter behind it."""

    def __init__(self, workdir: Path) -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        self.path, self.port = workdir / "spans.jsonl", free_port()
        service = {
            "extensions": list(STORE["extensions"]),
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
            "telemetry": METRICS,
        }
        config = {
            "extensions": STORE["extensions"],
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.port}"}}}},
            "exporters": {"file": {"path": str(self.path), "flush_interval": "200ms"}},
            "service": service,
        }
        self.collector = Collector(workdir, [config])

    @property
    def overlay(self) -> dict:
        """What the observing collector needs, over the demo's configuration, to send its finished tasks here."""
        endpoint = f"http://127.0.0.1:{self.port}"
        sent = {"receivers": ["tasks/spans"], "exporters": ["otlp_http"]}
        return {
            "connectors": {"tasks/spans": {"store": "main"}},
            "exporters": {"otlp_http": {"endpoint": endpoint, "compression": "none"}},
            "service": {
                "pipelines": {
                    "logs": {
                        "receivers": ["dask", "mlflow", "tasklog"],
                        "processors": ["tasktelemetry", "provenance"],
                        "exporters": ["taskstore", "tasks/spans"],
                    },
                    "traces/out": sent,
                }
            },
        }

    def spans(self) -> list[dict]:
        """Return the spans that have arrived."""
        return [
            {**span, "resource": resource.get("resource", {}).get("attributes", [])}
            for batch in read_json_lines(self.path)
            for resource in batch["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]


def attributes(pairs: list[dict]) -> dict:
    """Return the scalar attributes of OTLP's JSON as a dict."""
    return {p["key"]: next(iter(p["value"].values()), None) for p in pairs}
