package daskreceiver

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/python"
)

// Names under which a scheduler knows our plugins.
const (
	schedulerPlugin = "mida-scheduler"
	detachPlugin    = "mida-detach"
)

// plugins makes the pickles that become plugins inside a scheduler. It knows no Python but the five opcodes below.
type plugins struct {
	bundle python.Bundle
	attach map[string]any // configuration of the observer
	owner  string         // who attached: what the same receiver brought it takes away, also after a restart
}

func newPlugins(cfg *Config, directory, owner string) (*plugins, error) {
	bundle, err := python.Observer()
	if err != nil {
		return nil, fmt.Errorf("the Python observer: %w", err)
	}
	journal := map[string]any{"directory": directory}
	if n := cfg.Journal.SegmentBytes; n > 0 {
		journal["segment_bytes"] = n
	}
	if n := cfg.Journal.DirectoryBytes; n > 0 {
		journal["directory_bytes"] = n
	}
	attach := map[string]any{"owner": owner, "journal": journal}
	if cfg.Campaign != "" {
		attach["campaign"] = cfg.Campaign
	}
	if cfg.WorkflowName != "" {
		attach["workflow_name"] = cfg.WorkflowName
	}
	if policy := pluginPolicy(cfg.Capture); len(policy) > 0 {
		attach["capture"] = policy
	}
	if n := cfg.Capture.MaxString; n > 0 {
		attach["limits"] = map[string]any{"string": n}
	}
	return &plugins{bundle: bundle, attach: attach, owner: owner}, nil
}

// register returns the arguments of register_scheduler_plugin that bring the observer.
func (p *plugins) register() (map[string]any, error) {
	return p.arguments("scheduler", schedulerPlugin, p.attach)
}

// detach returns the arguments of register_scheduler_plugin that take the observer of this owner away.
func (p *plugins) detach() (map[string]any, error) {
	return p.arguments("detach", detachPlugin, map[string]any{"owner": p.owner})
}

func (p *plugins) arguments(kind, name string, config map[string]any) (map[string]any, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	pickle := evaluate(p.bundle.Expression, [][2]string{
		{"boot", p.bundle.Boot}, {"sources", p.bundle.Sources}, {"kind", kind}, {"config", string(text)},
	})
	return map[string]any{"plugin": pickle, "name": name, "idempotent": true}, nil
}

// evaluate pickles, in protocol 2, the call eval(expression, globals).
func evaluate(expression string, globals [][2]string) []byte {
	b := []byte("\x80\x02c__builtin__\neval\n")
	text := func(s string) {
		b = binary.LittleEndian.AppendUint32(append(b, 'X'), uint32(len(s)))
		b = append(b, s...)
	}
	text(expression)
	b = append(b, '}')
	for _, g := range globals {
		text(g[0])
		text(g[1])
		b = append(b, 's')
	}
	return append(b, "\x86R."...) // a tuple of both, call, end
}
