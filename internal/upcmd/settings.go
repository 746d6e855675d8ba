package upcmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// File is what is read of the current directory when it is there.
const File = "mida.yaml"

// rulesFile holds the rules of logs that name none.
const rulesFile = "rules.yaml"

// settings are the few choices behind a whole configuration.
type settings struct {
	Campaign, Site    string
	Data, Endpoint    string
	Logs              []logs
	MLflow            []string
	Dask              clusters
	AllowDirectories  []string
	AllowHosts        []string
	mlflowNamed       bool     // rather than MLflow's usual place
	withoutRules      []string // logs that nothing says anything about
	endpointIsDefault bool
}

// logs are files and the rules that say what their lines mean.
type logs struct {
	Include []string
	File    string         // the rules, in a file of their own
	Inline  map[string]any // or their keys
}

// clusters are what the Dask receiver attaches to, besides the journals that it reads.
type clusters struct {
	Off              bool
	Auto             bool // also what is usual on a single machine
	Addresses, Files []string
}

// all adds the usual: Dask's own address, and the files that schedulers write here.
func (c clusters) all() (addresses, files []string) {
	if !c.Auto {
		return c.Addresses, c.Files
	}
	return append([]string{"tcp://127.0.0.1:8786"}, c.Addresses...), append([]string{"*.scheduler.json"}, c.Files...)
}

var keys = []string{"campaign", "site", "logs", "mlflow", "dask"}

const (
	wantLogs = `want a glob such as 'logs/*.log', a list of them, or a list of {include: 'logs/*.log', rules: rules.yaml}`
	wantDask = "want auto, false, or a list of addresses (tcp://host:port) and files of dask scheduler --scheduler-file"
	wantURI  = "want a database such as sqlite:///mlflow.db, a list of them, or false"
)

// defaults are the environment, as all configurations read it, then what suits one machine.
func defaults() (settings, error) {
	here, err := os.Getwd()
	if err != nil {
		return settings{}, err
	}
	s := settings{
		Campaign: os.Getenv("MIDA_CAMPAIGN"), Site: os.Getenv("MIDA_SITE"), Data: os.Getenv("MIDA_DATA"), Endpoint: os.Getenv("MIDA_QUERY_ENDPOINT"),
		MLflow: []string{"sqlite:///mlflow.db"}, Dask: clusters{Auto: true}, AllowDirectories: []string{"."}, AllowHosts: []string{"localhost"},
	}
	if s.Campaign == "" {
		s.Campaign = filepath.Base(here)
	}
	if s.Data == "" {
		s.Data = "mida-data"
	}
	if s.Endpoint == "" {
		s.Endpoint, s.endpointIsDefault = "127.0.0.1:4340", true
	}
	return s, nil
}

// readFile lays the file over the settings; none is none.
func (s *settings) readFile(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var top yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&top); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(top.Content) == 0 { // empty, or comments alone
		return nil
	}
	m := top.Content[0]
	if m.Kind != yaml.MappingNode {
		return fmt.Errorf("%s: line %d: want keys such as campaign: my_campaign; valid are %s", path, m.Line, strings.Join(keys, ", "))
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if err := s.set(m.Content[i].Value, m.Content[i+1]); err != nil {
			return fmt.Errorf("%s: line %d: %w", path, m.Content[i].Line, err)
		}
	}
	return nil
}

func (s *settings) set(key string, n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch key {
	case "campaign", "site":
		if n.Kind != yaml.ScalarNode || n.Value == "" || n.Tag == "!!null" {
			return fmt.Errorf("%s: %s; want a name", key, shown(n))
		}
		if key == "campaign" {
			s.Campaign = n.Value
		} else {
			s.Site = n.Value
		}
	case "mlflow":
		uris, err := texts(n)
		if err != nil {
			return fmt.Errorf("mlflow: %w; %s", err, wantURI)
		}
		s.MLflow, s.mlflowNamed = uris, true
	case "dask":
		list, err := texts(n)
		if err != nil {
			return fmt.Errorf("dask: %w; %s", err, wantDask)
		}
		return s.setDask(list)
	case "logs":
		return s.setLogs(n)
	default:
		known := "valid are " + strings.Join(keys, ", ")
		if slices.Contains(receivers, key) || key == "service" {
			known += "; the collector's own keys belong into a file for --config"
		}
		return fmt.Errorf("%q is no key; %s", key, known)
	}
	return nil
}

