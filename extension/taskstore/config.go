package taskstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"sort"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/sqlite"
)

// Config of the taskstore extension.
type Config struct {
	// Stores by name. Exporters and the query extension refer to a store by its name.
	Stores map[string]StoreConfig `mapstructure:"stores"`
	// DeadLetters says where records go that no store can ever take.
	DeadLetters DeadLetterConfig `mapstructure:"dead_letters"`
	// prevent unkeyed literal initialization
	_ struct{}
}

// StoreConfig is one store: exactly one kind must be given.
type StoreConfig struct {
	SQLite *SQLiteConfig `mapstructure:"sqlite"`
	// Elasticsearch is a store in an Elasticsearch or OpenSearch cluster.
	Elasticsearch *ElasticsearchConfig `mapstructure:"elasticsearch"`
	// Retention deletes campaigns that are too old, or too much. By default everything is kept.
	Retention RetentionConfig `mapstructure:"retention"`
	// prevent unkeyed literal initialization
	_ struct{}
}

// SQLiteConfig is a store in one database file.
type SQLiteConfig struct {
	// Path of the database file. Its directory is made if missing (mode 0700), the file has mode 0600.
	Path string `mapstructure:"path"`
	// Synchronous is "full" (default: what was acknowledged survives a power cut) or "normal" (faster; survives a kill of
	// the collector, but a power cut may take the last commits, which their senders will not repeat).
	Synchronous string `mapstructure:"synchronous"`
	// NetworkFilesystem is "exclusive" (default: on a network file system use a rollback journal and one exclusive
	// connection, and warn) or "refuse" (do not start, and propose a local directory).
	NetworkFilesystem string `mapstructure:"network_filesystem"`
	// MaxTaskBytes is the most that the stored state of one task may take; what would exceed it is a dead letter.
	// 0 = 67108864 (64 MiB).
	MaxTaskBytes int `mapstructure:"max_task_bytes"`
	// Readers is the number of connections for queries. 0 = 4.
	Readers int `mapstructure:"readers"`
	// CacheBytes bounds the memory for the states of tasks that were written lately. 0 = 16777216 (16 MiB).
	CacheBytes int `mapstructure:"cache_bytes"`
	// ColumnsBytes bounds the memory for the columns of fields that aggregations asked for. 0 = 67108864 (64 MiB).
	ColumnsBytes int `mapstructure:"columns_bytes"`
	// BatchEvents is the number of events from which on no further request joins a transaction. 0 = 20000.
	BatchEvents int `mapstructure:"batch_events"`
	// BatchWait is the most that a small transaction waits for senders that came together lately. Who writes alone never
	// waits. 0 = 25ms.
	BatchWait time.Duration `mapstructure:"batch_wait"`
	// prevent unkeyed literal initialization
	_ struct{}
}

// DeadLetterConfig is the dead-letter file.
type DeadLetterConfig struct {
	// Path of the file, JSON lines. Empty = dead-letter.jsonl beside the database of the store, and for a cluster
	// mida-data/dead-letter.jsonl.
	Path string `mapstructure:"path"`
	// MaxBytes is the size at which the file is renamed to <path>.1, over the one before. 0 = 67108864 (64 MiB).
	MaxBytes int64 `mapstructure:"max_bytes"`
	// prevent unkeyed literal initialization
	_ struct{}
}

const defaultDeadLetterBytes = 64 << 20

func createDefaultConfig() component.Config { return &Config{} }

var storeName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// Validate checks all keys and says all that is wrong.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Stores) == 0 {
		errs = append(errs, errors.New("stores: empty; want at least one, such as {main: {sqlite: {path: ./mida-data/mida.db}}}"))
	}
	paths := map[string]string{}
	for _, name := range c.names() {
		if !storeName.MatchString(name) {
			errs = append(errs, fmt.Errorf("stores::%s: the name; want 1 to 64 letters, digits, _ . or -", name))
		}
		sc := c.Stores[name]
		switch {
		case sc.SQLite != nil && sc.Elasticsearch != nil:
			errs = append(errs, fmt.Errorf("stores::%s: both sqlite and elasticsearch; want one of them", name))
		case sc.SQLite != nil:
			if err := sc.SQLite.options().Validate(); err != nil {
				errs = append(errs, fmt.Errorf("stores::%s::sqlite::%w", name, err))
			}
			path := filepath.Clean(sc.SQLite.Path)
			if other, taken := paths[path]; taken {
				errs = append(errs, fmt.Errorf("stores::%s::sqlite::path: %q is also the path of store %q; want one file a store", name, sc.SQLite.Path, other))
			}
			paths[path] = name
		case sc.Elasticsearch != nil:
			errs = append(errs, sc.Elasticsearch.validate("stores::"+name+"::elasticsearch"))
		default:
			errs = append(errs, fmt.Errorf("stores::%s: no kind of store; want sqlite: {path: …} or elasticsearch: {endpoints: […]}", name))
		}
		errs = append(errs, sc.Retention.validate("stores::"+name+"::retention"))
	}
	if c.DeadLetters.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("dead_letters::max_bytes: %d; want a size in bytes, or 0 for %d", c.DeadLetters.MaxBytes, defaultDeadLetterBytes))
	}
	return errors.Join(errs...)
}

func (c *Config) names() []string {
	names := make([]string, 0, len(c.Stores))
	for n := range c.Stores {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func (c *StoreConfig) open(ctx context.Context, log *zap.Logger) (store.Store, error) {
	if c.Elasticsearch != nil {
		return c.Elasticsearch.open(ctx, log)
	}
	o := c.SQLite.options()
	o.Logger = log
	return sqlite.Open(ctx, o)
}

func (c *SQLiteConfig) options() sqlite.Options {
	return sqlite.Options{
		Path: c.Path, Synchronous: sqlite.Synchronous(c.Synchronous), NetworkFilesystem: sqlite.NetworkMode(c.NetworkFilesystem),
		MaxTaskBytes: c.MaxTaskBytes, Readers: c.Readers, CacheBytes: c.CacheBytes, ColumnsBytes: c.ColumnsBytes,
		BatchEvents: c.BatchEvents, BatchWait: c.BatchWait,
	}
}

// deadLetterPath is the file for the dead letters of a store.
func (c *Config) deadLetterPath(name string) string {
	if c.DeadLetters.Path != "" {
		return c.DeadLetters.Path
	}
	if c.Stores[name].SQLite == nil {
		return filepath.FromSlash(elasticDeadLetters)
	}
	return filepath.Join(filepath.Dir(c.Stores[name].SQLite.Path), "dead-letter.jsonl")
}
