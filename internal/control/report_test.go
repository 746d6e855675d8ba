package control

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/component"
)

type reporter Report

func (r reporter) Report() Report { return Report(r) }

type hosting map[component.ID]component.Component

func (h hosting) GetExtensions() map[component.ID]component.Component { return h }

type roster struct {
	component.StartFunc
	component.ShutdownFunc
	Book
}

func TestRoster(t *testing.T) {
	Join(hosting{}, reporter{ID: "nobody listens"})() // is no fault
	r := &roster{}
	host := hosting{component.MustNewID("taskquery"): r}
	leave := Join(host, reporter{ID: "b", Kind: "mlflow"})
	Join(host, reporter{ID: "a", Kind: "tasklog"})
	Join(host, reporter{ID: "a", Kind: "mlflow"})
	names := func() (out []string) {
		for _, rep := range RosterOf(host).Reports() {
			out = append(out, rep.Kind+"/"+rep.ID)
		}
		return out
	}
	assert.Equal(t, []string{"mlflow/a", "mlflow/b", "tasklog/a"}, names())
	leave()
	leave()
	assert.Equal(t, []string{"mlflow/a", "tasklog/a"}, names())
}

func TestRecent(t *testing.T) {
	var r Recent
	for _, text := range []string{"one", "two", "two", "three", "four", "four"} {
		r.Add(text)
	}
	var got []string
	for _, e := range r.List() {
		got = append(got, e.Text)
	}
	assert.Equal(t, []string{"two", "three", "four"}, got, "the last ones, each once in a row")
}
