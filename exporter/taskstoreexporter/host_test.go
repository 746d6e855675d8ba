package taskstoreexporter

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensiontest"

	"github.com/otelcol-mida/otelcol-mida/extension/taskstore"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// host is a collector with one extension, the real one by default.
type host struct {
	extensions map[component.ID]component.Component
}

func (h host) GetExtensions() map[component.ID]component.Component { return h.extensions }

// newHost starts the taskstore extension with the store "main" in a new directory.
func newHost(t testing.TB) (component.Host, string) {
	dir := t.TempDir()
	return hostWith(t, taskstore.StoreConfig{SQLite: &taskstore.SQLiteConfig{Path: filepath.Join(dir, "mida.db")}}), dir
}

// hostWith starts the taskstore extension with a store "main".
func hostWith(t testing.TB, sc taskstore.StoreConfig) component.Host {
	factory := taskstore.NewFactory()
	cfg := factory.CreateDefaultConfig().(*taskstore.Config)
	cfg.Stores = map[string]taskstore.StoreConfig{"main": sc}
	require.NoError(t, cfg.Validate())
	set := extensiontest.NewNopSettings(factory.Type())
	ext, err := factory.Create(t.Context(), set, cfg)
	require.NoError(t, err)
	require.NoError(t, ext.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, ext.Shutdown(context.Background())) })
	return host{map[component.ID]component.Component{set.ID: ext}}
}

// newLifecycleHost is the host of the generated tests.
func newLifecycleHost(t *testing.T) component.Host {
	h, _ := newHost(t)
	return h
}

func storeOf(t testing.TB, h component.Host) store.Store {
	s, _, err := store.FromHost(h, "main")
	require.NoError(t, err)
	return s
}

// faultyExtension lends a real store that refuses writes while broken is set.
type faultyExtension struct {
	extension.Extension
	store.Provider

	mu       sync.Mutex
	broken   bool
	refusals int
}

func (f *faultyExtension) Store(name string) (store.Store, error) {
	s, err := f.Provider.Store(name)
	return faultyStore{s, f}, err
}

func (f *faultyExtension) setBroken(b bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = b
}

func (f *faultyExtension) refused() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refusals
}

// fail says whether a write is refused now.
func (f *faultyExtension) fail() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.broken {
		return nil
	}
	f.refusals++
	return errors.New("disk is full")
}
