package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// made are the committed objects of a product as it reads them; the fields of its queries are tested with the index, in
// internal/store/elastic.
func made(t *testing.T, p product) []imported {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "distributions", "otelcol-mida", "dashboards", p.name+".ndjson"))
	require.NoError(t, err)
	var out []imported
	for _, line := range bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
		var o imported
		require.NoError(t, json.Unmarshal(line, &o))
		out = append(out, o)
	}
	return out
}

type imported struct {
	Type, ID         string
	MigrationVersion map[string]string
	Core             string `json:"coreMigrationVersion"`
	Version          string `json:"typeMigrationVersion"`
	References       []ref
	Attributes       struct {
		Title, VisState, PanelsJSON string
		Meta                        struct{ SearchSourceJSON string } `json:"kibanaSavedObjectMeta"`
	}
}

type ref struct{ Name, Type, ID string }

func TestCommittedFilesAreCurrent(t *testing.T) {
	for _, p := range products {
		want, err := p.file()
		require.NoError(t, err)
		have, err := os.ReadFile(filepath.Join("..", "..", "distributions", "otelcol-mida", "dashboards", p.name+".ndjson"))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(have), "run make dashboards")
	}
}

// Every reference leads to an object of the file and is used by the object that has it, and nothing is left over.
func TestReferences(t *testing.T) {
	for _, p := range products {
		t.Run(p.name, func(t *testing.T) {
			known, wanted := map[ref]bool{}, map[ref]bool{}
			for _, o := range made(t, p) {
				self := ref{Type: o.Type, ID: o.ID}
				require.False(t, known[self], "%v is there twice", self)
				known[self] = true
				names := map[string]bool{}
				for _, r := range o.References {
					require.False(t, names[r.Name], "%s names %s twice", o.ID, r.Name)
					names[r.Name] = true
					wanted[ref{Type: r.Type, ID: r.ID}] = true
				}
				assert.Equal(t, used(t, o), names, "%s uses the references that it has", o.ID)
			}
			for r := range wanted {
				assert.True(t, known[r], "%v is referred to and not there", r)
			}
			delete(known, ref{Type: "dashboard", ID: "mida-overview"})
			assert.Equal(t, known, wanted, "nothing is left over")
		})
	}
}

// used are the names of the references that an object's attributes mention.
func used(t *testing.T, o imported) map[string]bool {
	names := map[string]bool{}
	if text := o.Attributes.Meta.SearchSourceJSON; text != "" {
		var source struct{ IndexRefName string }
		require.NoError(t, json.Unmarshal([]byte(text), &source))
		if source.IndexRefName != "" {
			names[source.IndexRefName] = true
		}
	}
	if text := o.Attributes.PanelsJSON; text != "" {
		var panels []struct{ PanelRefName string }
		require.NoError(t, json.Unmarshal([]byte(text), &panels))
		for _, p := range panels {
			names[p.PanelRefName] = true
		}
	}
	return names
}

// Each product finds the version of an object where it looks for it. The versions are those of exports of Kibana 7.10 and
// of OpenSearch Dashboards 2.
func TestVersions(t *testing.T) {
	versions := map[string]string{"index-pattern": "7.6.0", "visualization": "7.10.0", "search": "7.9.3", "dashboard": "7.9.3"}
	for _, o := range made(t, products[0]) {
		assert.Equal(t, versions[o.Type], o.Version, o.ID)
		assert.Equal(t, "8.8.0", o.Core)
		assert.Empty(t, o.MigrationVersion)
	}
	for _, o := range made(t, products[1]) {
		assert.Equal(t, map[string]string{o.Type: versions[o.Type]}, o.MigrationVersion, o.ID)
		assert.Empty(t, o.Version+o.Core)
	}
}

// The panels lie in the grid, beside each other.
func TestGrid(t *testing.T) {
	for _, p := range products {
		objects := made(t, p)
		var panels []struct{ GridData struct{ X, Y, W, H int } }
		require.NoError(t, json.Unmarshal([]byte(objects[len(objects)-1].Attributes.PanelsJSON), &panels))
		require.NotEmpty(t, panels)
		taken := map[[2]int]bool{}
		for _, p := range panels {
			g := p.GridData
			require.LessOrEqual(t, g.X+g.W, gridColumns)
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					require.False(t, taken[[2]int{x, y}], "two panels at column %d, row %d", x, y)
					taken[[2]int{x, y}] = true
				}
			}
		}
		require.Zero(t, len(taken)%gridColumns, "the rows are full")
	}
}

// A visualization says its kind and title twice; both are the same.
func TestStates(t *testing.T) {
	for _, p := range products {
		for _, o := range made(t, p) {
			if o.Type != "visualization" {
				continue
			}
			var state struct {
				Title, Type string
				Params      struct {
					Type string
					Spec string
				}
				Aggs []struct{ ID, Type, Schema string }
			}
			require.NoError(t, json.Unmarshal([]byte(o.Attributes.VisState), &state))
			assert.Equal(t, o.Attributes.Title, state.Title)
			ids := map[string]bool{}
			for _, a := range state.Aggs {
				assert.False(t, ids[a.ID], "%s has the aggregation %s twice", o.ID, a.ID)
				ids[a.ID] = true
			}
			assert.Equal(t, state.Type == "vega", len(state.Aggs) == 0)
			assert.Equal(t, state.Type == "vega", json.Valid([]byte(state.Params.Spec)))
		}
	}
}
