package observer

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// aboutEvents says whether a refusal is about the events that were sent. Exporters call much more permanent than that: a
// token that the gateway does not know, a topic that this user may not write. Such a refusal would be the same for every
// event, and it ends when somebody sets things right, so the events wait for that.
func aboutEvents(err error) bool {
	if !consumererror.IsPermanent(err) {
		return false
	}
	var broker *kerr.Error
	if errors.As(err, &broker) {
		switch broker {
		case kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp:
			return true
		}
		return false
	}
	// A gRPC server's answer, or one over HTTP: the exporter translates that.
	if answer, ok := status.FromError(err); ok {
		switch answer.Code() {
		case codes.InvalidArgument, codes.ResourceExhausted, codes.OutOfRange:
			return true
		}
		return false
	}
	return true
}
