package sqlite

import (
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Synchronous says what a commit waits for.
type Synchronous string

// The two ways to commit.
const (
	// Full waits until the disk has the commit: what was acknowledged survives a power cut.
	Full Synchronous = "full"
	// Normal waits for the operating system only: what was acknowledged survives a kill of the collector, but the last
	// commits before a power cut or a crash of the machine may be gone (the database stays sound).
	Normal Synchronous = "normal"
)

// NetworkMode says what to do with a database on a network file system.
type NetworkMode string

// What can be done there: SQLite's shared memory and its locks cannot be trusted.
const (
	// Exclusive opens the database with a rollback journal and one exclusive connection, and warns.
	Exclusive NetworkMode = "exclusive"
	// Refuse does not open it, and proposes a local directory.
	Refuse NetworkMode = "refuse"
)

// Options configure a store.
type Options struct {
	// Path of the database file. Its directory is made if missing.
	Path string
	// Synchronous is Full if empty.
	Synchronous Synchronous
	// NetworkFilesystem is Exclusive if empty.
	NetworkFilesystem NetworkMode
	// MaxTaskBytes is the largest state of one task; an event that would grow a task beyond it is rejected.
	// 0 = 64 MiB.
	MaxTaskBytes int
	// Readers is the number of reading connections; 0 = 4.
	Readers int
	// CacheBytes bounds the memory for the states of tasks that were written lately; 0 = 16 MiB.
	CacheBytes int
	// ColumnsBytes bounds the memory for the columns of queried fields; 0 = 64 MiB.
	ColumnsBytes int
	// BatchEvents is the number of events from which on no further call joins a transaction; 0 = 20,000.
	BatchEvents int
	// BatchWait is the most that a small transaction waits for calls that came together with it lately; 0 = 25 ms.
	BatchWait time.Duration
	// Logger is for what people should know; nil = none.
	Logger *zap.Logger
}

const (
	defaultMaxTaskBytes = 64 << 20
	defaultReaders      = 4
	defaultCacheBytes   = 16 << 20
	defaultColumnsBytes = 64 << 20
	// So that one failure does not undo too much, and readers see progress.
	defaultBatchEvents = 20_000
	maxBatchEvents     = 1_000_000
	defaultBatchWait   = 25 * time.Millisecond
	minBatchWait       = time.Millisecond
	maxBatchWait       = time.Second
)

// Validate checks the options, naming the key of the configuration.
func (o Options) Validate() error {
	if strings.TrimSpace(o.Path) == "" {
		return fmt.Errorf("path: empty; want the path of a database file, such as ./mida-data/mida.db")
	}
	if strings.ContainsAny(o.Path, "\x00?#") || strings.HasPrefix(o.Path, "file:") || o.Path == ":memory:" {
		return fmt.Errorf("path: %q; want the path of a file, without ? or # (no URI, no :memory:)", o.Path)
	}
	switch o.Synchronous {
	case "", Full, Normal:
	default:
		return fmt.Errorf("synchronous: %q; want %q or %q", o.Synchronous, Full, Normal)
	}
	switch o.NetworkFilesystem {
	case "", Exclusive, Refuse:
	default:
		return fmt.Errorf("network_filesystem: %q; want %q or %q", o.NetworkFilesystem, Exclusive, Refuse)
	}
	for _, n := range []struct {
		key   string
		value int
		least int
	}{
		{"max_task_bytes", o.MaxTaskBytes, 1 << 10}, {"readers", o.Readers, 1}, {"cache_bytes", o.CacheBytes, 1 << 10},
		{"columns_bytes", o.ColumnsBytes, 1 << 10}, {"batch_events", o.BatchEvents, 1},
	} {
		if n.value != 0 && n.value < n.least {
			return fmt.Errorf("%s: %d; want at least %d, or 0 for the default", n.key, n.value, n.least)
		}
	}
	if o.BatchEvents > maxBatchEvents {
		return fmt.Errorf("batch_events: %d; want at most %d", o.BatchEvents, maxBatchEvents)
	}
	if o.BatchWait != 0 && (o.BatchWait < minBatchWait || o.BatchWait > maxBatchWait) {
		return fmt.Errorf("batch_wait: %s; want %s to %s, or 0 for %s", o.BatchWait, minBatchWait, maxBatchWait, defaultBatchWait)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Synchronous == "" {
		o.Synchronous = Full
	}
	if o.NetworkFilesystem == "" {
		o.NetworkFilesystem = Exclusive
	}
	if o.MaxTaskBytes == 0 {
		o.MaxTaskBytes = defaultMaxTaskBytes
	}
	if o.Readers == 0 {
		o.Readers = defaultReaders
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.ColumnsBytes == 0 {
		o.ColumnsBytes = defaultColumnsBytes
	}
	if o.BatchEvents == 0 {
		o.BatchEvents = defaultBatchEvents
	}
	if o.BatchWait == 0 {
		o.BatchWait = defaultBatchWait
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o
}
