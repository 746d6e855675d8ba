package journalreceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/journal"
	"github.com/otelcol-mida/otelcol-mida/internal/observer"
	"github.com/otelcol-mida/otelcol-mida/receiver/journalreceiver/internal/metadata"
)

// journalReceiver is the HTTP server. It keeps nothing: a segment is a whole, and one that comes again gives the same
// events again.
type journalReceiver struct {
	cfg    *Config
	set    receiver.Settings
	tel    *metadata.TelemetryBuilder
	policy *capture.Policy
	sender *observer.Sender

	http *http.Server
	stop context.CancelFunc
	done sync.WaitGroup
}

func newReceiver(set receiver.Settings, cfg *Config, next consumer.Logs) (*journalReceiver, error) {
	tel, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	r := &journalReceiver{cfg: cfg, set: set, tel: tel, policy: capture.New(cfg.Capture)}
	r.sender = observer.NewSender(observer.Settings{
		ID: observer.NewID(set.ID.String()), Campaign: cfg.Campaign, Next: next, Logger: set.Logger, Numbered: true,
		Dropped: func(events int, _ error) { tel.ReceiverJournalEventsDropped.Add(context.Background(), int64(events)) },
	})
	return r, nil
}

// Start listens.
func (r *journalReceiver) Start(ctx context.Context, host component.Host) error {
	listener, err := r.cfg.ToListener(ctx)
	if err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/journal/{segment}", r.take)
	if r.http, err = r.cfg.ToServer(ctx, host.GetExtensions(), r.set.TelemetrySettings, mux); err != nil {
		return errors.Join(err, listener.Close())
	}
	// A request waits as long as the pipeline does, but not longer than this receiver runs.
	running, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.http.BaseContext = func(net.Listener) context.Context { return running }
	r.set.Logger.Info("journals are taken", zap.Stringer("address", listener.Addr()))
	r.done.Go(func() {
		if err := r.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(fmt.Errorf("journal receiver: %w", err)))
		}
	})
	return nil
}

// take accepts one segment: 204 says that all of it is in the store. What is no segment is refused for good; everything
// else is to be sent again.
func (r *journalReceiver) take(w http.ResponseWriter, req *http.Request) {
	data, err := io.ReadAll(req.Body)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			r.refuse(w, req, http.StatusRequestEntityTooLarge, fmt.Errorf("a segment of more than max_request_body_size: %d bytes", large.Limit))
			return
		}
		r.refuse(w, req, http.StatusServiceUnavailable, err) // its sender is gone, most likely
		return
	}
	segment, err := journal.Decode(req.PathValue("segment"), data)
	if err != nil {
		code := http.StatusBadRequest
		if errors.Is(err, journal.ErrNewerVersion) {
			code = http.StatusServiceUnavailable // it waits for a newer collector
		}
		r.refuse(w, req, code, err)
		return
	}
	for _, e := range segment.Events {
		r.policy.Values(e)
	}
	if err := r.sender.Send(req.Context(), segment.Events); err != nil {
		r.refuse(w, req, http.StatusServiceUnavailable, err)
		return
	}
	r.count(req, segment)
	w.WriteHeader(http.StatusNoContent)
}

func (r *journalReceiver) count(req *http.Request, segment *journal.Decoded) {
	ctx := context.Background()
	r.tel.ReceiverJournalEvents.Add(ctx, int64(len(segment.Events)))
	for fault, n := range segment.Counts {
		r.tel.ReceiverJournalFaults.Add(ctx, n, metric.WithAttributes(attribute.String("fault", string(fault))))
	}
	for _, fault := range segment.Faults {
		r.set.Logger.Warn("a journal is damaged; everything else in it is used",
			zap.String("segment", req.PathValue("segment")), zap.String("from", req.RemoteAddr), zap.Error(fault))
	}
}

func (r *journalReceiver) refuse(w http.ResponseWriter, req *http.Request, code int, err error) {
	r.tel.ReceiverJournalRefused.Add(context.Background(), 1, metric.WithAttributes(attribute.Int("code", code)))
	r.set.Logger.Warn("a segment was not accepted",
		zap.String("segment", req.PathValue("segment")), zap.String("from", req.RemoteAddr), zap.String("code", strconv.Itoa(code)), zap.Error(err))
	http.Error(w, err.Error(), code)
}

// Shutdown answers the requests that wait, and stops. What was not accepted comes again.
func (r *journalReceiver) Shutdown(ctx context.Context) error {
	var err error
	if r.http != nil {
		r.stop()
		err = r.http.Shutdown(ctx)
		r.done.Wait()
	}
	r.tel.Shutdown()
	return err
}
