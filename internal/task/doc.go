// Package task holds the one currency of otelcol-mida: a task event, the state that events of one task merge into, and
// the document that people see. It does no I/O.
//
//   - [Event]: one observer's snapshot of one facet of one attempt of a task.
//   - [State]: {attempt → {facet → snapshot}}; [State.Apply] is commutative, associative and idempotent.
//   - [Project]: the document of a state.
//   - [ToLogs], [FromLogs]: the codec between events and OTel log records.
//   - [Event.Wire], [FromWire]: the codec between events and the maps of journals and stores.
//   - [AppendJSON], [DecodeJSON]: the canonical value encoding (docs/data-model.md).
//
// Values are nil, bool, int64, float64, string, []byte, []any and map[string]any, nothing else. What does not fit is
// written as a map with one key that starts with "$" (see encoding.go).
package task
