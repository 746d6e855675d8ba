package elastic

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A server works at one bulk request with few of its cores, so that several run side by side.
func TestRequestsAreCutForIdleProcessors(t *testing.T) {
	var mu sync.Mutex
	var sizes []int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if !assert.NoError(t, err) {
			return
		}
		mu.Lock()
		sizes = append(sizes, len(body))
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		items := strings.Repeat(`{"create":{"status":201,"_seq_no":7,"_primary_term":1}},`, bytes.Count(body, []byte("\n"))/2)
		_, err = fmt.Fprintf(w, `{"items":[%s]}`, strings.TrimSuffix(items, ","))
		assert.NoError(t, err)
	}))
	defer srv.Close()
	of := func(processors, bodies int) []int {
		s, err := Open(Options{Endpoints: []string{srv.URL}, BulkRequests: 64})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close(t.Context())) }()
		s.pace.limit, sizes = 64, nil
		s.pace.serve(processors)
		ops := make([]*operation, bodies)
		for i := range ops {
			ops[i] = &operation{verb: "create", index: "x", id: fmt.Sprint(i), body: bytes.Repeat([]byte{' '}, 1<<20/10)}
		}
		results, err := s.bulk(t.Context(), ops)
		require.NoError(t, err)
		for i, r := range results {
			require.Equal(t, result{version: version{7, 1}}, r, i)
		}
		return sizes
	}
	require.Len(t, of(0, 40), 1, "nobody knows of more")
	require.Len(t, of(1, 40), 1)
	four := of(4, 40)
	require.Len(t, four, 4)
	for _, size := range four {
		require.InDelta(t, 1<<20, size, 120<<10, "of equal size")
	}
	require.LessOrEqual(t, len(of(16, 40)), 5, "no smaller than is worth a request")
	require.Len(t, of(16, 5), 1)
}

func TestASmallRequestDoesNotWaitForItsTurn(t *testing.T) {
	asked := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		w.Header().Set("Content-Type", "application/json")
		_, err := io.WriteString(w, `{"items":[{"create":{"status":201,"_seq_no":7,"_primary_term":1}}]}`)
		assert.NoError(t, err)
	}))
	defer srv.Close()
	s, err := Open(Options{Endpoints: []string{srv.URL}, BulkRequests: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close(t.Context())) }()
	_, _, err = s.pace.begin(t.Context()) // no other may run
	require.NoError(t, err)
	ctx, end := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer end()
	_, err = s.bulk(ctx, []*operation{{verb: "create", index: "x", id: "1", body: bytes.Repeat([]byte{' '}, small)}})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	results, err := s.bulk(t.Context(), []*operation{{verb: "create", index: "x", id: "1", body: []byte("{}")}})
	require.NoError(t, err)
	require.Equal(t, []result{{version: version{7, 1}}}, results)
	<-asked
}
