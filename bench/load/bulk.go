package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// bareAhead begins the names of the indices of the bare loop; no template of the collector is for them.
const bareAhead = "bare-"

// server is a search server.
type server string

// document is one of the view.
type document struct {
	index, id string
	source    json.RawMessage
	place     float64 // of 0 to 1 in its index
}

// bulk indexes the documents of a view again, into indices with the same settings and mappings, by a loop that does
// nothing else: the requests are made before the clock starts, and of the answers only "errors" is read. The clock stops
// after a refresh, as the view's own does, because its queries refresh.
func bulk(args []string) error {
	f := flag.NewFlagSet("bulk", flag.ContinueOnError)
	url := f.String("url", "", "address of the server")
	prefix := f.String("prefix", "", "index_prefix of the view")
	kinds := f.String("kinds", "tasks,claims,workflows,observers", "which of its indices")
	grid := f.String("grid", "1000x1,1000x2,1000x4,5000x1,5000x2,5000x4", "documents a request x workers")
	if err := f.Parse(args); err != nil {
		return err
	}
	s := server(strings.TrimSuffix(*url, "/"))
	var docs []document
	made := map[string]json.RawMessage{}
	for _, kind := range strings.Split(*kinds, ",") {
		index := *prefix + "-" + kind + "-v1"
		found, err := s.scan(index)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			continue
		}
		docs = append(docs, found...)
		if made[index], err = s.definition(index); err != nil {
			return err
		}
	}
	// A batch holds of each index its share, as a batch of the collector does.
	sort.SliceStable(docs, func(i, k int) bool { return docs[i].place < docs[k].place })
	for _, g := range strings.Split(*grid, ",") {
		var size, workers int
		if _, err := fmt.Sscanf(g, "%dx%d", &size, &workers); err != nil {
			return fmt.Errorf("grid: %q is not <documents>x<workers>: %w", g, err)
		}
		took, n, busy, err := s.load(docs, made, size, workers)
		if err != nil {
			return err
		}
		say(map[string]any{"batch": g, "documents": len(docs), "bytes": n, "seconds": took.Seconds(), "busy": busy})
	}
	return nil
}

// load returns how long it took, the bytes that were sent, and how often the server had no room for a request, which was
// sent again as the collector does.
func (s server) load(docs []document, made map[string]json.RawMessage, size, workers int) (took time.Duration, total int, busy int64, err error) {
	for index, definition := range made {
		if err := s.ask(http.MethodPut, "/"+bareAhead+index, definition, nil); err != nil {
			return 0, 0, 0, err
		}
		defer func() { _ = s.ask(http.MethodDelete, "/"+bareAhead+index, nil, nil) }()
	}
	work := make(chan []byte, len(docs)/size+1)
	for first := 0; first < len(docs); first += size {
		var body bytes.Buffer
		for _, d := range docs[first:min(first+size, len(docs))] {
			fmt.Fprintf(&body, "{\"create\":{\"_index\":%q,\"_id\":%q}}\n%s\n", bareAhead+d.index, d.id, d.source)
		}
		total += body.Len()
		work <- body.Bytes()
	}
	close(work)
	errs := make([]error, workers)
	var refusals atomic.Int64
	var wg sync.WaitGroup
	started := time.Now()
	for i := range workers {
		wg.Go(func() {
			for body := range work {
				var answer struct{ Errors bool }
				err := s.ask(http.MethodPost, "/_bulk?filter_path=errors", body, &answer)
				for wait := leastWait; errors.Is(err, errBusy) && wait < mostWait; wait *= 2 {
					refusals.Add(1)
					time.Sleep(wait)
					err = s.ask(http.MethodPost, "/_bulk?filter_path=errors", body, &answer)
				}
				if err == nil && answer.Errors {
					err = errors.New("the server refused documents")
				}
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	wg.Wait()
	if err := s.ask(http.MethodPost, "/"+bareAhead+"*/_refresh", nil, nil); err != nil {
		return 0, 0, 0, err
	}
	took = time.Since(started)
	var counted struct{ Count int }
	if err := s.ask(http.MethodGet, "/"+bareAhead+"*/_count", nil, &counted); err != nil {
		return 0, 0, 0, err
	}
	if counted.Count != len(docs) {
		errs = append(errs, fmt.Errorf("%d of %d documents arrived", counted.Count, len(docs)))
	}
	return took, total, refusals.Load(), errors.Join(errs...)
}

// errBusy is the answer of a server that has no room for a request now.
var errBusy = errors.New("the server is busy")

const leastWait, mostWait = 100 * time.Millisecond, 30 * time.Second

// definition returns what makes an index like this one.
func (s server) definition(index string) (json.RawMessage, error) {
	var found map[string]struct {
		Mappings json.RawMessage
		Settings struct{ Index map[string]any }
	}
	if err := s.ask(http.MethodGet, "/"+index, nil, &found); err != nil {
		return nil, err
	}
	settings := found[index].Settings.Index
	for _, key := range []string{"creation_date", "uuid", "version", "provided_name"} {
		delete(settings, key)
	}
	return json.Marshal(map[string]any{"mappings": found[index].Mappings, "settings": map[string]any{"index": settings}})
}

func (s server) scan(index string) ([]document, error) {
	type page struct {
		Scroll string `json:"_scroll_id"`
		Hits   struct {
			Hits []struct {
				ID     string          `json:"_id"`
				Source json.RawMessage `json:"_source"`
			}
		}
	}
	if err := s.ask(http.MethodPost, "/"+index+"/_refresh", nil, nil); err != nil {
		return nil, err
	}
	var p page
	if err := s.ask(http.MethodPost, "/"+index+"/_search?scroll=5m", []byte(`{"size": 5000, "sort": ["_doc"]}`), &p); err != nil {
		return nil, err
	}
	var docs []document
	for len(p.Hits.Hits) > 0 {
		for _, h := range p.Hits.Hits {
			docs = append(docs, document{index: index, id: h.ID, source: h.Source})
		}
		body, err := json.Marshal(map[string]any{"scroll": "5m", "scroll_id": p.Scroll})
		if err != nil {
			return nil, err
		}
		p.Hits.Hits = nil
		if err := s.ask(http.MethodPost, "/_search/scroll", body, &p); err != nil {
			return nil, err
		}
	}
	for i := range docs {
		docs[i].place = float64(i) / float64(len(docs))
	}
	return docs, nil
}

func (s server) ask(method, path string, body []byte, answer any) error {
	r, err := http.NewRequest(method, string(s)+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/_bulk") {
		r.Header.Set("Content-Type", "application/x-ndjson")
	}
	got, err := client.Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	data, err := io.ReadAll(got.Body)
	if err != nil {
		return err
	}
	if got.StatusCode == http.StatusTooManyRequests {
		return fmt.Errorf("%s %s: %w: %.300s", method, path, errBusy, data)
	}
	if got.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %.500s", method, path, got.Status, data)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(data, answer)
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 5 * time.Minute}
