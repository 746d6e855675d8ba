// Command testserver runs the taskquery extension over a SQLite store for the tests of the Python client.
//
//	testserver DIRECTORY < EVENTS
//
// It reads events from standard input, one map of docs/journal.md a line. At an empty line it stores those before it and
// says "ready"; it ends at the input's end. The state directory is DIRECTORY/mida-data.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/extension"

	"github.com/otelcol-mida/otelcol-mida/extension/taskquery"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/sqlite"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: testserver DIRECTORY < EVENTS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		os.Exit(1)
	}
}

type stores struct {
	component.StartFunc
	component.ShutdownFunc
	store store.Store
}

func (s *stores) Store(string) (store.Store, error)       { return s.store, nil }
func (s *stores) StoreNames() []string                    { return []string{"main"} }
func (s *stores) DeadLetter(string, []store.Letter) error { return nil }

type host map[component.ID]component.Component

func (h host) GetExtensions() map[component.ID]component.Component { return h }

func run(dir string, in io.Reader, out io.Writer) error {
	ctx := context.Background()
	state := filepath.Join(dir, "mida-data")
	st, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(state, "mida.db")})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close(ctx) }()

	factory := taskquery.NewFactory()
	cfg := factory.CreateDefaultConfig()
	conf := confmap.NewFromStringMap(map[string]any{"endpoint": "127.0.0.1:0", "state_directory": state})
	if err := conf.Unmarshal(cfg); err != nil {
		return err
	}
	set := extension.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	ext, err := factory.Create(ctx, set, cfg)
	if err != nil {
		return err
	}
	if err := ext.Start(ctx, host{component.MustNewID("taskstore"): &stores{store: st}}); err != nil {
		return err
	}
	defer func() { _ = ext.Shutdown(ctx) }()
	// As the collector's service does once everything has started.
	watcher, ok := ext.(interface{ Ready() error })
	if !ok {
		return errors.New("the extension does not hear when everything has started")
	}
	if err := watcher.Ready(); err != nil {
		return err
	}

	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, 64<<20)
	var events []*task.Event
	for scanner.Scan() {
		if scanner.Text() != "" {
			e, err := decode(scanner.Bytes())
			if err != nil {
				return err
			}
			events = append(events, e)
			continue
		}
		rejected, err := st.Write(ctx, events)
		if err == nil && len(rejected) > 0 {
			err = rejected[0].Err
		}
		if err != nil {
			return err
		}
		events = nil
		if _, err := fmt.Fprintln(out, "ready"); err != nil {
			return err
		}
	}
	return scanner.Err()
}

func decode(line []byte) (*task.Event, error) {
	v, err := task.DecodeJSON(line)
	if err != nil {
		return nil, err
	}
	m, _ := v.(map[string]any)
	return task.FromWire(m)
}
