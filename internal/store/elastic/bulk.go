package elastic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// version is what a document must still have when it is written over.
type version struct{ seq, term int64 }

// operation is one item of a bulk request.
type operation struct {
	verb      string // create, index or delete
	index, id string
	version   *version // of index and delete
	body      []byte
}

func (o *operation) append(buf []byte) []byte {
	buf = append(buf, `{"`+o.verb+`":{"_index":`...)
	buf = task.AppendJSON(buf, o.index)
	buf = append(buf, `,"_id":`...)
	buf = task.AppendJSON(buf, o.id)
	if o.version != nil {
		buf = fmt.Appendf(buf, `,"if_seq_no":%d,"if_primary_term":%d`, o.version.seq, o.version.term)
	}
	buf = append(buf, "}}\n"...)
	if o.body != nil {
		buf = append(append(buf, o.body...), '\n')
	}
	return buf
}

// perOperation stands for the line of an operation.
const perOperation = 200

// result is what became of an operation.
type result struct {
	version version
	err     *Error // nil: it was done
}

func (r result) conflict() bool { return r.err != nil && r.err.Status == http.StatusConflict }

// busy says that the server may do the same later.
func (r result) busy() bool {
	return r.err != nil && (r.err.Status == http.StatusTooManyRequests || r.err.Status >= http.StatusInternalServerError)
}

// pace decides how many bulk requests run at a time: one more after each that went well, half as many after one that the
// server was too busy for.
type pace struct {
	mu             sync.Mutex
	free           *sync.Cond
	running, limit int
	most           int
}

func newPace(most int) *pace {
	p := &pace{limit: min(2, most), most: most}
	p.free = sync.NewCond(&p.mu)
	return p
}

func (p *pace) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.running >= p.limit {
		p.free.Wait()
	}
	p.running++
}

func (p *pace) end(busy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	if busy {
		p.limit = max(1, p.limit/2)
	} else {
		p.limit = min(p.most, p.limit+1)
	}
	p.free.Broadcast()
}

// bulk runs operations, in requests of bounded size, several at a time. The results are in the order of the operations.
func (s *Store) bulk(ctx context.Context, ops []*operation) ([]result, error) {
	results := make([]result, len(ops))
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for from := 0; from < len(ops); {
		to, size := from, 0
		for to < len(ops) && (to == from || size+len(ops[to].body)+perOperation <= s.opts.BulkBytes) {
			size += len(ops[to].body) + perOperation
			to++
		}
		s.pace.begin()
		part, out := ops[from:to], results[from:to]
		wg.Go(func() {
			busy, err := s.bulkRequest(ctx, part, out, size)
			s.pace.end(busy)
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
		from = to
	}
	wg.Wait()
	return results, errors.Join(errs...)
}

var bulkQuery = url.Values{"filter_path": {"items.*.status,items.*._seq_no,items.*._primary_term,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"}}

func (s *Store) bulkRequest(ctx context.Context, ops []*operation, results []result, size int) (busy bool, err error) {
	body := make([]byte, 0, size)
	for _, o := range ops {
		body = o.append(body)
	}
	var answer struct {
		Items []map[string]struct {
			Status int
			Seq    int64 `json:"_seq_no"`
			Term   int64 `json:"_primary_term"`
			Error  *struct {
				Type, Reason string
				CausedBy     struct{ Reason string } `json:"caused_by"`
			}
		}
	}
	err = s.client.do(ctx, request{method: http.MethodPost, path: "/_bulk", query: bulkQuery, body: ndjson(body)}, &answer)
	var refused *Error
	switch {
	case err == nil:
	case errors.As(err, &refused) && refused.Status == http.StatusRequestEntityTooLarge && len(ops) > 1:
		half := len(ops) / 2
		_, err1 := s.bulkRequest(ctx, ops[:half], results[:half], size)
		_, err2 := s.bulkRequest(ctx, ops[half:], results[half:], size)
		return false, errors.Join(err1, err2)
	case errors.As(err, &refused) && (result{err: refused}.busy() || refused.Status == http.StatusRequestEntityTooLarge):
		for i := range results {
			results[i].err = refused
		}
		return true, nil
	default:
		return true, err
	}
	if len(answer.Items) != len(ops) {
		return false, fmt.Errorf("bulk: %d operations, %d results", len(ops), len(answer.Items))
	}
	for i, item := range answer.Items {
		for _, r := range item {
			results[i].version = version{r.Seq, r.Term}
			if r.Error != nil {
				reason := r.Error.Reason
				if r.Error.CausedBy.Reason != "" {
					reason += ": " + r.Error.CausedBy.Reason
				}
				results[i].err = &Error{Status: r.Status, Type: r.Error.Type, Reason: reason}
			} else if r.Status >= 300 {
				results[i].err = &Error{Status: r.Status}
			}
			busy = busy || results[i].busy()
		}
	}
	return busy, nil
}

// wait sleeps before a further try: longer after each, and not in step with others.
func wait(ctx context.Context, try int, first, most time.Duration) error {
	d := min(most, first<<min(try, 20))
	d = d/2 + rand.N(d/2+1)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
