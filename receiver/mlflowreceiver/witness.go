package mlflowreceiver

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"
)

const (
	witnessEvery = time.Minute
	// witnessRows is how many rows are counted under one lock.
	witnessRows = 200_000
)

var witnessed = []string{"runs", "params", "metrics", "tags"}

// witness counts the rows of the database itself, for comparison with the view.
type witness struct {
	counted time.Time
	version int64
}

func (c *witness) count(ctx context.Context, w *watcher) error {
	if w.version == c.version && !c.counted.IsZero() || time.Since(c.counted) < witnessEvery {
		return nil
	}
	for _, table := range witnessed {
		var last, total int64
		if err := w.db.conn.QueryRowContext(ctx, "SELECT coalesce(max(rowid), 0) FROM "+table).Scan(&last); err != nil {
			return classify(err)
		}
		for from := int64(0); from < last; from += witnessRows {
			var n int64
			err := w.db.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+table+" WHERE rowid > ? AND rowid <= ?", from, from+witnessRows).Scan(&n)
			if err != nil {
				return classify(err)
			}
			total += n
		}
		w.tel.MlflowWitnessRows.Record(ctx, total, metric.WithAttributes(tableAttr(table)))
	}
	c.counted, c.version = time.Now(), w.version
	return nil
}
