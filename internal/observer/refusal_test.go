package observer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// TestWhatIsNotAboutTheEventsIsWaitedFor: a token that expired or a topic without permission loses nothing.
func TestWhatIsNotAboutTheEventsIsWaitedFor(t *testing.T) {
	for name, err := range map[string]error{
		"token":         status.Error(codes.Unauthenticated, "no such token"),
		"permission":    status.Error(codes.PermissionDenied, "not you"),
		"no OTLP there": status.Error(codes.Unimplemented, "404"),
		"a proxy":       status.Error(codes.Internal, "stream terminated by RST_STREAM"),
		"topic":         fmt.Errorf(`error exporting to topic "mida": %w`, kerr.TopicAuthorizationFailed),
		"login":         kerr.SaslAuthenticationFailed,
	} {
		t.Run(name, func(t *testing.T) {
			sink := new(consumertest.LogsSink)
			// As exporterhelper wraps it.
			permanent := fmt.Errorf("not retryable error: %w", consumererror.NewPermanent(err))
			s := NewSender(Settings{ID: "me", Next: refusing(2, permanent, sink)})
			require.NoError(t, s.Send(t.Context(), newEvents(3)))
			assert.Len(t, received(t, sink), 3)
			assert.Empty(t, s.dropped)
		})
	}
}

// TestOnePoisonEventLosesNoOther: what is refused for good is one event, named with its number; the stream goes on.
func TestOnePoisonEventLosesNoOther(t *testing.T) {
	for name, refusal := range map[string]error{
		"gRPC": status.Error(codes.ResourceExhausted, "received message larger than max"), "Kafka": kerr.MessageTooLarge,
		"a processor": errors.New("cannot be"),
	} {
		t.Run(name, func(t *testing.T) {
			sink := new(consumertest.LogsSink)
			next, err := consumer.NewLogs(func(ctx context.Context, l plog.Logs) error {
				events, _ := task.FromLogs(l)
				for _, e := range events {
					if e.Key == "1234" {
						return consumererror.NewPermanent(refusal)
					}
				}
				return sink.ConsumeLogs(ctx, l)
			})
			require.NoError(t, err)
			s := NewSender(Settings{ID: "me", Next: next})
			require.NoError(t, s.Send(t.Context(), newEvents(3000)))
			assert.Len(t, received(t, sink), 2999)
			assert.Equal(t, []dropped{{1235, 1235, "refused by the pipeline"}}, s.dropped)
		})
	}
}

// TestRequestsAreBounded: of many large events no request is larger than what receivers on other nodes take; one that is
// larger by itself goes by itself.
func TestRequestsAreBounded(t *testing.T) {
	sink := new(consumertest.LogsSink)
	s := NewSender(Settings{ID: "me", Next: sink})
	events := newEvents(40)
	for i, e := range events {
		e.Used = map[string]any{"text": strings.Repeat("x", 1<<20)}
		if i == 7 {
			e.Used["text"] = strings.Repeat("x", maxRequestBytes+1)
		}
	}
	require.NoError(t, s.Send(t.Context(), events))
	require.Len(t, received(t, sink), 40)
	var m plog.ProtoMarshaler
	for _, l := range sink.AllLogs() {
		if l.LogRecordCount() > 1 {
			assert.LessOrEqual(t, m.LogsSize(l), maxRequestBytes)
		}
	}
	assert.Less(t, len(sink.AllLogs()), 20)
}
