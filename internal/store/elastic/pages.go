package elastic

import (
	"context"
	"encoding/json"
	"fmt"
)

const (
	pageBytes = 8 << 20 // of sources, about
	smallPage = 200     // of whole states, whose size nobody knows before
	largePage = 2_000   // of a few fields
)

// docValues are fields that a search reads from their columns, in place of documents, which it then need not open.
type docValues []string

// pages are the documents of a query, some at a time.
type pages struct {
	*snapshot
	query  object
	source any
	sort   []object
	size   int // of the next page: the first as it was asked for, the others as many as fit in pageBytes, by the one before
	after  []json.RawMessage
	ended  bool
}

func (p *snapshot) pages(query object, source any, size int) *pages {
	return &pages{snapshot: p, query: query, source: source, size: size}
}

// by puts them in the order of fields, which together name a document.
func (g *pages) by(fields ...string) *pages {
	for _, f := range fields {
		g.sort = append(g.sort, object{f: object{"order": "asc", "unmapped_type": "keyword"}})
	}
	return g
}

// next returns the next page, and no hits behind the last one.
func (g *pages) next(ctx context.Context) ([]hit, error) {
	if g.ended {
		return nil, nil
	}
	body := object{
		"query": g.query, "_source": g.source, "size": g.size, "sort": g.sort,
		"track_total_hits": false, "seq_no_primary_term": true,
	}
	if columns, ok := g.source.(docValues); ok {
		delete(body, "_source")
		body["stored_fields"], body["docvalue_fields"], body["seq_no_primary_term"] = "_none_", columns, false
	}
	if g.after != nil {
		body["search_after"] = g.after
	}
	a, err := g.search(ctx, body)
	if err != nil {
		return nil, err
	}
	list := a.Hits.Hits
	if len(list) == g.size && g.isSingle() {
		// There may be more, which must be of the same moment.
		if err := g.open(ctx); err != nil {
			return nil, err
		}
		return g.next(ctx)
	}
	bytes := 1
	for i := range list {
		h := &list[i]
		bytes += len(h.Source) + len(h.Fields)
		if h.ID == "" { // of columns: every order ends with the id, and a server may put something of its own behind it
			if err := json.Unmarshal(h.Sort[len(g.sort)-1], &h.ID); err != nil {
				return nil, fmt.Errorf("search %s: a document without an id: %w", g.index, err)
			}
		}
	}
	if len(list) < g.size {
		g.ended = true
		return list, nil
	}
	g.after = list[len(list)-1].Sort
	g.size = min(maxHits, max(10, min(4*g.size, g.size*pageBytes/bytes)))
	return list, nil
}

// each calls f for every document of a query, in the order of their ids, however many there are.
func (p *snapshot) each(ctx context.Context, query object, source any, page int, f func(hit) error) error {
	return p.eachBy(ctx, []string{"id"}, query, source, page, f)
}

// eachBy is each in the order of other fields.
func (p *snapshot) eachBy(ctx context.Context, order []string, query object, source any, page int, f func(hit) error) error {
	for g := p.pages(query, source, page).by(order...); ; {
		list, err := g.next(ctx)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, h := range list {
			if err := f(h); err != nil {
				return err
			}
		}
	}
}

// stream is each in the order in which the server has the documents, so that it need not sort them and reads its columns
// from front to back: that costs it half or less. The server makes a page while f has the one before.
func (p *snapshot) stream(ctx context.Context, query object, source any, page int, f func(hit) error) error {
	ctx, cancel := context.WithCancel(ctx)
	g := p.pages(query, source, page)
	// Each shard counts its documents for itself, so that it takes the id to name one.
	g.sort = []object{{"_doc": object{"order": "asc"}}, {"id": object{"order": "asc", "unmapped_type": "keyword"}}}
	type answer struct {
		list []hit
		err  error
	}
	coming := make(chan answer)
	go func() {
		defer close(coming)
		for {
			list, err := g.next(ctx)
			select {
			case coming <- answer{list, err}:
			case <-ctx.Done():
				return
			}
			if err != nil || len(list) == 0 {
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range coming { // until the request on its way has ended
		}
	}()
	for a := range coming {
		if a.err != nil {
			return a.err
		}
		for _, h := range a.list {
			if err := f(h); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}
