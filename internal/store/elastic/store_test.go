package elastic

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/elastic/elastictest"
	"github.com/otelcol-mida/otelcol-mida/internal/store/storetest"
)

var servers elastictest.Servers

func TestMain(m *testing.M) {
	code := servers.Run(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// onEach runs a test on each kind of server.
func onEach(t *testing.T, f func(t *testing.T, o Options)) {
	for _, kind := range elastictest.Kinds {
		t.Run(kind, func(t *testing.T) { f(t, Options{Endpoints: []string{servers.URL(t, kind)}}) })
	}
}

// factory makes stores with indices of their own.
type factory struct {
	options  Options
	mu       sync.Mutex
	prefixes map[store.Store]string
}

func newFactory(o Options) *factory { return &factory{options: o, prefixes: map[store.Store]string{}} }

var prefixes atomic.Int64

func newPrefix() string { return fmt.Sprintf("test-%d", prefixes.Add(1)) }

func (f *factory) New(t *testing.T) store.Store {
	o := f.options
	o.IndexPrefix = newPrefix()
	t.Cleanup(func() { deleteIndices(t, o) })
	return f.open(t, o.IndexPrefix)
}

func (f *factory) open(t *testing.T, prefix string) *Store {
	o := f.options
	o.IndexPrefix = prefix
	s := openStore(t, o)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prefixes[s] = prefix
	return s
}

func (f *factory) Reopen(t *testing.T, s store.Store) store.Store {
	require.NoError(t, s.Close(t.Context()))
	f.mu.Lock()
	prefix := f.prefixes[s]
	f.mu.Unlock()
	return f.open(t, prefix)
}

func (f *factory) OpenBackup(t *testing.T, path string) store.Store {
	s := f.New(t).(*Store)
	require.NoError(t, s.Restore(t.Context(), path))
	return s
}

func openStore(t testing.TB, o Options) *Store {
	s, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	return s
}

// deleteIndices removes what a test made, since a server has room for a thousand indices.
func deleteIndices(t testing.TB, o Options) {
	s, err := Open(o)
	require.NoError(t, err)
	defer s.Close(context.Background())
	for _, kind := range kinds {
		for _, path := range []string{"/" + s.index(kind), "/_index_template/" + o.IndexPrefix + "-" + kind} {
			err := s.client.do(context.Background(), request{method: http.MethodDelete, path: path}, nil)
			if !isStatus(err, http.StatusNotFound) {
				require.NoError(t, err)
			}
		}
	}
}

func TestConformance(t *testing.T) {
	onEach(t, func(t *testing.T, o Options) { storetest.Run(t, newFactory(o), storetest.Capabilities{}) })
}
