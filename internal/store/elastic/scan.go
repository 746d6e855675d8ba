package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// snapshot is the view as of one moment: a point in time of the server, opened after a refresh, so that all that was
// written before is in it.
type snapshot struct {
	store *Store
	index string

	mu  sync.Mutex
	pit string // "" = not opened: one request is a snapshot of its own
}

// point names the snapshot to the server.
func (p *snapshot) point() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pit
}

func (p *snapshot) isSingle() bool { return p.point() == "" }

func (p *snapshot) setPoint(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pit = id
}

// maxHits is the most hits that servers return at once.
const maxHits = 10_000

// keepAlive is how long the server keeps a snapshot after each request.
const keepAlive = "5m"

func (s *Store) indices(kinds ...string) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = s.index(k)
	}
	return strings.Join(names, ",")
}

// refresh makes what was written visible to searches. It costs next to nothing where nothing was written since the last
// one, and spares each bulk request to wait for one.
func (s *Store) refresh(ctx context.Context, index string) error {
	return s.client.ask(ctx, request{method: http.MethodPost, path: "/" + index + "/_refresh"}, nil)
}

// look returns a snapshot for a single search.
func (s *Store) look(ctx context.Context, kinds ...string) (*snapshot, error) {
	p := &snapshot{store: s, index: s.indices(kinds...)}
	return p, s.refresh(ctx, p.index)
}

// snapshot opens a snapshot for several searches.
func (s *Store) snapshot(ctx context.Context, kinds ...string) (*snapshot, error) {
	p, err := s.look(ctx, kinds...)
	if err != nil {
		return nil, err
	}
	return p, p.open(ctx)
}

func (p *snapshot) open(ctx context.Context) error {
	// Each server has a name of its own for it.
	path := "/_pit"
	if p.store.client.openSearch.Load() {
		path = "/_search/point_in_time"
	}
	var answer struct {
		ID  string `json:"id"`
		PIT string `json:"pit_id"`
	}
	err := p.store.client.ask(ctx, request{
		method: http.MethodPost, path: "/" + p.index + path, query: url.Values{"keep_alive": {keepAlive}},
	}, &answer)
	p.setPoint(answer.ID + answer.PIT)
	return err
}

// close gives the snapshot back, also when the time of the caller has ended.
func (p *snapshot) close() {
	pit := p.point()
	if pit == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.store.alive, 5*time.Second)
	defer cancel()
	r := request{method: http.MethodDelete, path: "/_pit", body: object{"id": pit}}
	if p.store.client.openSearch.Load() {
		r.path, r.body = "/_search/point_in_time", object{"pit_id": []string{pit}}
	}
	// What is not given back ends by itself.
	_ = p.store.client.do(ctx, r, nil)
	p.setPoint("")
}

// hit is one document that a search found.
type hit struct {
	ID     string            `json:"_id"`
	Seq    int64             `json:"_seq_no"`
	Term   int64             `json:"_primary_term"`
	Source json.RawMessage   `json:"_source"`
	Fields json.RawMessage   // of docValues
	Sort   []json.RawMessage `json:"sort"`
}

type hits struct {
	Total struct{ Value int64 }
	Hits  []hit
}

// searchAnswer is the answer to a search.
type searchAnswer struct {
	PIT          string `json:"pit_id"`
	TimedOut     bool   `json:"timed_out"`
	Hits         hits
	Aggregations json.RawMessage
}

// search runs one search in the snapshot.
func (p *snapshot) search(ctx context.Context, body object) (*searchAnswer, error) {
	r := request{method: http.MethodPost, path: "/_search", body: body, query: url.Values{"allow_partial_search_results": {"false"}}}
	if pit := p.point(); pit != "" {
		body["pit"] = object{"id": pit, "keep_alive": keepAlive}
	} else {
		r.path = "/" + p.index + "/_search"
	}
	a := &searchAnswer{}
	if err := p.store.client.ask(ctx, r, a); err != nil {
		return nil, err
	}
	if a.TimedOut {
		return nil, fmt.Errorf("search %s: the server gave up before it had looked at everything", p.index)
	}
	if a.PIT != "" {
		p.setPoint(a.PIT)
	}
	return a, nil
}

// chunk is how many values one query has.
const chunk = 1_000

// eachOf calls f for the documents that have any of the values in a field, besides the filter.
func (p *snapshot) eachOf(ctx context.Context, field string, values []string, filter []object, source any, page int, f func(hit) error) error {
	if len(values) > chunk && p.isSingle() {
		if err := p.open(ctx); err != nil {
			return err
		}
	}
	for len(values) > 0 {
		part := values[:min(chunk, len(values))]
		values = values[len(part):]
		query := object{"bool": object{"filter": append([]object{{"terms": object{field: part}}}, filter...)}}
		if err := p.each(ctx, query, source, page, f); err != nil {
			return err
		}
	}
	return nil
}
