package taskquery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func (s *server) controller() (control.Service, error) {
	if c, ok := control.FromHost(s.host); ok {
		return c, nil
	}
	return nil, &apiError{
		status: http.StatusNotFound,
		Message: "this collector takes no observers while it runs; add the taskcontroller extension to its configuration, " +
			"and the managed receiver to a logs pipeline",
	}
}

// listObservers answers GET /api/v1/observers.
func (s *server) listObservers(_ context.Context, r *http.Request) (any, error) {
	c, err := s.controller()
	if err != nil {
		return nil, err
	}
	form, _ := timeForm(r) // checked before
	rows := []any{}
	for _, o := range c.Observers() {
		rows = append(rows, showObserver(form, o))
	}
	return map[string]any{"observers": rows}, nil
}

// discovered answers GET /api/v1/observers/discovered.
func (s *server) discovered(ctx context.Context, _ *http.Request) (any, error) {
	c, err := s.controller()
	if err != nil {
		return nil, err
	}
	d, err := c.Discovered(ctx)
	if err != nil {
		return nil, controlError(c, err)
	}
	offers := []any{}
	for _, o := range d.Offers {
		m := map[string]any{"id": o.ID, "kind": o.Kind, "config": o.Config, "evidence": o.Evidence, "observed": o.Observed != ""}
		for key, v := range map[string]string{"note": o.Note, "observed_by": o.Observed} {
			if v != "" {
				m[key] = v
			}
		}
		offers = append(offers, m)
	}
	notes := []any{}
	for _, n := range d.Notes {
		notes = append(notes, n)
	}
	return map[string]any{"discovered": offers, "notes": notes}, nil
}

// observer answers GET /api/v1/observers/{id}.
func (s *server) observer(_ context.Context, r *http.Request) (any, error) {
	c, err := s.controller()
	if err != nil {
		return nil, err
	}
	form, _ := timeForm(r)
	o, err := c.Observer(r.PathValue("id"))
	if err != nil {
		return nil, controlError(c, err)
	}
	return showObserver(form, o), nil
}

// registerObserver answers POST /api/v1/observers {"kind": "mlflow", "config": {…}, "id": "…", "start": true}.
func (s *server) registerObserver(ctx context.Context, r *http.Request) (any, error) {
	c, err := s.controller()
	if err != nil {
		return nil, err
	}
	m, err := object(r, []string{"kind", "config", "id", "start"})
	if err != nil {
		return nil, err
	}
	reg := control.Registration{By: userOf(ctx)}
	for key, into := range map[string]*string{"kind": &reg.Kind, "id": &reg.ID} {
		if v, given := m[key]; given {
			text, ok := v.(string)
			if !ok {
				return nil, &query.Error{Field: key, Problem: task.JSON(v) + " is no text"}
			}
			*into = text
		}
	}
	if reg.Kind == "" {
		return nil, &query.Error{Field: "kind", Problem: `missing; want what is observed, such as "mlflow"`}
	}
	if v, given := m["config"]; given {
		config, ok := v.(map[string]any)
		if !ok {
			return nil, &query.Error{Field: "config", Problem: task.JSON(v) + " is no object; want the keys of the receiver " + reg.Kind}
		}
		reg.Config = config
	}
	start := true
	if v, given := m["start"]; given {
		b, ok := v.(bool)
		if !ok {
			return nil, &query.Error{Field: "start", Problem: task.JSON(v) + " is neither true nor false"}
		}
		start = b
	}
	o, err := c.Register(ctx, reg, start)
	if err != nil {
		return nil, controlError(c, err)
	}
	return showObserver(asSeconds, o), nil
}

// startObserver answers POST /api/v1/observers/{id}/start.
func (s *server) startObserver(ctx context.Context, r *http.Request) (any, error) {
	c, err := s.controller()
	if err != nil {
		return nil, err
	}
	o, err := c.StartObserver(ctx, r.PathValue("id"))
	if err != nil {
		return nil, controlError(c, err)
	}
	return showObserver(asSeconds, o), nil
}

