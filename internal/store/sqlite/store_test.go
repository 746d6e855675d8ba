package sqlite

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// factory makes stores in directories of the test.
type factory struct {
	options Options
	mu      sync.Mutex
	paths   map[store.Store]string
}

func newFactory(o Options) *factory { return &factory{options: o, paths: map[store.Store]string{}} }

func (f *factory) New(t *testing.T) store.Store {
	return f.OpenBackup(t, filepath.Join(t.TempDir(), "data", "mida.db"))
}

func (f *factory) Reopen(t *testing.T, s store.Store) store.Store {
	require.NoError(t, s.Close(t.Context()))
	f.mu.Lock()
	path := f.paths[s]
	f.mu.Unlock()
	return f.OpenBackup(t, path)
}

func (f *factory) OpenBackup(t *testing.T, path string) store.Store {
	o := f.options
	o.Path = path
	s, err := open(t.Context(), o, on(f.network()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paths[s] = path
	return s
}

// on says that every directory lies on that network file system.
func on(network string) func(string) (string, error) {
	return func(string) (string, error) { return network, nil }
}

func (f *factory) network() string {
	if f.options.NetworkFilesystem == Exclusive {
		return "nfs"
	}
	return ""
}

func TestConformance(t *testing.T) {
	storetest.Run(t, newFactory(Options{Synchronous: Normal}), storetest.Capabilities{})
}

// On a network file system there is one connection and a rollback journal; nothing else differs.
func TestConformanceExclusive(t *testing.T) {
	storetest.Run(t, newFactory(Options{Synchronous: Normal, NetworkFilesystem: Exclusive}), storetest.Capabilities{})
}

// With a cache of nearly nothing every merge reads the state back.
func TestConformanceWithoutCache(t *testing.T) {
	storetest.Run(t, newFactory(Options{Synchronous: Normal, CacheBytes: 1 << 10}), storetest.Capabilities{NoScripts: true})
}