// receivers are keys of the collector that somebody may try.
var receivers = []string{"receivers", "extensions", "processors", "exporters", "connectors"}

func (s *settings) setDask(list []string) error {
	s.Dask = clusters{Off: len(list) == 0}
	for _, entry := range list {
		switch {
		case entry == "auto":
			s.Dask.Auto = true
		case strings.Contains(entry, "://"):
			s.Dask.Addresses = append(s.Dask.Addresses, entry)
		case strings.Contains(entry, ":") || entry == "true":
			return fmt.Errorf("dask: %q; %s", entry, wantDask)
		default:
			s.Dask.Files = append(s.Dask.Files, entry)
		}
	}
	return nil
}

// setLogs takes a glob, a group of globs with rules, or a list of both. All globs without rules of their own share one group.
func (s *settings) setLogs(n *yaml.Node) error {
	s.Logs = nil
	if off(n) {
		return nil
	}
	entries := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		entries = n.Content
	}
	var plain []string
	for i, e := range entries {
		switch {
		case e.Kind == yaml.ScalarNode && e.Tag == "!!str" && e.Value != "":
			plain = append(plain, e.Value)
		case e.Kind == yaml.MappingNode:
			group, err := readGroup(e)
			if err != nil {
				return fmt.Errorf("logs[%d]: %w", i, err)
			}
			s.Logs = append(s.Logs, group)
		default:
			return fmt.Errorf("logs[%d]: %s; %s", i, shown(e), wantLogs)
		}
	}
	if len(plain) > 0 {
		s.Logs = append([]logs{{Include: plain}}, s.Logs...)
	}
	return nil
}

func readGroup(n *yaml.Node) (logs, error) {
	var group logs
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		var err error
		switch {
		case key == "include":
			group.Include, err = texts(value)
		case key == "rules" && value.Kind == yaml.ScalarNode && value.Tag == "!!str":
			group.File = value.Value
		case key == "rules" && value.Kind == yaml.MappingNode:
			err = value.Decode(&group.Inline)
		case key == "rules" && value.Kind == yaml.SequenceNode:
			var list []any
			err = value.Decode(&list)
			group.Inline = map[string]any{"rules": list}
		case key == "rules":
			err = fmt.Errorf("%s; want a file such as rules.yaml, or the rules", shown(value))
		default:
			return group, fmt.Errorf("%q is no key; valid are include, rules", key)
		}
		if err != nil {
			return group, fmt.Errorf("%s: %w", key, err)
		}
	}
	if len(group.Include) == 0 {
		return group, fmt.Errorf("include: missing; %s", wantLogs)
	}
	return group, nil
}

// texts are the entries of a list, or one text; false is none.
func texts(n *yaml.Node) ([]string, error) {
	if off(n) {
		return nil, nil
	}
	entries := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		entries = n.Content
	}
	list := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.Kind != yaml.ScalarNode || e.Tag != "!!str" || e.Value == "" {
			return nil, errors.New(shown(e))
		}
		list = append(list, e.Value)
	}
	return list, nil
}

func off(n *yaml.Node) bool {
	var b bool
	return n.Tag == "!!bool" && n.Decode(&b) == nil && !b || n.Kind == yaml.SequenceNode && len(n.Content) == 0
}

// shown is a value as an error quotes it.
func shown(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping cannot stand here"
	case n.Kind == yaml.SequenceNode:
		return "a list cannot stand here"
	case n.Value == "" || n.Tag == "!!null":
		return "it is empty"
	default:
		return fmt.Sprintf("%q cannot stand here", n.Value)
	}
}

// findRules gives logs without rules those of rules.yaml, and sets those aside that have none then.
func (s *settings) findRules() {
	kept := s.Logs[:0:0]
	for _, l := range s.Logs {
		if l.File == "" && l.Inline == nil {
			if _, err := os.Stat(rulesFile); err != nil {
				s.withoutRules = append(s.withoutRules, l.Include...)
				continue
			}
			l.File = rulesFile
		}
		kept = append(kept, l)
	}
	s.Logs = kept
}
