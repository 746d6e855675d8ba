package taskstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configtls"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/elastic"
)

// ElasticsearchConfig is a store in an Elasticsearch 8 or OpenSearch 2 cluster. The cluster need not be there when the
// collector starts: writers are asked to try again until it is.
type ElasticsearchConfig struct {
	// Endpoints are the addresses of nodes, such as http://127.0.0.1:9200.
	Endpoints []string `mapstructure:"endpoints"`
	// IndexPrefix begins the names of indices and templates. Collectors with the same prefix share a view. Empty = mida.
	IndexPrefix string `mapstructure:"index_prefix"`
	// Username and Password log in, or APIKey does.
	Username string              `mapstructure:"username"`
	Password configopaque.String `mapstructure:"password"`
	// APIKey is the base64 text of an API key, which Elasticsearch calls "encoded".
	APIKey configopaque.String `mapstructure:"api_key"`
	// TLS of https endpoints: ca_file, cert_file, key_file, insecure_skip_verify, …
	TLS configtls.ClientConfig `mapstructure:"tls"`
	// RequestTimeout bounds one request. 0 = 1m.
	RequestTimeout time.Duration `mapstructure:"request_timeout"`
	// BulkBytes bounds the body of one bulk request. 0 = 5242880 (5 MiB).
	BulkBytes int `mapstructure:"bulk_bytes"`
	// BulkRequests is the most bulk requests at a time; fewer run when the server says that it is busy. 0 = 16.
	BulkRequests int `mapstructure:"bulk_requests"`
	// FieldBudget is the most fields of used, generated and telemetry that are indexed; more are kept without. It counts
	// when the index is made. 0 = 1000.
	FieldBudget int `mapstructure:"field_budget"`
	// MaxTaskBytes is the most that the state of one task may take; what would exceed it is a dead letter.
	// 0 = 16777216 (16 MiB).
	MaxTaskBytes int `mapstructure:"max_task_bytes"`
	// CacheBytes bounds the memory for the states of tasks that were written lately. 0 = 67108864 (64 MiB).
	CacheBytes int `mapstructure:"cache_bytes"`
	// BatchEvents is the number of events from which on no further request joins those that are written together. 0 = 20000.
	BatchEvents int `mapstructure:"batch_events"`
	// prevent unkeyed literal initialization
	_ struct{}
}

// elasticDeadLetters is where the dead letters of such a store go by default.
const elasticDeadLetters = "mida-data/dead-letter.jsonl"

func (c *ElasticsearchConfig) options() elastic.Options {
	return elastic.Options{
		Endpoints: c.Endpoints, IndexPrefix: c.IndexPrefix, Username: c.Username, Password: string(c.Password), APIKey: string(c.APIKey),
		RequestTimeout: c.RequestTimeout, BulkBytes: c.BulkBytes, BulkRequests: c.BulkRequests, FieldBudget: c.FieldBudget,
		MaxTaskBytes: c.MaxTaskBytes, CacheBytes: c.CacheBytes, BatchEvents: c.BatchEvents,
	}
}

func (c *ElasticsearchConfig) validate(at string) error {
	var errs []error
	if joined, ok := c.options().Validate().(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			errs = append(errs, fmt.Errorf("%s::%w", at, err))
		}
	}
	return errors.Join(errs...)
}

func (c *ElasticsearchConfig) open(ctx context.Context, log *zap.Logger) (store.Store, error) {
	o := c.options()
	o.Logger = log
	var err error
	if o.TLS, err = c.TLS.LoadTLSConfig(ctx); err != nil {
		return nil, fmt.Errorf("elasticsearch::tls: %w", err)
	}
	return elastic.Open(o)
}
