package store

import (
	"fmt"
	"sort"
	"strings"

	"go.opentelemetry.io/collector/component"
)

// Provider owns the named stores of a process (extension/taskstore).
type Provider interface {
	// Store returns the open store of that name, an error when there is none or it could not be opened. It stays open until
	// the provider shuts down.
	Store(name string) (Store, error)
	// StoreNames lists the configured names, sorted.
	StoreNames() []string
	// DeadLetter keeps what the named store can never take, with the reason, so that it can be looked at and sent again.
	// It returns after the letters are written; after an error it may be that some are: give them again.
	DeadLetter(name string, letters []Letter) error
}

// Letter is one record that could not be stored.
type Letter struct {
	// Reason says why.
	Reason string
	// Record is the event as far as it could be read: the map of docs/journal.md, or the attributes of the log record.
	Record map[string]any
}

// FromHost returns the named store, together with the provider that owns it. Extensions start before pipelines, so a
// component calls it in its Start.
func FromHost(host component.Host, name string) (Store, Provider, error) {
	var known []string
	for id, ext := range host.GetExtensions() {
		p, ok := ext.(Provider)
		if !ok {
			continue
		}
		names := p.StoreNames()
		for _, n := range names {
			if n == name {
				s, err := p.Store(name)
				if err != nil {
					return nil, nil, fmt.Errorf("store %q of extension %q: %w", name, id, err)
				}
				return s, p, nil
			}
		}
		known = append(known, names...)
	}
	if len(known) == 0 {
		return nil, nil, fmt.Errorf("store %q: no extension of this collector owns a store; "+
			"add `taskstore: {stores: {%s: {sqlite: {path: ./mida-data/mida.db}}}}` to extensions and to service.extensions",
			name, name)
	}
	sort.Strings(known)
	return nil, nil, fmt.Errorf("store %q is not configured; the taskstore extension has: %s", name, strings.Join(known, ", "))
}

// Counters are what a store counted since it was opened. They only grow.
type Counters struct {
	TasksChanged   int64 // tasks that a write created or changed
	TasksUnchanged int64 // tasks of a write that were known as they are
	Transactions   int64 // committed write transactions
	// Of stores in a cluster:
	Conflicts     int64 // documents that another collector had changed, so that they were read and merged again
	Retries       int64 // documents that were sent again, after a conflict or because the server was busy
	FieldsSpilled int64 // leaves that were stored without being indexed
	// What they are now: how many bulk requests may run at a time, and how large each may be.
	BulkRequests, BulkBytes int64
}

// Counted is a store that counts.
type Counted interface {
	// Counters returns the counts as of now.
	Counters() Counters
	// LastBatch returns what the last write held, false before the first.
	LastBatch() (Batch, bool)
}
