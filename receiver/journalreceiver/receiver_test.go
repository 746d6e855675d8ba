package journalreceiver

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
	"github.com/otelcol-mida/otelcol-mida/receiver/journalreceiver/internal/metadata"
)

// start runs a receiver in front of next and returns its address.
func start(t *testing.T, next consumer.Logs, change func(*Config)) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = address
	if change != nil {
		change(cfg)
	}
	r, err := NewFactory().CreateLogs(t.Context(), receivertest.NewNopSettings(metadata.Type), cfg, next)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, r.Shutdown(context.Background())) })
	return "http://" + address + "/v1/journal/"
}

var client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}

func post(t *testing.T, url string, body []byte) (code int, answer string) {
	resp, err := client.Post(url, "application/octet-stream", bytes.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, text.String()
}

func received(t *testing.T, sink *consumertest.LogsSink) []*task.Event {
	var all []*task.Event
	for _, l := range sink.AllLogs() {
		events, rejected := task.FromLogs(l)
		require.Empty(t, rejected)
		all = append(all, events...)
	}
	return all
}

func vector(t *testing.T, file string) []byte {
	data, err := os.ReadFile(filepath.Join("..", "..", "internal", "journal", "testdata", file))
	require.NoError(t, err)
	return data
}

// TestASegmentThatComesAgain: the same events, so nothing new for the store.
func TestASegmentThatComesAgain(t *testing.T) {
	for _, file := range []string{"basic-1.mj", "basic-1.jsonl", "torn-1.mj"} {
		sink := new(consumertest.LogsSink)
		url := start(t, sink, nil)
		for range 2 {
			code, answer := post(t, url+file, vector(t, file))
			require.Equal(t, http.StatusNoContent, code, answer)
		}
		got := received(t, sink)
		for _, e := range got {
			e.Observed = 0 // when it came: no part of what is merged
		}
		n := len(got) / 2
		require.Positive(t, n)
		assert.Equal(t, got[:n], got[n:])
	}
}

// TestAcceptedMeansStored: no answer before the pipeline took it; a sender that goes away meanwhile sends it again.
func TestAcceptedMeansStored(t *testing.T) {
	sink := new(consumertest.LogsSink)
	var refuse atomic.Bool
	refuse.Store(true)
	next, err := consumer.NewLogs(func(ctx context.Context, l plog.Logs) error {
		if refuse.Load() {
			return errors.New("store is busy")
		}
		return sink.ConsumeLogs(ctx, l)
	})
	require.NoError(t, err)
	url := start(t, next, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"basic-1.mj", bytes.NewReader(vector(t, "basic-1.mj")))
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, sink.AllLogs())
	refuse.Store(false)
	code, _ := post(t, url+"basic-1.mj", vector(t, "basic-1.mj"))
	assert.Equal(t, http.StatusNoContent, code)
	assert.NotEmpty(t, received(t, sink))
}

// TestRefusals: for good what will never be a segment, for now what a newer collector reads.
func TestRefusals(t *testing.T) {
	url := start(t, new(consumertest.LogsSink), func(c *Config) { c.MaxRequestBodySize = 1 << 20 })
	for _, c := range []struct {
		file, want string
		body       []byte
		code       int
	}{
		{"x-1.mj", "no journal", []byte("GIF89a"), http.StatusBadRequest},
		{"x.mj", "want <observer>-<n>.mj", nil, http.StatusBadRequest},
		{"noheader-1.mj", "no header", vector(t, "noheader-1.mj"), http.StatusBadRequest},
		{"newer-1.mj", "newer journal version", vector(t, "newer-1.mj"), http.StatusServiceUnavailable},
		{"x-1.mj", "max_request_body_size", make([]byte, 2<<20), http.StatusRequestEntityTooLarge},
	} {
		code, answer := post(t, url+c.file, c.body)
		assert.Equal(t, c.code, code, c.file)
		assert.Contains(t, answer, c.want)
	}
}

// TestSecretsStayOut: whoever wrote the segment.
func TestSecretsStayOut(t *testing.T) {
	sink := new(consumertest.LogsSink)
	url := start(t, sink, nil)
	line := `{"event":"mida.task.finished","time":1,"kind":"k","scope":"s","key":"a","facet":"run","used":{"password":"hunter2","n":1}}` + "\n"
	code, answer := post(t, url+"x-1.jsonl", []byte(line))
	require.Equal(t, http.StatusNoContent, code, answer)
	got := received(t, sink)
	require.Len(t, got, 1)
	assert.NotContains(t, got[0].Used["password"], "hunter2")
	assert.Equal(t, int64(1), got[0].Used["n"])
	assert.Equal(t, "x", got[0].ObserverID)
}

func TestValidate(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, cfg.Validate())
	cfg.NetAddr.Endpoint = ""
	cfg.Capture.DropActivities = []string{"x"}
	err := cfg.Validate()
	assert.ErrorContains(t, err, "endpoint: empty")
	assert.ErrorContains(t, err, "drop_activities")
	assert.False(t, strings.Contains(err.Error(), "max_event"))
}