// stopObserver answers POST /api/v1/observers/{id}/stop?timeout=60s once what the tool did before is in the view.
func (s *server) stopObserver(ctx context.Context, r *http.Request) (any, error) {
	c, err := s.controller()
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := drainContext(ctx, r)
	if err != nil {
		return nil, err
	}
	defer cancel()
	o, d, err := c.StopObserver(ctx, r.PathValue("id"))
	if err != nil {
		return nil, controlError(c, err)
	}
	m := showObserver(asSeconds, o)
	showDrained(m, d)
	return m, nil
}

// deleteObserver answers DELETE /api/v1/observers/{id}?timeout=60s&force=true: it is stopped as above, and forgotten. One that
// could not be drained is kept, unless forced.
func (s *server) deleteObserver(ctx context.Context, r *http.Request) (any, error) {
	c, err := s.controller()
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := drainContext(ctx, r)
	if err != nil {
		return nil, err
	}
	defer cancel()
	id, force := r.PathValue("id"), r.URL.Query().Get("force")
	if force != "" && force != "true" && force != "false" {
		return nil, &query.Error{Field: "force", Problem: fmt.Sprintf("%q is neither true nor false", force)}
	}
	d, err := c.DeleteObserver(ctx, id, force == "true")
	if err != nil {
		return nil, controlError(c, err)
	}
	if d.Deleted {
		s.set.Logger.Info("an observer was deleted", zap.String("observer", id), zap.String("user", userOf(ctx)))
	}
	m := map[string]any{"id": id, "deleted": d.Deleted}
	showDrained(m, d)
	return m, nil
}

// drainContext ends with ?timeout=, if there is one.
func drainContext(ctx context.Context, r *http.Request) (context.Context, context.CancelFunc, error) {
	text := r.URL.Query().Get("timeout")
	if text == "" {
		return ctx, func() {}, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return nil, nil, &query.Error{Field: "timeout", Problem: fmt.Sprintf("%q is no duration above 0; want one such as 30s", text)}
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	return ctx, cancel, nil
}

func controlError(c control.Service, err error) error {
	var refusal *control.Refusal
	switch {
	case errors.As(err, &refusal):
		return &query.Error{Field: refusal.Field, Problem: refusal.Problem, Valid: refusal.Valid}
	case errors.Is(err, control.ErrUnknown):
		e := &apiError{status: http.StatusNotFound, Field: "id", Message: err.Error()}
		for _, o := range c.Observers() {
			e.Valid = append(e.Valid, o.ID)
		}
		return e
	case errors.Is(err, control.ErrConflict):
		return &apiError{status: http.StatusConflict, Field: "id", Message: err.Error()}
	case errors.Is(err, control.ErrNoDiscovery):
		return &apiError{status: http.StatusNotFound, Message: err.Error()}
	case errors.Is(err, control.ErrDetached):
		return &apiError{status: http.StatusServiceUnavailable, Message: err.Error()}
	}
	return err
}

func showObserver(form clock, o control.Observer) map[string]any {
	config := o.Config
	if config == nil {
		config = map[string]any{}
	}
	m := map[string]any{
		"id": o.ID, "kind": o.Kind, "config": config, "by": o.By, "state": string(o.State), "events": o.Events, "refused": o.Refused,
	}
	if o.Problem != "" {
		m["problem"] = o.Problem
	}
	for key, at := range map[string]time.Time{"registered_at": o.RegisteredAt, "started_at": o.StartedAt, "last_event_at": o.LastEventAt} {
		if !at.IsZero() {
			form.instant(m, key, at.UnixNano())
		}
	}
	return m
}

func showDrained(m map[string]any, d control.Drained) {
	m["drained"] = d.Complete
	if d.Problem != "" {
		m["problem"] = d.Problem
	}
}
