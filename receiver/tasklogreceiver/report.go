package tasklogreceiver

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver/internal/metadata"
)

const (
	showUnmatched = 3 // lines of each log
	showProblems  = 5 // of each log
	uselessFrom   = 3 // entries without a rule, and none with one
)

// Reasons of receiver_tasklog_file_faults: metadata.yaml says what they mean.
const (
	vanished    = "vanished"
	overwritten = "overwritten"
	unreadable  = "unreadable"
	unusable    = "unusable"
	newer       = "newer"
	forgotten   = "forgotten"
	late        = "late"
)

// report counts what became of the logs and their entries, and shows the first ones that could not be used.
type report struct {
	tb     *metadata.TelemetryBuilder
	logger *zap.Logger
	looks  int64
	lasts  map[lasting]int64 // faults, and the look that found them last
	broken error             // a fault that the present look found
	doctor *doctor
}

// lasting is a fault that every look finds until it is mended.
type lasting struct{ path, reason string }

func newReport(tb *metadata.TelemetryBuilder, logger *zap.Logger, d *doctor) *report {
	return &report{tb: tb, logger: logger, lasts: map[lasting]int64{}, doctor: d}
}

// fileReport is what was shown of one log.
type fileReport struct {
	unmatched, problems int
	redacted            bool // it was said that there are secrets
	useless             bool // it was said that no rule fits
	attrs               metric.MeasurementOption
}

func (r *fileReport) of(f *file) metric.MeasurementOption {
	if r.attrs == nil {
		r.attrs = metric.WithAttributeSet(attribute.NewSet(attribute.String("log.file.name", filepath.Base(logPath(f.path)))))
	}
	return r.attrs
}

func (r *report) accepted(ctx context.Context, f *file, batch []*change, bytes int64) {
	attrs := f.report.of(f)
	var matched, unmatched int64
	for _, c := range batch {
		r.left(ctx, f, c)
		if c.rec.Cut > 0 {
			r.problem(ctx, f, c.rec.Offset, "too long", zap.Int64("bytes cut", c.rec.Cut))
		}
		for _, key := range c.res.Lost {
			r.problem(ctx, f, c.rec.Offset, "too many open tasks", zap.String("given up", key))
		}
		switch {
		case c.res.Problem != nil:
			r.problem(ctx, f, c.rec.Offset, "not usable", zap.String("rule", c.res.Rule), withoutSecrets("error", c.res.Problem.Error()), withoutSecrets("line", c.rec.Text))
			if c.res.Rule != "" {
				matched++
			}
		case c.res.Rule != "":
			matched++
		case !c.res.Ignored:
			unmatched++
			if f.report.unmatched++; f.report.unmatched <= showUnmatched {
				more := ""
				if f.report.unmatched == showUnmatched {
					more = "; more of this log are only counted"
				}
				why, _ := capture.Text(f.engine.Nearest(c.rec))
				r.doctor.line(f.path, c.rec.Offset, c.rec.Text, why)
				r.logger.Info("no rule is for this line"+more, zap.String("path", f.path),
					zap.Int64("offset", c.rec.Offset), withoutSecrets("line", c.rec.Text), zap.String("nearest rule", why))
			}
		}
	}
	r.compareClocks(f, batch)
	r.tb.ReceiverTasklogBytes.Add(ctx, bytes, attrs)
	r.tb.ReceiverTasklogRecords.Add(ctx, int64(len(batch)), attrs)
	r.tb.ReceiverTasklogMatched.Add(ctx, matched, attrs)
	r.tb.ReceiverTasklogUnmatched.Add(ctx, unmatched, attrs)
}

// compareClocks says once when the times in a log cannot be those of this machine's clock.
func (r *report) compareClocks(f *file, batch []*change) {
	for i := len(batch) - 1; i >= 0; i-- {
		events := batch[i].res.Events
		if len(events) == 0 || events[len(events)-1].When() == 0 {
			continue
		}
		if said := r.doctor.compare(f.path, time.Unix(0, events[len(events)-1].When()), f.mtime, time.Now()); said != "" {
			r.logger.Warn("the clock of a log: "+said, zap.String("path", f.path))
		}
		return
	}
}

