package elastic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"go.uber.org/zap"
)

// setup makes templates and indices at the first call that succeeds, so that a collector starts before its cluster.
type setup struct {
	gate  chan struct{} // holds one token while somebody is at it
	done  bool
	quiet bool // that it failed was said
}

// ready returns once the indices exist.
func (s *Store) ready(ctx context.Context) error {
	select {
	case s.setup.gate <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.setup.gate }()
	if s.setup.done {
		return nil
	}
	err := s.prepareIndices(ctx)
	switch {
	case err == nil:
		s.setup.done = true
		if s.setup.quiet {
			s.log.Info("The cluster answers now.", zap.Strings("endpoints", s.opts.Endpoints))
		}
		return nil
	case ctx.Err() == nil && !s.setup.quiet:
		s.setup.quiet = true
		s.log.Warn("The indices cannot be opened yet. Writers are asked to try again.",
			zap.Strings("endpoints", s.opts.Endpoints), zap.Error(err))
	}
	return fmt.Errorf("open indices %s-*: %w", s.opts.IndexPrefix, err)
}

func (s *Store) prepareIndices(ctx context.Context) error {
	if err := s.client.do(ctx, request{method: http.MethodGet, path: "/_cluster/health"}, nil); err != nil {
		return err
	}
	s.pace.serve(s.processors(ctx))
	if err := s.inParallel(kinds, func(kind string) error { return s.installTemplate(ctx, kind) }); err != nil {
		return err
	}
	if err := s.inParallel(kinds, func(kind string) error { return s.makeIndex(ctx, kind) }); err != nil {
		return err
	}
	// An index that another collector has just made is there before it can be read.
	if err := s.client.do(ctx, request{
		method: http.MethodGet, path: "/_cluster/health/" + s.indices(kinds...),
		query: url.Values{"wait_for_status": {"yellow"}, "timeout": {"30s"}},
	}, nil); err != nil {
		return err
	}
	return s.fields.load(ctx, s)
}

// processors says how many the nodes with data have, 0 where they do not tell: then requests are as for a small server.
func (s *Store) processors(ctx context.Context) (sum int) {
	var answer struct {
		Nodes map[string]struct {
			OS struct {
				Processors int `json:"allocated_processors"`
			}
		}
	}
	err := s.client.do(ctx, request{
		method: http.MethodGet, path: "/_nodes/data:true/os", query: url.Values{"filter_path": {"nodes.*.os.allocated_processors"}},
	}, &answer)
	if err != nil {
		s.log.Debug("The cluster does not say how many processors it has.", zap.Error(err))
	}
	for _, n := range answer.Nodes {
		sum += n.OS.Processors
	}
	return sum
}

func (s *Store) inParallel(list []string, f func(string) error) error {
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, e := range list {
		wg.Go(func() { errs[i] = f(e) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// newer is the error for what a newer collector made.
func newer(what string, version int) error {
	return fmt.Errorf("%s has schema_version %d, written by a newer collector; this one knows up to %d: "+
		"use the newer collector, or another index_prefix", what, version, schemaVersion)
}

type meta struct {
	SchemaVersion int `json:"schema_version"`
	MadeVersion   int `json:"made_version"` // of the collector that made the index; 0: before 3
	FieldBudget   int `json:"field_budget"`
}

func (s *Store) installTemplate(ctx context.Context, kind string) error {
	name := s.opts.IndexPrefix + "-" + kind
	var have struct {
		Templates []struct {
			Template struct {
				Meta meta `json:"_meta"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	err := s.client.do(ctx, request{method: http.MethodGet, path: "/_index_template/" + name}, &have)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return err
	}
	for _, t := range have.Templates {
		switch v := t.Template.Meta.SchemaVersion; {
		case v > schemaVersion:
			return newer("index template "+name, v)
		case v == schemaVersion:
			return nil // of an older version it is written over: new indices are of this one
		}
	}
	return s.client.do(ctx, request{method: http.MethodPut, path: "/_index_template/" + name, body: s.template(kind)}, nil)
}

func (s *Store) makeIndex(ctx context.Context, kind string) error {
	index := s.index(kind)
	err := s.client.do(ctx, request{method: http.MethodPut, path: "/" + index}, nil)
	var e *Error
	if err != nil && (!errors.As(err, &e) || e.Type != "resource_already_exists_exception") {
		return err
	}
	m, err := s.mapping(ctx, kind)
	if err != nil {
		return err
	}
	switch v := m.Meta.SchemaVersion; {
	case v == 0:
		return fmt.Errorf("index %s was not made by otelcol-mida; choose another index_prefix", index)
	case v > schemaVersion:
		return newer("index "+index, v)
	case v < schemaVersion: // versions only add fields; documents get them when they are written again
		return s.client.do(ctx, request{method: http.MethodPut, path: "/" + index + "/_mapping", body: mappings(kind, m.Meta.FieldBudget, m.Meta.MadeVersion)}, nil)
	}
	return nil
}

// indexMapping is what an index says about itself.
type indexMapping struct {
	Meta       meta `json:"_meta"`
	Properties map[string]struct {
		Properties map[string]struct{} `json:"properties"`
	} `json:"properties"`
}

func (s *Store) mapping(ctx context.Context, kind string) (indexMapping, error) {
	var out map[string]struct {
		Mappings indexMapping `json:"mappings"`
	}
	if err := s.client.do(ctx, request{method: http.MethodGet, path: "/" + s.index(kind) + "/_mapping"}, &out); err != nil {
		return indexMapping{}, err
	}
	return out[s.index(kind)].Mappings, nil
}

func isStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}
