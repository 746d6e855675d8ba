// Package discover finds what could be observed on this machine: Dask schedulers, MLflow's databases, logs. It looks at
// directories, at the first bytes of files and at /proc, and connects to nothing. How much it looks at is bounded.
package discover

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options bound a look.
type Options struct {
	// Directories are looked into, with what is below them. Links in them are not followed.
	Directories []string
	// Allowed says whether a path that a process has open, or names, may be offered; nil allows what lies below Directories.
	Allowed func(path string) bool
	// Host says whether a server may be offered; nil allows all.
	Host func(host string) bool
	// Known are databases that this process has open, which are offered unread: to close a file ends its locks.
	Known []string
	// MaxEntries of directories are looked at, MaxDepth levels deep; MaxProcesses of this user are.
	MaxEntries, MaxDepth, MaxProcesses int
	// Time ends a look.
	Time time.Duration
	// Proc is where the processes are; "" is /proc.
	Proc string
}

// Default are bounds that a look on a file server stays cheap with.
func Default() Options {
	return Options{MaxEntries: 20_000, MaxDepth: 6, MaxProcesses: 2000, Time: 3 * time.Second}
}

// Offer is something that could be observed.
type Offer struct {
	// ID is the same at each look.
	ID, Kind string
	// Config is that of the receiver of this kind.
	Config map[string]any
	// Evidence says how it was found.
	Evidence string
	// Note says what to know before it is observed.
	Note string
}

// Found is what a look found.
type Found struct {
	Offers []Offer
	// Notes say what was found and cannot be offered, and which bound ended the look.
	Notes []string
}

// looker is one look.
type looker struct {
	Options
	ctx     context.Context
	entries int
	found   Found
	ended   map[string]bool

	schedulers, databases map[string]bool
	logs                  map[string][]logFile // by directory and extension
}

// Look looks once.
func Look(ctx context.Context, o Options) Found {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	for i, d := range o.Directories {
		if abs, err := filepath.Abs(d); err == nil {
			o.Directories[i] = abs
		}
	}
	if o.Time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Time)
		defer cancel()
	}
	l := &looker{
		Options: o, ctx: ctx, ended: map[string]bool{}, schedulers: map[string]bool{}, databases: map[string]bool{}, logs: map[string][]logFile{},
	}
	l.processes()
	l.directories()
	l.offerLogs()
	slices.SortFunc(l.found.Offers, func(a, b Offer) int { return strings.Compare(a.ID, b.ID) })
	return l.found
}

// over says once that a bound ended a part of the look, when it did.
func (l *looker) over(reached bool, what string) bool {
	if l.ctx.Err() != nil {
		reached, what = true, fmt.Sprintf("the look ended after %s; name narrower directories, or allow more time", l.Time)
	}
	if reached && !l.ended[what] {
		l.ended[what] = true
		l.note("%s", what)
	}
	return reached
}

func (l *looker) note(format string, args ...any) {
	l.found.Notes = append(l.found.Notes, fmt.Sprintf(format, args...))
}

func (l *looker) offer(kind, identity string, config map[string]any, evidence, note string) {
	sum := sha256.Sum256([]byte(kind + "\x00" + identity))
	l.found.Offers = append(l.found.Offers, Offer{
		ID: kind + "-" + hex.EncodeToString(sum[:4]), Kind: kind, Config: config, Evidence: evidence, Note: note,
	})
}

// may says whether a path may be offered.
func (l *looker) may(path string) bool {
	if l.Allowed != nil {
		return l.Allowed(path)
	}
	return slices.ContainsFunc(l.Directories, func(d string) bool {
		rel, err := filepath.Rel(d, path)
		return err == nil && filepath.IsLocal(rel)
	})
}
