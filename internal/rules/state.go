package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// stateVersion of what Encode writes.
const stateVersion = 1

// ErrNewer is in the error for a state that a newer version wrote, and that this one would read wrongly.
var ErrNewer = errors.New("written by a newer version")

// MaxOpen is how many tasks of one log can be open; beyond it the oldest is given up, by name.
const MaxOpen = 10_000

// state is all that an engine remembers of a log: the run, the context, the open tasks.
type state struct {
	Version    int                  `json:"schema_version"`
	Run        *run                 `json:"run,omitempty"`
	First      *run                 `json:"first,omitempty"` // the run of records before any boundary
	Open       map[string]*openTask `json:"open,omitempty"`
	Numbers    map[string]int64     `json:"numbers,omitempty"` // tasks without an identity, counted per activity
	Context    fieldMap             `json:"context,omitempty"`
	Time       int64                `json:"time,omitempty"` // of the last record that had one
	Generation int64                `json:"generation,omitempty"`
	Base       int64                `json:"base,omitempty"`  // bytes of the logs that this one continues, within the run
	Paths      map[string]bool      `json:"paths,omitempty"` // values of the run that are paths because a rule says so
}

// run is one execution of the script that wrote the log.
type run struct {
	Scope   string `json:"scope"`
	Started int64  `json:"started,omitempty"`
	Stamp   int64  `json:"stamp,omitempty"` // of its last event
	Told    bool   `json:"told,omitempty"`  // its start was reported
	Ended   bool   `json:"ended,omitempty"`
}

// openTask was started and has not ended.
type openTask struct {
	Activity  string   `json:"activity"`
	Attempt   int64    `json:"attempt"`
	Stamp     int64    `json:"stamp"` // of its last event
	Started   int64    `json:"started,omitempty"`
	Used      fieldMap `json:"used,omitempty"`
	Generated fieldMap `json:"generated,omitempty"`
}

// fieldMap keeps the types of values (1 is not 1.0) through JSON.
type fieldMap map[string]any

// MarshalJSON writes the canonical encoding.
func (v fieldMap) MarshalJSON() ([]byte, error) { return task.AppendJSON(nil, map[string]any(v)), nil }

// UnmarshalJSON reads the canonical encoding.
func (v *fieldMap) UnmarshalJSON(data []byte) error {
	x, err := task.DecodeJSON(data)
	if err != nil {
		return err
	}
	m, ok := x.(map[string]any)
	if !ok && x != nil {
		return fmt.Errorf("%.40s is not a map", data)
	}
	*v = m
	return nil
}

func (s *state) clone() *state {
	c := *s
	c.Open = make(map[string]*openTask, len(s.Open))
	for k, o := range s.Open {
		dup := *o
		c.Open[k] = &dup
	}
	c.Numbers = make(map[string]int64, len(s.Numbers))
	for k, n := range s.Numbers {
		c.Numbers[k] = n
	}
	c.Paths = make(map[string]bool, len(s.Paths))
	for k := range s.Paths {
		c.Paths[k] = true
	}
	if s.Run != nil {
		r := *s.Run
		c.Run = &r
	}
	if s.First != nil {
		r := *s.First
		c.First = &r
	}
	return &c
}

// openKeys lists the open tasks, the oldest first.
func (s *state) openKeys() []string {
	keys := make([]string, 0, len(s.Open))
	for k := range s.Open {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := s.Open[keys[i]], s.Open[keys[j]]
		if a.Attempt != b.Attempt {
			return a.Attempt < b.Attempt
		}
		return keys[i] < keys[j]
	})
	return keys
}

func (s *state) oldest() string {
	found := ""
	for k, o := range s.Open {
		if f := s.Open[found]; f == nil || o.Attempt < f.Attempt || o.Attempt == f.Attempt && k < found {
			found = k
		}
	}
	return found
}

func encodeState(s *state) ([]byte, error) {
	s.Version = stateVersion
	return json.Marshal(s)
}

func decodeState(data []byte) (*state, error) {
	// The version first: the rest of a newer state may have any form.
	var v struct {
		Version int `json:"schema_version"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("state of the rules: %w", err)
	}
	if v.Version > stateVersion {
		return nil, fmt.Errorf("state of the rules: schema_version %d, this version knows %d: %w", v.Version, stateVersion, ErrNewer)
	}
	s := &state{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("state of the rules: %w", err)
	}
	return s, nil
}