func (r *report) problem(ctx context.Context, f *file, offset int64, reason string, fields ...zap.Field) {
	r.tb.ReceiverTasklogProblems.Add(ctx, 1, f.report.of(f), metric.WithAttributes(attribute.String("reason", reason)))
	if f.report.problems++; f.report.problems <= showProblems {
		r.logger.Warn("an entry of a log could not be used as its rule says",
			append([]zap.Field{zap.String("reason", reason), zap.String("path", f.path), zap.Int64("offset", offset)}, fields...)...)
	}
}

func (r *report) torn(ctx context.Context, f *file, bytes int64) {
	r.problem(ctx, f, f.readTo-bytes, "the log ended in the middle of its last line", zap.Int64("bytes", bytes))
}

func (r *report) unreadable(ctx context.Context, path string, err error) {
	r.lasting(ctx, path, unreadable, "a log cannot be read; trying again", err)
}

func (r *report) unusable(ctx context.Context, path string, err error) {
	r.lasting(ctx, path, unusable, "a log is left out", err)
}

// lasting counts and says a fault once, however many looks find it before it is mended.
func (r *report) lasting(ctx context.Context, path, reason, what string, err error) {
	r.broken = fmt.Errorf("%s: %w", path, err)
	key := lasting{path, reason}
	_, known := r.lasts[key]
	r.lasts[key] = r.looks
	if !known {
		r.doctor.recent.Add(r.broken.Error())
		r.fault(ctx, path, reason)
		r.logger.Warn(what, zap.String("path", path), zap.Error(err))
	}
}

// grewLate says that a program wrote to a log although the next one had begun: what both say of one task may contradict.
func (r *report) grewLate(ctx context.Context, f *file) {
	r.fault(ctx, f.path, late)
	r.logger.Warn("a log that was rotated away grew after the next one had begun; a task that was open then, and ends here, "+
		"is taken for lost in the next one", zap.String("path", f.path), zap.Int64("offset", f.offset))
}

// fault counts what happened to a log.
func (r *report) fault(ctx context.Context, path, reason string) {
	r.tb.ReceiverTasklogFileFaults.Add(ctx, 1, metric.WithAttributes(attribute.String("log.file.name", filepath.Base(logPath(path))),
		attribute.String("reason", reason)))
}

// looked ends a look: the faults that it did not find are mended.
func (r *report) looked(ctx context.Context, files []*file) {
	var there int64
	for _, f := range files {
		if !f.gone {
			there++
		}
		if n := f.tally; !f.report.useless && n.Unmatched >= uselessFrom && n.Matched+n.Unusable == 0 {
			f.report.useless = true
			r.logger.Warn("no rule fits any entry of this log so far: correct the rules; `mida rules test` shows for each line how far a rule fits",
				zap.String("path", f.path), zap.Int64("entries", n.Entries))
		}
	}
	r.tb.ReceiverTasklogFiles.Record(ctx, there)
	for key, look := range r.lasts {
		if look < r.looks {
			delete(r.lasts, key)
		}
	}
	r.looks++
}

// left is what did not leave this process.
type left struct {
	redacted, fields, cut, events int
}

func (l *left) add(n capture.Counts) {
	l.redacted += n.Redacted
	l.fields += n.Left
	l.cut += n.Cut
}

func (r *report) left(ctx context.Context, f *file, c *change) {
	attrs := f.report.of(f)
	if n := c.left.redacted; n > 0 {
		r.tb.ReceiverTasklogRedacted.Add(ctx, int64(n), attrs)
		if !f.report.redacted {
			f.report.redacted = true
			r.logger.Info("secrets in a log are left out of its tasks; they are only counted from here on",
				zap.String("path", f.path), zap.Int64("offset", c.rec.Offset), zap.Int("secrets", n))
		}
	}
	for reason, n := range map[string]int{"activity": c.left.events, "field": c.left.fields, "size": c.left.cut} {
		if n > 0 {
			r.tb.ReceiverTasklogLeftOut.Add(ctx, int64(n), attrs, metric.WithAttributes(attribute.String("reason", reason)))
		}
	}
	if c.left.cut > 0 {
		r.logger.Debug("values of an entry are too large and were cut", zap.String("path", f.path), zap.Int64("offset", c.rec.Offset),
			zap.Int("values", c.left.cut))
	}
}

// withoutSecrets is text of a log for the collector's own log.
func withoutSecrets(key, s string) zap.Field {
	s, _ = capture.Text(s)
	return zap.String(key, clip(s))
}

func clip(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}
