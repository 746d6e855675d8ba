package mlflowreceiver

import (
	"context"
	"errors"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
)

// patience is how many polls in a row may find the database locked before that is worth a line in the log.
const patience = 5

// trouble remembers what was last reported, so that a state is reported once and not at every poll.
type trouble struct {
	reason string
	times  int
}

func reasonOf(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errAbsent):
		return "absent"
	case errors.Is(err, errNotMLflow):
		return "not_mlflow"
	case errors.Is(err, errLocked):
		return "locked"
	case errors.Is(err, errUnreachable):
		return "unreachable"
	case errors.Is(err, errDenied), errors.Is(err, os.ErrPermission):
		return "denied"
	}
	return "read"
}

// report counts a failed poll and explains it when it is new. A nil error ends the trouble.
func (w *watcher) report(ctx context.Context, err error) {
	reason := reasonOf(err)
	if err != nil {
		w.tel.ReceiverMlflowErrors.Add(ctx, 1, metric.WithAttributes(reasonAttr(reason)))
	}
	t := &w.trouble
	if reason == "read" || reason == "unreachable" || reason == "locked" && t.times >= patience {
		w.closeDatabase() // a new connection starts from a clean state
	}
	if reason != t.reason {
		if reason == "" && t.reason != "" && (t.reason != "locked" || t.times >= patience) {
			w.log.Info("the MLflow database can be read again", w.named(), zap.Int("failed polls", t.times))
		}
		*t = trouble{reason: reason}
	}
	t.times++
	db := w.named()
	what := zap.Skip()
	if t.times == 1 && reason != "" {
		_, problem := w.cfg.explain(err)
		what = zap.String("problem", problem)
	}
	switch {
	case reason == "":
		t.times = 0
	case reason == "absent" && t.times == 1:
		w.log.Info("the MLflow database does not exist yet; waiting for it (tracking_uri names it; a relative file starts at the working directory)", db, what)
	case reason == "not_mlflow" && t.times == 1:
		w.log.Warn("this is no MLflow tracking database yet; waiting until it is", db, what)
	case reason == "locked" && t.times == patience:
		w.log.Warn("the MLflow database stays locked; trying on, nothing is lost", db, zap.Error(err))
	case reason == "unreachable" && t.times == 1:
		w.log.Warn("the server of the MLflow database cannot be reached; trying on, nothing is lost", db, zap.Error(err))
	case reason == "denied" && t.times == 1 && w.source.local() == "":
		w.log.Error("the MLflow database cannot be read; trying on (the user needs the right password, and GRANT SELECT on MLflow's tables)", db, zap.Error(err))
	case (reason == "read" || reason == "denied") && t.times == 1:
		w.log.Error("the MLflow database cannot be read; trying on", db, what)
	}
}

// reportSave counts a position that could not be saved and says it once, as it does the end of that. The database can be
// read all the while, so this is no trouble of a poll.
func (w *watcher) reportSave(ctx context.Context, err error) {
	if err != nil {
		w.tel.ReceiverMlflowErrors.Add(ctx, 1, metric.WithAttributes(reasonAttr("store")))
	}
	switch failed := err != nil; {
	case failed && !w.unsaved:
		w.log.Warn("the position cannot be saved; trying on, and until then more would be read again after a restart", zap.Error(err))
	case !failed && w.unsaved:
		w.log.Info("the position is saved again")
	}
	w.unsaved = err != nil
}

func reasonAttr(reason string) attribute.KeyValue { return attribute.String("reason", reason) }

func tableAttr(table string) attribute.KeyValue { return attribute.String("table", table) }
