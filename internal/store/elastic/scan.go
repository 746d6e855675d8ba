package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// snapshot is the view as of one moment: a point in time of the server, opened after a refresh, so that all that was
// written before is in it.
type snapshot struct {
	store *Store
	index string
	pit   string // "" = not opened: one request is a snapshot of its own
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
	p.pit = answer.ID + answer.PIT
	return err
}

// close gives the snapshot back, also when the time of the caller has ended.
func (p *snapshot) close() {
	if p.pit == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.store.alive, 5*time.Second)
	defer cancel()
	r := request{method: http.MethodDelete, path: "/_pit", body: object{"id": p.pit}}
	if p.store.client.openSearch.Load() {
		r.path, r.body = "/_search/point_in_time", object{"pit_id": []string{p.pit}}
	}
	// What is not given back ends by itself.
	_ = p.store.client.do(ctx, r, nil)
	p.pit = ""
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
	if p.pit != "" {
		body["pit"] = object{"id": p.pit, "keep_alive": keepAlive}
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
		p.pit = a.PIT
	}
	return a, nil
}

const (
	pageBytes = 8 << 20 // of sources, about
	smallPage = 200     // of whole states, whose size nobody knows before
	largePage = 2_000   // of a few fields
)

// docValues are fields that a search reads from their columns, in place of documents, which it then need not open.
type docValues []string

// each calls f for every document of a query, in the order of their ids, however many there are. The first request asks
// for a page; the others for as many as fit in pageBytes, by the sizes of the page before.
func (p *snapshot) each(ctx context.Context, query, source any, page int, f func(hit) error) error {
	return p.eachBy(ctx, []string{"id"}, query, source, page, f)
}

// eachBy is each in the order of other fields, which together name a document.
func (p *snapshot) eachBy(ctx context.Context, order []string, query, source any, page int, f func(hit) error) error {
	var sort []object
	for _, field := range order {
		sort = append(sort, object{field: object{"order": "asc", "unmapped_type": "keyword"}})
	}
	var after []json.RawMessage
	for {
		body := object{
			"query": query, "_source": source, "size": page, "sort": sort,
			"track_total_hits": false, "seq_no_primary_term": true,
		}
		if columns, ok := source.(docValues); ok {
			delete(body, "_source")
			body["stored_fields"], body["docvalue_fields"], body["seq_no_primary_term"] = "_none_", columns, false
		}
		if after != nil {
			body["search_after"] = after
		}
		a, err := p.search(ctx, body)
		if err != nil {
			return err
		}
		list := a.Hits.Hits
		if len(list) == page && p.pit == "" {
			// There may be more, which must be of the same moment.
			if err := p.open(ctx); err != nil {
				return err
			}
			continue
		}
		bytes := 1
		for _, h := range list {
			bytes += len(h.Source) + len(h.Fields)
			if err := f(h); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
		after = list[len(list)-1].Sort
		page = min(maxHits, max(10, min(4*page, page*pageBytes/bytes)))
	}
}

// chunk is how many values one query has.
const chunk = 1_000

// eachOf calls f for the documents that have any of the values in a field, besides the filter.
func (p *snapshot) eachOf(ctx context.Context, field string, values []string, filter []object, source any, page int, f func(hit) error) error {
	if len(values) > chunk && p.pit == "" {
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
