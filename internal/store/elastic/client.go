package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	elasticsearch "github.com/elastic/go-elasticsearch/v8"
)

// client speaks to the cluster, Elasticsearch or OpenSearch.
type client struct {
	es        *elasticsearch.BaseClient
	alive     context.Context // of the store: requests end with it
	http      *http.Transport
	nodes     *nodes
	timeout   time.Duration
	endpoints []string
	// openSearch says that the last answer came from no Elasticsearch.
	openSearch atomic.Bool
}

func newClient(alive context.Context, o Options) (*client, error) {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		transport = &http.Transport{}
	}
	c := &client{alive: alive, http: transport.Clone(), timeout: o.RequestTimeout, endpoints: o.Endpoints}
	c.http.MaxIdleConnsPerHost = 2 * o.BulkRequests
	if o.TLS != nil {
		c.http.TLSClientConfig = o.TLS.Clone()
	}
	c.nodes = &nodes{http: c.http, several: len(o.Endpoints) > 1, patience: patience}
	var err error
	c.es, err = elasticsearch.NewBaseClient(elasticsearch.Config{
		Addresses: o.Endpoints, Username: o.Username, Password: o.Password, APIKey: o.APIKey,
		Transport: genuine{c}, DisableMetaHeader: true,
		// The next node is tried at once; what then fails, our callers try again later.
		MaxRetries: min(3, len(o.Endpoints)-1), DisableRetry: len(o.Endpoints) == 1,
		RetryOnError: func(r *http.Request, _ error) bool { return r.Context().Err() == nil },
	})
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return c, nil
}

func (c *client) close() {
	// It only ends looking after nodes that did not answer; there is nothing that could fail.
	_ = c.es.Close(context.Background())
	c.http.CloseIdleConnections()
}

// genuine lets the client take OpenSearch for Elasticsearch. Else it would call a bulk request failed that the server has
// executed: it looks at the answer's product header afterwards.
type genuine struct{ c *client }

const productHeader = "X-Elastic-Product"

func (g genuine) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := g.c.nodes.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	g.c.openSearch.Store(res.Header.Get(productHeader) == "")
	res.Header.Set(productHeader, "Elasticsearch")
	return res, nil
}

// Error is an answer of the server that is none.
type Error struct {
	Status       int // of HTTP
	Type, Reason string
}

func (e *Error) Error() string {
	if e.Type == "" {
		return fmt.Sprintf("the server answers %d: %s", e.Status, e.Reason)
	}
	return fmt.Sprintf("the server answers %d %s: %s", e.Status, e.Type, e.Reason)
}

// request is one HTTP request with a JSON answer.
type request struct {
	method, path string
	query        url.Values
	body         any // JSON, or ndjson as it is
}

type ndjson []byte

// ask sends a request that only reads, and again for a while when the server is too busy, or a shard has just moved.
func (c *client) ask(ctx context.Context, r request, out any) error {
	for try := 0; ; try++ {
		err := c.do(ctx, r, out)
		var refused *Error
		if try == maxBusy || !errors.As(err, &refused) || !(result{err: refused}).busy() {
			return err
		}
		if err := wait(ctx, try, busyFirst, busyMost); err != nil {
			return err
		}
	}
}

// do sends a request and reads its answer into out, if that is not nil.
func (c *client) do(ctx context.Context, r request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	defer context.AfterFunc(c.alive, cancel)()
	var body io.Reader
	content := "application/json"
	switch b := r.body.(type) {
	case nil:
	case ndjson:
		body, content = bytes.NewReader(b), "application/x-ndjson"
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	req.URL.RawQuery = r.query.Encode()
	if body != nil {
		req.Header.Set("Content-Type", content)
	}
	res, err := c.es.Perform(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %w", r.method, r.path, answerError(res.StatusCode, data))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: the answer is no JSON of the kind that is expected: %w", r.method, r.path, err)
	}
	return nil
}

// answerError reads {"error": {"type", "reason", "root_cause": […]}} and what proxies answer instead.
func answerError(status int, data []byte) *Error {
	var a struct {
		Error struct {
			Type      string
			Reason    string
			RootCause []struct{ Type, Reason string } `json:"root_cause"`
		}
	}
	if err := json.Unmarshal(data, &a); err != nil || a.Error.Type == "" {
		return &Error{Status: status, Reason: fmt.Sprintf("%.300s", bytes.TrimSpace(data))}
	}
	e := &Error{Status: status, Type: a.Error.Type, Reason: a.Error.Reason}
	if len(a.Error.RootCause) > 0 && a.Error.RootCause[0].Reason != "" && a.Error.RootCause[0].Reason != e.Reason {
		e.Reason += ": " + a.Error.RootCause[0].Reason
	}
	return e
}
