// The names by which contrib's Elasticsearch exporter refers to the profiler.
// Some module proxies refuse the profiler's versions, and without it the
// exporter does not compile. Only its profiles signal calls what is here, and
// those calls panic; logs never come here, so their speed is that of the original.
module go.opentelemetry.io/ebpf-profiler

go 1.25
