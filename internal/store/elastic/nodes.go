package elastic

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// patience is how long a node may take for an answer before it is asked whether it is still there, and then for that. A
// node that hangs keeps its connections, and would hold up each request until its time is over.
const patience = 5 * time.Second

var errHangs = errors.New("the node does not answer, not even whether it is there")

// nodes sends requests to the node that was chosen for them. Where there are several, it breaks off those to a node that
// hangs, so that the next one is tried, and asks a node that failed before whether it is back.
type nodes struct {
	http     *http.Transport
	several  bool
	patience time.Duration
	failed   sync.Map // host → true
}

func (n *nodes) RoundTrip(r *http.Request) (*http.Response, error) {
	if !n.several {
		return n.http.RoundTrip(r)
	}
	host, answers := r.URL.Host, n.probe(r)
	if _, failed := n.failed.Load(host); failed && !answers(r.Context()) {
		return nil, errHangs
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	var watch *time.Timer
	var mu sync.Mutex // guards watch
	mu.Lock()
	watch = time.AfterFunc(n.patience, func() {
		if !answers(ctx) && ctx.Err() == nil {
			cancel(errHangs)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() == nil {
			watch.Reset(n.patience)
		}
	})
	mu.Unlock()
	end := func() {
		cancel(nil)
		mu.Lock()
		defer mu.Unlock()
		watch.Stop()
	}
	res, err := n.http.RoundTrip(r.WithContext(ctx))
	if err == nil {
		n.failed.Delete(host)
		res.Body = &watchedBody{res.Body, ctx, end}
		return res, nil
	}
	if errors.Is(context.Cause(ctx), errHangs) {
		err = errHangs
	}
	end()
	if r.Context().Err() == nil {
		n.failed.Store(host, true)
	}
	return nil, err
}

// probe returns what asks the node of a request whether it answers anything at all. The request itself changes when it is
// sent to the next one.
func (n *nodes) probe(to *http.Request) func(context.Context) bool {
	root := url.URL{Scheme: to.URL.Scheme, Host: to.URL.Host, Path: "/"}
	login := to.Header.Get("Authorization")
	return func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, n.patience)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodHead, root.String(), nil)
		if err != nil {
			return false
		}
		if login != "" {
			r.Header.Set("Authorization", login)
		}
		res, err := n.http.RoundTrip(r)
		if err != nil {
			return false
		}
		_ = res.Body.Close() // there is nothing in it
		return true
	}
}

// watchedBody is watched until it is closed.
type watchedBody struct {
	io.ReadCloser
	ctx context.Context
	end func()
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && errors.Is(context.Cause(b.ctx), errHangs) {
		err = errHangs
	}
	return n, err
}

func (b *watchedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
