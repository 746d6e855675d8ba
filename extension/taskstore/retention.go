package taskstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/extension/taskstore/internal/metadata"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// RetentionConfig deletes old campaigns from a store. Only whole ones go, so that no lineage is cut within a campaign.
// Tasks without a campaign stay.
type RetentionConfig struct {
	// MaxAge is how long a campaign is kept after its last sign of life: the last time of a task or workflow, or the last
	// checkpoint of an observer. 0 = for ever.
	MaxAge time.Duration `mapstructure:"max_age"`
	// MaxBytes is what the store may take, such as 20GiB. Above it the campaigns with the oldest last sign of life go.
	// 0 = anything.
	MaxBytes Bytes `mapstructure:"max_bytes"`
	// KeepRecent protects a campaign that gave a sign of life within this time, however large the store. 0 = 24h.
	KeepRecent time.Duration `mapstructure:"keep_recent"`
	// KeepUnfinished protects a campaign with tasks that have not ended for this time after its last sign of life; those
	// of a killed job never end. 0 = 720h.
	KeepUnfinished time.Duration `mapstructure:"keep_unfinished"`
	// CheckInterval is the time between two looks. 0 = 1h.
	CheckInterval time.Duration `mapstructure:"check_interval"`
	// DryRun logs what would be deleted, and deletes nothing.
	DryRun bool `mapstructure:"dry_run"`
	// prevent unkeyed literal initialization
	_ struct{}
}

const (
	defaultKeepRecent     = 24 * time.Hour
	defaultKeepUnfinished = 720 * time.Hour
	defaultCheckInterval  = time.Hour
)

func (c RetentionConfig) withDefaults() RetentionConfig {
	c.KeepRecent = cmp.Or(c.KeepRecent, defaultKeepRecent)
	c.KeepUnfinished = cmp.Or(c.KeepUnfinished, max(defaultKeepUnfinished, c.KeepRecent))
	c.CheckInterval = cmp.Or(c.CheckInterval, defaultCheckInterval)
	return c
}

func (c RetentionConfig) enabled() bool { return c.MaxAge > 0 || c.MaxBytes > 0 }

func (c RetentionConfig) validate(at string) error {
	var errs []error
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"max_age", c.MaxAge}, {"keep_recent", c.KeepRecent}, {"keep_unfinished", c.KeepUnfinished}, {"check_interval", c.CheckInterval},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s::%s: %s; want a time such as 720h, or 0", at, d.key, d.value))
		}
	}
	if c.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("%s::max_bytes: %d; want a size such as 20GiB, or 0 for any", at, c.MaxBytes))
	}
	full := c.withDefaults()
	if c.MaxAge > 0 && c.MaxAge < full.KeepRecent {
		errs = append(errs, fmt.Errorf("%s::max_age: %s; want at least keep_recent, which is %s", at, c.MaxAge, full.KeepRecent))
	}
	if c.KeepUnfinished > 0 && c.KeepUnfinished < full.KeepRecent {
		errs = append(errs, fmt.Errorf("%s::keep_unfinished: %s; want at least keep_recent, which is %s", at, c.KeepUnfinished, full.KeepRecent))
	}
	if !c.enabled() && c != (RetentionConfig{}) {
		errs = append(errs, fmt.Errorf("%s: neither max_age nor max_bytes; want at least one, or nothing at all to keep everything", at))
	}
	return errors.Join(errs...)
}

// Bytes is a size: a number, or a text such as 20GiB or 500MB.
type Bytes int64

var units = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"TB", 1e12}, {"B", 1},
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, factor := strings.TrimSpace(string(text)), 1.0
	for _, u := range units {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, factor = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(n) || math.Abs(n*factor) >= math.MaxInt64 {
		return fmt.Errorf("%q; want a size such as 20GiB, 500MB or a number of bytes", text)
	}
	*b = Bytes(n * factor)
	return nil
}

// retention looks after one store.
type retention struct {
	config    RetentionConfig
	name      string
	store     store.Store
	log       *zap.Logger
	telemetry *metadata.TelemetryBuilder
	now       func() time.Time
}

