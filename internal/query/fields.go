package query

import (
	"sort"
	"strings"
)

// scalars are the fields of a task document that have no fields of their own.
var scalars = map[string]FieldType{
	"id": String, "task_id": String, "kind": String, "scope": String, "execution": String,
	"campaign_id": String, "workflow_id": String, "workflow_name": String, "workflow_parent_id": String,
	"activity_id": String, "status": Enum, "attempt": Integer,
	"submitted_at": Time, "started_at": Time, "ended_at": Time, "elapsed": Duration,
	"host": String, "user": String, "site": String, "stdout": String, "stderr": String,
	"parent": String, "dependencies": Strings, "tags": Strings,
}

// roots are the fields of a task document that hold a map.
var roots = map[string]bool{
	"used": true, "generated": true, "job": true, "environment": true, "error": true, "custom": true, "attributes": true,
	"telemetry_start": true, "telemetry_end": true, "telemetry_peak": true, "telemetry_delta": true,
	"telemetry_coverage": true,
}

// immutable fields never change once a task is known: cursors over them are stable while the view grows.
var immutable = map[string]bool{"id": true, "task_id": true, "kind": true, "scope": true}

// Fields lists the fields of a query; those of a map end with ".*".
func Fields() []string {
	names := make([]string, 0, len(scalars)+len(roots))
	for n := range scalars {
		names = append(names, n)
	}
	for n := range roots {
		names = append(names, n+".*")
	}
	sort.Strings(names)
	return names
}

// Roots lists the fields of a task document that hold a map.
func Roots() []string { return keys(roots) }

// LookupField returns the field of that name. The error, if any, is an *Error whose Field is at.
func LookupField(at, name string) (Field, error) {
	if t, ok := scalars[name]; ok {
		return Field{Name: name, Root: name, Type: t}, nil
	}
	root, path, dotted := strings.Cut(name, ".")
	if roots[root] {
		switch {
		case !dotted || path == "*":
			return Field{Name: root, Root: root, Type: Object}, nil
		case path == "":
			return Field{}, fail(at, "field %q ends with a dot; want %s.<name>", name, root)
		}
		return Field{Name: name, Root: root, Path: path, Type: Dynamic}, nil
	}
	return Field{}, unknownField(at, name, root, path)
}

func unknownField(at, name, root, path string) *Error {
	err := unknown(at, "field", name, Fields())
	err.Suggestion = ""
	if _, ok := scalars[root]; ok && path != "" {
		err.Problem += ": " + root + " has no fields of its own"
		err.Suggestion = root
		return err
	}
	if path != "" {
		if r := Nearest(root, keys(roots)); r != "" {
			err.Suggestion = r + "." + path
		}
		return err
	}
	if err.Suggestion = Nearest(name, append(keys(scalars), keys(roots)...)); err.Suggestion == "" {
		err.Problem += "; what a task used and generated is used." + name + " and generated." + name
	}
	return err
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// ordered says whether values of the field have an order that people would expect.
func (f Field) ordered() bool { return f.Type != Enum && f.Type != Object }

// numeric says whether the field's values can be numbers.
func (f Field) numeric() bool {
	switch f.Type {
	case Dynamic, Integer, Time, Duration:
		return true
	default:
		return false
	}
}
