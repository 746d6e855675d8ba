package elastic

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"
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
	buf = append(append(append(buf, `{"`...), o.verb...), `":{"_index":`...)
	buf = appendText(buf, o.index)
	buf = append(buf, `,"_id":`...)
	buf = appendText(buf, o.id)
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

// leastShare is the size from which on a request is cut for others to run beside it.
const leastShare = 1 << 20

// small is the size up to which operations need not wait for their turn: they cost the server next to nothing. What calls
// say of their observers is of that size, and the end of each waits for it.
const small = 32 << 10

// bulk runs operations, in requests of bounded size, several at a time: one for each idle processor of the server, which
// works at one request with few of them. The results are in the order of the operations.
func (s *Store) bulk(ctx context.Context, ops []*operation) ([]result, error) {
	results := make([]result, len(ops))
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	left := 0 // bytes
	for _, o := range ops {
		left += len(o.body) + perOperation
	}
	if 0 < left && left <= small {
		_, err := s.bulkRequest(ctx, ops, results, left)
		return results, err
	}
	for from := 0; from < len(ops); {
		full, idle, err := s.pace.begin(ctx)
		if err != nil {
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
			break
		}
		_, most := s.pace.now()
		most = min(most, max(leastShare, left/(idle+1)))
		to, size := from, 0
		for to < len(ops) && (to == from || size+len(ops[to].body)+perOperation <= most) {
			size += len(ops[to].body) + perOperation
			to++
		}
		left -= size
		part, out := ops[from:to], results[from:to]
		wg.Go(func() {
			start := time.Now()
			o, err := s.bulkRequest(ctx, part, out, size)
			o.full, o.bytes, o.took = full, size, time.Since(start)
			s.pace.end(o)
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

func (s *Store) bulkRequest(ctx context.Context, ops []*operation, results []result, size int) (o outcome, err error) {
	body := make([]byte, 0, size)
	for _, o := range ops {
		body = o.append(body)
	}
	type item struct {
		Status int
		Seq    int64 `json:"_seq_no"`
		Term   int64 `json:"_primary_term"`
		Error  *struct {
			Type, Reason string
			CausedBy     struct{ Reason string } `json:"caused_by"`
		}
	}
	var answer struct {
		Items []struct{ Create, Index, Delete *item } // one of them, as the operation said
	}
	answer.Items = make([]struct{ Create, Index, Delete *item }, 0, len(ops))
	err = s.client.do(ctx, request{method: http.MethodPost, path: "/_bulk", query: bulkQuery, body: ndjson(body)}, &answer)
	var refused *Error
	switch {
	case err == nil:
	case errors.As(err, &refused) && refused.Status == http.StatusRequestEntityTooLarge && len(ops) > 1:
		half := len(ops) / 2
		_, err1 := s.bulkRequest(ctx, ops[:half], results[:half], size)
		_, err2 := s.bulkRequest(ctx, ops[half:], results[half:], size)
		return outcome{tooLarge: true}, errors.Join(err1, err2)
	case errors.As(err, &refused) && (result{err: refused}.busy() || refused.Status == http.StatusRequestEntityTooLarge):
		for i := range results {
			results[i].err = refused
		}
		return outcome{busy: refused.Status != http.StatusRequestEntityTooLarge}, nil
	default:
		return outcome{busy: true}, err
	}
	if len(answer.Items) != len(ops) {
		return o, fmt.Errorf("bulk: %d operations, %d results", len(ops), len(answer.Items))
	}
	for i, a := range answer.Items {
		r := cmp.Or(a.Create, a.Index, a.Delete)
		if r == nil {
			return o, fmt.Errorf("bulk: the server did not say what became of %s of %s", ops[i].id, ops[i].index)
		}
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
		o.busy = o.busy || results[i].busy()
	}
	return o, nil
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