// run looks once an interval until ctx ends. The first time is an interval after the start, when what was written while
// no collector ran has arrived.
func (r *retention) run(ctx context.Context) {
	ticker := time.NewTicker(r.config.CheckInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := r.check(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("Retention could not look at the store, or not delete. It tries again.", zap.Duration("after", r.config.CheckInterval), zap.Error(err))
		}
	}
}

// aged is a campaign and its last sign of life.
type aged struct {
	store.Campaign
	last       int64 // unix ns
	unfinished int64 // tasks
}

// campaigns lists the campaigns that have a name and a time, the oldest last sign of life first.
func (r *retention) campaigns(ctx context.Context) (out []*aged, all int64, err error) {
	list, err := r.store.Campaigns(ctx)
	if err != nil {
		return nil, 0, err
	}
	checkpoints, err := r.store.Checkpoints(ctx, "")
	if err != nil {
		return nil, 0, err
	}
	last := map[string]int64{}
	for _, c := range checkpoints {
		last[c.Campaign] = max(last[c.Campaign], c.At)
	}
	for _, c := range list {
		all += c.Tasks
		a := &aged{Campaign: c, last: max(c.LastAt, last[c.ID])}
		for _, s := range []task.Status{task.StatusSubmitted, task.StatusRunning} {
			a.unfinished += c.ByStatus[s.String()]
		}
		if c.ID != "" && a.last != 0 {
			out = append(out, a)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].last < out[j].last || out[i].last == out[j].last && out[i].ID < out[j].ID
	})
	return out, all, nil
}

// protected says whether a campaign stays, whatever its store takes.
func (r *retention) protected(c *aged, now time.Time) bool {
	idle := now.Sub(time.Unix(0, c.last))
	return idle < r.config.KeepRecent || c.unfinished > 0 && idle < r.config.KeepUnfinished
}

// check deletes what is too old, then what is too much.
func (r *retention) check(ctx context.Context) error {
	campaigns, all, err := r.campaigns(ctx)
	if err != nil {
		return err
	}
	now := r.now()
	var free []*aged
	for _, c := range campaigns {
		switch {
		case r.protected(c, now):
		case r.config.MaxAge > 0 && now.Sub(time.Unix(0, c.last)) > r.config.MaxAge:
			if err := r.delete(ctx, c, "age"); err != nil {
				return err
			}
			all -= c.Tasks
		default:
			free = append(free, c)
		}
	}
	if r.config.MaxBytes == 0 {
		return nil
	}
	size, err := r.store.Size(ctx)
	if err != nil {
		return err
	}
	for len(free) > 0 && size > int64(r.config.MaxBytes) {
		c := free[0]
		free = free[1:]
		if err := r.delete(ctx, c, "bytes"); err != nil {
			return err
		}
		if r.config.DryRun { // as if all tasks were of one size
			size -= int64(float64(size) * float64(c.Tasks) / float64(max(1, all)))
			all -= c.Tasks
		} else if size, err = r.store.Size(ctx); err != nil {
			return err
		}
	}
	if size > int64(r.config.MaxBytes) {
		r.log.Warn("The store takes more than max_bytes, and no other campaign may be deleted: they are recent, have no name, "+
			"or have tasks that have not ended.", zap.Int64("bytes", size), zap.Int64("max_bytes", int64(r.config.MaxBytes)))
	}
	return nil
}

func (r *retention) delete(ctx context.Context, c *aged, reason string) error {
	fields := []zap.Field{
		zap.String("campaign", c.ID), zap.Int64("tasks", c.Tasks), zap.String("reason", reason),
		zap.Time("last_sign_of_life", time.Unix(0, c.last).UTC()), zap.Int64("tasks_not_ended", c.unfinished),
	}
	if r.config.DryRun {
		r.log.Info("Retention would delete a campaign (dry_run).", fields...)
		return nil
	}
	tasks, err := r.store.DeleteCampaign(ctx, c.ID)
	if err != nil {
		return fmt.Errorf("delete campaign %q: %w", c.ID, err)
	}
	fields[1] = zap.Int64("tasks", tasks)
	r.log.Info("Retention deleted a campaign.", fields...)
	attrs := metric.WithAttributes(attribute.String("store", r.name), attribute.String("reason", reason))
	r.telemetry.TaskstoreRetentionCampaigns.Add(ctx, 1, attrs)
	r.telemetry.TaskstoreRetentionTasks.Add(ctx, tasks, attrs)
	return nil
}
