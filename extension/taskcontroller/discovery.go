package taskcontroller

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/discover"
)

// freshFor is how long an answer of a look holds: many clients cost no more than one.
const freshFor = 2 * time.Second

// finder looks for what could be observed.
type finder struct {
	roster  control.Roster // of this collector, may be nil
	running sync.WaitGroup

	mu    sync.Mutex // one look at a time
	at    time.Time
	found discover.Found
	begun sync.Map // ids of offers that were started by themselves: one that is deleted is not started again
}

// checkDiscovery refuses directories that are not allowed.
func (c *controller) checkDiscovery() error {
	if !c.cfg.Discover.HasValue() {
		return nil
	}
	for i, dir := range c.cfg.Discover.Get().Directories {
		if err := c.cfg.Allow.checkPath(control.Place{Key: fmt.Sprintf("discover::directories[%d]", i), Path: dir}); err != nil {
			return err
		}
	}
	return nil
}

// Discovered implements control.Service.
func (c *controller) Discovered(ctx context.Context) (control.Discovery, error) {
	if !c.cfg.Discover.HasValue() {
		return control.Discovery{}, control.ErrNoDiscovery
	}
	p, err := c.attached()
	if err != nil {
		return control.Discovery{}, err
	}
	found := c.look(ctx)
	d := control.Discovery{Notes: found.Notes}
	known := c.places()
	for _, o := range found.Offers {
		if !slices.Contains(c.cfg.Allow.Kinds, o.Kind) {
			continue
		}
		// Nothing is offered that would be refused.
		if _, err := c.configure(p, o.ID, o.Kind, o.Config); err != nil {
			d.Notes = append(d.Notes, fmt.Sprintf("%s was found and cannot be observed: %s", o.ID, oneLine(err)))
			continue
		}
		offer := control.Offer{ID: o.ID, Kind: o.Kind, Config: o.Config, Evidence: o.Evidence, Note: o.Note}
		for _, place := range placesOf(o.Kind, o.Config) {
			for _, k := range known {
				if offer.Observed == "" && k.kind == o.Kind && same(k.place, place) {
					offer.Observed = k.id
				}
			}
		}
		d.Offers = append(d.Offers, offer)
	}
	return d, nil
}

func (c *controller) look(ctx context.Context) discover.Found {
	c.finder.mu.Lock()
	defer c.finder.mu.Unlock()
	if time.Since(c.finder.at) < freshFor {
		return c.finder.found
	}
	cfg := c.cfg.Discover.Get()
	directories := cfg.Directories
	if len(directories) == 0 {
		directories = c.cfg.Allow.Directories
	}
	var real []string // as paths of processes are
	for _, d := range directories {
		if r, err := realPath(d); err == nil && !slices.Contains(real, r) {
			real = append(real, r)
		}
	}
	var open []string
	for _, k := range c.places() {
		if path, ok := strings.CutPrefix(k.place, "sqlite:///"); ok {
			open = append(open, path)
		}
	}
	c.finder.found = discover.Look(ctx, discover.Options{
		Known:       open,
		Directories: real, MaxEntries: cfg.MaxEntries, MaxDepth: cfg.MaxDepth, MaxProcesses: cfg.MaxProcesses, Time: cfg.Timeout, Host: c.cfg.Allow.host,
		Allowed: func(path string) bool { return c.cfg.Allow.checkPath(control.Place{Path: path}) == nil },
	})
	c.finder.at = time.Now()
	return c.finder.found
}

// observed is a place and who observes it.
type observed struct{ id, kind, place string }

// places are those of all registered observers, running or not, and of those that the configuration names.
func (c *controller) places() (list []observed) {
	for _, o := range c.list() {
		reg := o.registration()
		for _, p := range placesOf(reg.Kind, reg.Config) {
			list = append(list, observed{reg.ID, reg.Kind, p})
		}
	}
	if c.finder.roster != nil {
		for _, r := range c.finder.roster.Reports() {
			for _, p := range r.Places {
				list = append(list, observed{r.ID, r.Kind, p})
			}
		}
	}
	return list
}

// placesOf are the places that a configuration names.
func placesOf(kind string, config map[string]any) (out []string) {
	keys := map[string][]string{"dask": {"schedulers", "scheduler_files"}, "mlflow": {"tracking_uri"}, "tasklog": {"include"}}
	for _, key := range keys[kind] {
		switch v := config[key].(type) {
		case string:
			out = append(out, v)
		case []any:
			for _, e := range v {
				if s, ok := e.(string); ok {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// same says that a place is observed by whoever observes the known one, which may be a glob.
func same(known, place string) bool {
	if sameAddress(known, place) {
		return true
	}
	if strings.Contains(known, "://") {
		return false
	}
	one := strings.NewReplacer("*", "x").Replace(place) // any of its logs
	fits, err := doublestar.Match(known, one)
	return err == nil && fits
}

func sameAddress(a, b string) bool {
	plain := func(s string) string {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" {
			return s
		}
		if u.Hostname() == "localhost" {
			u.Host = strings.Replace(u.Host, "localhost", "127.0.0.1", 1)
		}
		u.User = nil
		return u.String()
	}
	return plain(a) == plain(b)
}

// findByItself starts what is found of the kinds that the operator wants started, until the pipeline ends.
func (c *controller) findByItself() {
	if !c.cfg.Discover.HasValue() || len(c.cfg.Discover.Get().Start) == 0 {
		return
	}
	cfg := c.cfg.Discover.Get()
	c.mu.Lock()
	alive := c.alive
	c.mu.Unlock()
	c.finder.running.Go(func() {
		ticker := time.NewTicker(cfg.Interval)
		defer ticker.Stop()
		for {
			c.startFound(alive, cfg)
			select {
			case <-alive.Done():
				return
			case <-ticker.C:
			}
		}
	})
}

func (c *controller) startFound(ctx context.Context, cfg *Discover) {
	found, err := c.Discovered(ctx)
	if err != nil {
		return // the pipeline ended
	}
	for _, o := range found.Offers {
		if o.Observed != "" || !slices.Contains(cfg.Start, o.Kind) {
			continue
		}
		if _, before := c.finder.begun.LoadOrStore(o.ID, true); before {
			continue
		}
		config := maps.Clone(o.Config)
		config["campaign"] = cfg.Campaign
		_, err := c.Register(ctx, control.Registration{ID: o.ID, Kind: o.Kind, Config: config, By: "discovery"}, true)
		if err != nil {
			c.set.Logger.Warn("what was found could not be registered", zap.String("observer", o.ID), zap.String("error", withoutSecrets(err)))
			continue
		}
		c.set.Logger.Info("an observer was started for what was found", zap.String("observer", o.ID), zap.String("evidence", o.Evidence))
	}
}
