package elastic

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"go.uber.org/zap"
)

// Options of a store. Zero values stand for the defaults.
type Options struct {
	// Endpoints are the addresses of nodes, such as http://127.0.0.1:9200. Requests go round; a node that does not answer
	// is passed over for a while.
	Endpoints []string
	// IndexPrefix begins the names of all indices and templates. Default: mida.
	IndexPrefix string
	// Username and Password, or APIKey (base64 of id:key), log in.
	Username, Password, APIKey string
	// TLS is used for https endpoints; nil = the defaults of the system.
	TLS *tls.Config
	// RequestTimeout bounds one request. Default: 1 minute.
	RequestTimeout time.Duration
	// BulkBytes bounds the body of a bulk request. Default: 5 MiB.
	BulkBytes int
	// BulkRequests is the most bulk requests at a time; how many really depends on the server. Default: 16.
	BulkRequests int
	// FieldBudget is the most fields of used, generated and telemetry that are indexed. It is written to the index when
	// that is made, and holds for all collectors. Default: 1000.
	FieldBudget int
	// MaxTaskBytes is the most that the state of one task may take. Default: 16 MiB.
	MaxTaskBytes int
	// CacheBytes bounds the memory for states that were written lately. Default: 64 MiB.
	CacheBytes int
	// BatchEvents is the number of events from which on no further call joins those that are written together.
	// Default: 20,000.
	BatchEvents int
	// Logger says what goes on. Default: nothing is said.
	Logger *zap.Logger
}

// DefaultPrefix begins the names of indices when no prefix is given.
const DefaultPrefix = "mida"

const (
	defaultTimeout      = time.Minute
	defaultBulkBytes    = 5 << 20
	defaultBulkRequests = 16
	defaultFieldBudget  = 1_000
	maxFieldBudget      = 10_000
	defaultTaskBytes    = 16 << 20
	defaultCacheBytes   = 64 << 20
	defaultBatchEvents  = 4_000
	maxBatchEvents      = 1_000_000
	// Servers refuse requests of more than 100 MB, and a state may double when it is quoted.
	maxTaskBytes = 40 << 20
)

var prefixPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,99}$`)

// Validate says all that is wrong.
func (o Options) Validate() error {
	var errs []error
	if len(o.Endpoints) == 0 {
		errs = append(errs, errors.New("endpoints: empty; want the address of at least one node, such as http://127.0.0.1:9200"))
	}
	for i, e := range o.Endpoints {
		u, err := url.Parse(e)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
			errs = append(errs, fmt.Errorf("endpoints[%d]: %q; want an address such as http://127.0.0.1:9200", i, redact(e)))
		case u.User != nil:
			errs = append(errs, fmt.Errorf("endpoints[%d]: %q holds a user name; want it in username and password", i, redact(e)))
		}
	}
	if o.IndexPrefix != "" && !prefixPattern.MatchString(o.IndexPrefix) {
		errs = append(errs, fmt.Errorf("index_prefix: %q; want 1 to 100 of a–z, 0–9, _ . and -, the first a letter or digit", o.IndexPrefix))
	}
	switch {
	case o.APIKey != "" && (o.Username != "" || o.Password != ""):
		errs = append(errs, errors.New("api_key: given together with username or password; want one of them"))
	case (o.Username == "") != (o.Password == ""):
		errs = append(errs, errors.New("username: given without password, or the other way round; want both or neither"))
	}
	for _, n := range []struct {
		key        string
		value, max int
	}{
		{"bulk_bytes", o.BulkBytes, 64 << 20}, {"bulk_requests", o.BulkRequests, 64}, {"field_budget", o.FieldBudget, maxFieldBudget},
		{"max_task_bytes", o.MaxTaskBytes, maxTaskBytes}, {"cache_bytes", o.CacheBytes, 1 << 40},
		{"batch_events", o.BatchEvents, maxBatchEvents},
	} {
		if n.value < 0 || n.value > n.max {
			errs = append(errs, fmt.Errorf("%s: %d; want 0 (the default) to %d", n.key, n.value, n.max))
		}
	}
	if o.RequestTimeout < 0 {
		errs = append(errs, fmt.Errorf("request_timeout: %s; want a time, or 0 for %s", o.RequestTimeout, defaultTimeout))
	}
	return errors.Join(errs...)
}

// redact hides a password in an address.
func redact(address string) string {
	if u, err := url.Parse(address); err == nil && u.User != nil {
		return u.Redacted()
	}
	return address
}

func (o Options) withDefaults() Options {
	o.IndexPrefix = cmp.Or(o.IndexPrefix, DefaultPrefix)
	o.RequestTimeout = cmp.Or(o.RequestTimeout, defaultTimeout)
	o.BulkBytes = cmp.Or(o.BulkBytes, defaultBulkBytes)
	o.BulkRequests = cmp.Or(o.BulkRequests, defaultBulkRequests)
	o.FieldBudget = cmp.Or(o.FieldBudget, defaultFieldBudget)
	o.MaxTaskBytes = cmp.Or(o.MaxTaskBytes, defaultTaskBytes)
	o.CacheBytes = cmp.Or(o.CacheBytes, defaultCacheBytes)
	o.BatchEvents = cmp.Or(o.BatchEvents, defaultBatchEvents)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o
}
