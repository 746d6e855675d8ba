package taskquery

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func TestOpenAPIEqualsRoutes(t *testing.T) {
	v, err := task.DecodeJSON(openAPIDocument)
	require.NoError(t, err)
	doc := v.(map[string]any)
	described := map[string][]string{}
	for path, item := range doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			var names []string
			parameters, _ := op.(map[string]any)["parameters"].([]any)
			for _, p := range parameters {
				m := resolve(t, doc, p.(map[string]any))
				if m["in"] == "query" {
					names = append(names, m["name"].(string))
				}
			}
			slices.Sort(names)
			described[strings.ToUpper(method)+" "+path] = names
		}
	}
	routes := map[string][]string{}
	for _, rt := range (&server{}).table() {
		routes[rt.method+" "+rt.path] = slices.Sorted(slices.Values(rt.parameters))
	}
	assert.Equal(t, routes, described)
	refs(t, doc, doc)
}

// refs follows every reference.
func refs(t *testing.T, doc map[string]any, v any) {
	switch v := v.(type) {
	case map[string]any:
		resolve(t, doc, v)
		for _, k := range slices.Sorted(maps.Keys(v)) {
			refs(t, doc, v[k])
		}
	case []any:
		for _, e := range v {
			refs(t, doc, e)
		}
	}
}

func resolve(t *testing.T, doc, m map[string]any) map[string]any {
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	var v any = doc
	for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		next, ok := v.(map[string]any)[part]
		require.True(t, ok, "%s leads nowhere", ref)
		v = next
	}
	return v.(map[string]any)
}

func TestOpenAPIIsServed(t *testing.T) {
	a := start(t)
	assert.Equal(t, "3.1.0", a.ok("GET", "/api/v1/openapi.json", "")["openapi"])
}
