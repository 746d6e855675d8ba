package taskquery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/extension/taskquery/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/web"
)

// server is the extension: an HTTP server over one named store.
type server struct {
	control.Book // the observers of this collector, which join by themselves

	config    *Config
	set       extension.Settings
	telemetry *metadata.TelemetryBuilder

	host  component.Host
	http  *http.Server
	state *stateDirectory
	url   string
	token bool // whether clients need the token
	ready atomic.Bool

	changes *changes
	done    sync.WaitGroup

	correlations chan struct{} // one for each matrix that is made
	reports      chan struct{} // one for each report that is made
}

// What the collector's service calls once all receivers have started, and before they stop
// (extensioncapabilities.PipelineWatcher).
var _ interface {
	Ready() error
	NotReady() error
} = (*server)(nil)

// Start listens before it returns, so that a busy port is an error of the start. It undoes itself when it fails.
func (s *server) Start(ctx context.Context, host component.Host) error {
	s.host = host
	if err := hasStore(host, s.config.Store); err != nil {
		return err
	}
	state, err := openStateDirectory(s.config.StateDirectory)
	if err != nil {
		return fmt.Errorf("state_directory: %w", err)
	}
	auth, hint, err := s.authentication(ctx, state)
	if err != nil {
		return err
	}
	listener, err := s.config.ToListener(ctx)
	if err != nil {
		return listenError(s.config.NetAddr.Endpoint, err)
	}
	files, built := web.Files()
	guard := &guard{
		next: s.routes(), ui: &ui{files: files, built: built, small: map[string][]byte{}}, auth: auth, hint: hint, telemetry: s.telemetry, log: s.set.Logger,
		loopback: isLoopback(listener.Addr()), allowed: s.config.AllowedHosts, origins: originsOf(s.config),
	}
	if !guard.loopback && !s.config.TLS.HasValue() {
		s.set.Logger.Warn("the query API is open to other machines without tls: passwords and tokens can be read on the way",
			zap.String("endpoint", s.config.NetAddr.Endpoint))
	}
	// The guard authenticates by itself, because /healthz stays open.
	config := s.config.ServerConfig
	config.Auth = configoptional.None[confighttp.AuthConfig]()
	srv, err := config.ToServer(ctx, host.GetExtensions(), s.set.TelemetrySettings, guard)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.changes = newChanges(s.set.Logger, s.lookForChanges)
	srv.RegisterOnShutdown(s.changes.close) // streams would never end
	s.url, s.token = clientURL(listener.Addr(), s.config.TLS.HasValue()), hint != ""
	s.state, s.http = state, srv
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(fmt.Errorf("query API: %w", err)))
		}
	}()
	s.set.Logger.Info("the query API listens", zap.String("url", s.url), zap.String("store", s.config.Store))
	return nil
}

// Ready tells clients where the API is, once everything has started. Not before: extensions start in any order, and a
// second collector on the same directory, whose store is then refused, must not take the first one's place.
func (s *server) Ready() error {
	if err := s.state.announce(s.url, s.token); err != nil {
		return fmt.Errorf("state_directory: %w", err)
	}
	s.ready.Store(true)
	return nil
}

// NotReady does nothing: the API answers until Shutdown.
func (*server) NotReady() error { return nil }

// Shutdown answers the requests at hand for as long as ctx lasts, then ends them.
func (s *server) Shutdown(ctx context.Context) error {
	var err error
	if s.http != nil {
		if err = s.http.Shutdown(ctx); err != nil {
			err = errors.Join(err, s.http.Close())
		}
		s.http = nil
	}
	if s.changes != nil {
		s.changes.close()
	}
	s.done.Wait()
	if s.state != nil {
		err = errors.Join(err, s.state.retract())
		s.state = nil
	}
	s.telemetry.Shutdown()
	return err
}

// hasStore fails early for a name that no extension knows. The store itself may open after this extension started.
func hasStore(host component.Host, name string) error {
	for _, ext := range host.GetExtensions() {
		if p, ok := ext.(store.Provider); ok {
			for _, n := range p.StoreNames() {
				if n == name {
					return nil
				}
			}
		}
	}
	_, _, err := store.FromHost(host, name)
	if err == nil {
		err = errors.New("no extension knows it")
	}
	return fmt.Errorf("store: %w", err)
}

func (s *server) store() (store.Store, error) {
	st, _, err := store.FromHost(s.host, s.config.Store)
	return st, err
}

func listenError(endpoint string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("endpoint: %q is in use by another collector or program; stop it, or set "+
			"extensions::taskquery::endpoint to a free port: %w", endpoint, err)
	}
	return fmt.Errorf("endpoint: cannot listen on %q: %w", endpoint, err)
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// clientURL is the address for clients on this machine.
func clientURL(addr net.Addr, secure bool) string {
	scheme, hostPort := "http", addr.String()
	if secure {
		scheme = "https"
	}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		ip := tcp.IP.String()
		if tcp.IP.IsUnspecified() {
			ip = "127.0.0.1"
		}
		if name, err := os.Hostname(); err == nil && secure && tcp.IP.IsUnspecified() {
			ip = name // certificates name hosts
		}
		hostPort = net.JoinHostPort(ip, fmt.Sprint(tcp.Port))
	}
	return scheme + "://" + hostPort
}
