"""An ordinary program that is instrumented with the OpenTelemetry SDK; it knows OTLP and nothing else."""

import json
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def main(target):
    provider = TracerProvider(resource=Resource.create({"service.name": "spectra", "service.version": "1.4"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer("spectra.pipeline")
    spans = []

    def note(span, parent=None, failed=False):
        context = span.get_span_context()
        spans.append(
            {
                "name": span.name,
                "trace": f"{context.trace_id:032x}",
                "span": f"{context.span_id:016x}",
                "parent": parent and f"{parent.get_span_context().span_id:016x}",
                "failed": failed,
                "start": span.start_time,
                "end": span.end_time,
                "attributes": dict(span.attributes),
            }
        )

    with tracer.start_as_current_span("analyse") as whole:
        with tracer.start_as_current_span("load") as load:
            load.set_attribute("mida.used.path", "/data/spectrum_17.h5")
            load.set_attribute("mida.generated.points", 4096)
        with tracer.start_as_current_span("fit", links=[trace.Link(load.get_span_context())]) as fit:
            fit.set_attribute("mida.used.peaks", 3)
            fit.set_attribute("mida.used.tolerance", 1e-4)
            fit.set_attribute("mida.generated.residual", 0.0625)
            fit.set_attribute("mida.generated.converged", True)
            fit.set_attribute("fit.method", "trf")
        try:
            with tracer.start_as_current_span("publish") as publish:
                raise RuntimeError("the archive is closed")
        except RuntimeError:
            pass
        with tracer.start_as_current_span("GET /status", kind=trace.SpanKind.SERVER):
            pass
    provider.shutdown()
    note(whole)
    note(load, whole)
    note(fit, whole)
    note(publish, whole, failed=True)
    with open(target, "w") as file:
        json.dump(spans, file)


if __name__ == "__main__":
    main(sys.argv[1])
