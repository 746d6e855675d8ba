package taskquery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const healthPath = "/healthz"

// handler answers a request with a value of package task's set, with a document, or with an error.
type handler func(ctx context.Context, r *http.Request) (any, error)

// route is one way to ask. Unbounded routes may take longer than query_timeout.
type route struct {
	method, path string
	handle       handler
	stream       func(w http.ResponseWriter, r *http.Request) error // instead of handle: writes its answer by itself
	unbounded    bool
	parameters   []string // of the URL's query
}

func (s *server) table() []route {
	return []route{
		{method: http.MethodGet, path: healthPath, handle: s.health},
		{method: http.MethodPost, path: "/api/v1/query", handle: s.query, parameters: []string{"time"}},
		{method: http.MethodGet, path: "/api/v1/tasks/{id}", handle: s.task, parameters: []string{"time"}},
		{method: http.MethodGet, path: "/api/v1/lineage", handle: s.lineage, parameters: []string{"id", "direction", "depth", "cost", "time"}},
		{method: http.MethodGet, path: "/api/v1/report", handle: s.report, parameters: []string{"campaign_id", "k", "metric", "order", "filter", "format", "time"}},
		{method: http.MethodGet, path: "/api/v1/origins", handle: s.origins, parameters: originParameters},
		{method: http.MethodGet, path: "/api/v1/campaigns", handle: s.campaigns, parameters: []string{"time"}},
		{method: http.MethodDelete, path: "/api/v1/campaigns/{id}", handle: s.deleteCampaign, unbounded: true},
		{method: http.MethodPost, path: "/api/v1/campaigns/{id}/assign", handle: s.assign, unbounded: true},
		{method: http.MethodGet, path: "/api/v1/workflows", handle: s.workflows, parameters: []string{"campaign", "time"}},
		{method: http.MethodGet, path: "/api/v1/completeness", handle: s.completeness, parameters: []string{"campaign_id", "campaign", "time"}},
		{method: http.MethodGet, path: "/api/v1/correlation", handle: s.correlation, parameters: correlationParameters},
		{method: http.MethodGet, path: "/api/v1/correlation/scatter", handle: s.scatter, parameters: scatterParameters},
		{method: http.MethodGet, path: "/api/v1/observers", handle: s.listObservers, parameters: []string{"time"}},
		{method: http.MethodPost, path: "/api/v1/observers", handle: s.registerObserver, unbounded: true},
		{method: http.MethodGet, path: "/api/v1/observers/discovered", handle: s.discovered},
		{method: http.MethodGet, path: "/api/v1/observers/{id}", handle: s.observer, parameters: []string{"time"}},
		{method: http.MethodPost, path: "/api/v1/observers/{id}/start", handle: s.startObserver, unbounded: true},
		{method: http.MethodPost, path: "/api/v1/observers/{id}/stop", handle: s.stopObserver, unbounded: true, parameters: []string{"timeout"}},
		{method: http.MethodDelete, path: "/api/v1/observers/{id}", handle: s.deleteObserver, unbounded: true, parameters: []string{"timeout", "force"}},
		{method: http.MethodGet, path: "/api/v1/doctor", handle: s.doctor, parameters: []string{"campaign_id", "time"}},
		{method: http.MethodGet, path: "/api/v1/doctor/link", handle: s.explain, parameters: []string{"from", "to", "time"}},
		{method: http.MethodGet, path: "/api/v1/annotations", handle: s.annotations, parameters: []string{"campaign_id", "id", "entity", "tasks", "limit", "time"}},
		{method: http.MethodPost, path: "/api/v1/annotations", handle: s.annotate},
		{method: http.MethodPost, path: "/api/v1/backup", handle: s.backup, unbounded: true},
		{method: http.MethodGet, path: "/api/v1/fields", handle: s.fields, parameters: []string{"filter"}},
		{method: http.MethodGet, path: "/api/v1/timeline", handle: s.timeline, parameters: []string{"filter", "by", "from", "to", "buckets", "sample", "time"}},
		{method: http.MethodGet, path: "/api/v1/lineage/activities", handle: s.lineageOfActivities, parameters: []string{"filter", "sample"}},
		{method: http.MethodGet, path: "/api/v1/stream", stream: s.stream, unbounded: true, parameters: []string{"campaign_id", "time"}},
		{method: http.MethodGet, path: "/api/v1/openapi.json", handle: s.openAPI},
	}
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, rt := range s.table() {
		methods[rt.path] = append(methods[rt.path], rt.method)
		mux.Handle(rt.method+" "+rt.path, s.serve(rt))
	}
	for path, allowed := range methods {
		if _, covered := methods[path[:strings.LastIndex(path, "/")+1]+"{id}"]; covered && !strings.HasSuffix(path, "}") {
			continue // a name beside {id}, which takes the other methods
		}
		slices.Sort(allowed)
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			writeError(w, &apiError{
				status: http.StatusMethodNotAllowed, Valid: allowed,
				Message: r.Method + " is not possible on " + path + "; valid: " + strings.Join(allowed, ", "),
			})
		})
	}
	mux.Handle(mcpPath, s.assistants())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		e := &apiError{status: http.StatusNotFound, Message: "there is no " + r.URL.Path}
		for _, rt := range s.table() {
			e.Valid = append(e.Valid, rt.method+" "+rt.path)
		}
		writeError(w, e)
	})
	return mux
}

func (s *server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setRoute(r.Context(), rt.path)
		if rt.stream != nil {
			err := s.check(rt, r)
			if err == nil {
				err = rt.stream(w, r)
			}
			if err != nil {
				writeError(w, s.failure(r.Context(), rt, err))
			}
			return
		}
		answer, failed := s.ask(r.Context(), rt, r)
		if failed != nil {
			writeError(w, failed)
			return
		}
		if d, ok := answer.(document); ok {
			d.write(w)
			return
		}
		write(w, http.StatusOK, task.AppendJSON(nil, answer))
	})
}

// setRoute says under which route a request is counted.
func setRoute(ctx context.Context, path string) {
	if info, ok := ctx.Value(requestKey{}).(*requestInfo); ok {
		info.route = path
	}
}

// ask has a route answer, within its deadline.
func (s *server) ask(ctx context.Context, rt route, r *http.Request) (any, *apiError) {
	if s.config.QueryTimeout > 0 && !rt.unbounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.config.QueryTimeout)
		defer cancel()
	}
	if err := s.check(rt, r); err != nil {
		return nil, s.failure(ctx, rt, err)
	}
	answer, err := rt.handle(ctx, r)
	if err != nil {
		return nil, s.failure(ctx, rt, err)
	}
	return answer, nil
}

// check refuses parameters that the route does not have.
func (s *server) check(rt route, r *http.Request) error {
	var forAuth []string
	if s.config.Auth.HasValue() {
		forAuth = s.config.Auth.Get().RequestParameters
	}
	for name, values := range r.URL.Query() {
		if slices.Contains(forAuth, name) {
			continue
		}
		if !slices.Contains(rt.parameters, name) {
			return &query.Error{
				Field: name, Problem: "unknown parameter", Valid: rt.parameters, Suggestion: query.Nearest(name, rt.parameters),
			}
		}
		if len(values) > 1 && name != "id" {
			return &query.Error{Field: name, Problem: fmt.Sprintf("given %d times; want it once", len(values))}
		}
	}
	_, err := timeForm(r)
	return err
}

// failure is the answer for an error. What is not the client's doing is logged too.
func (s *server) failure(ctx context.Context, rt route, err error) *apiError {
	var mistake *query.Error
	var ours *apiError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &mistake):
		return &apiError{
			status: http.StatusBadRequest, Message: mistake.Error(), Field: mistake.Field, Problem: mistake.Problem,
			Valid: mistake.Valid, Suggestion: mistake.Suggestion,
		}
	case errors.Is(err, store.ErrNotFound):
		return &apiError{status: http.StatusNotFound, Message: err.Error()}
	case errors.As(err, &tooLarge):
		return &apiError{
			status:  http.StatusRequestEntityTooLarge,
			Message: "the request is larger than extensions::taskquery::max_request_body_size allows",
		}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &apiError{
			status: http.StatusGatewayTimeout,
			Message: "no answer within " + s.config.QueryTimeout.Round(time.Millisecond).String() +
				"; narrow the filter, or raise extensions::taskquery::query_timeout",
		}
	case ctx.Err() != nil: // the client has gone
		return &apiError{status: 499, Message: "the client ended the request"}
	default:
		s.set.Logger.Error("a request failed", zap.String("route", rt.method+" "+rt.path), zap.Error(err))
		return &apiError{status: http.StatusInternalServerError, Message: err.Error()}
	}
}

// apiError is the body of an answer that is none: {"error": {"message", "field", "problem", "valid", "suggestion"}}.
type apiError struct {
	status                              int
	Message, Field, Problem, Suggestion string
	Valid                               []string
}

func (e *apiError) Error() string { return e.Message }

func writeError(w http.ResponseWriter, e *apiError) {
	write(w, e.status, task.AppendJSON(nil, e.structured()))
}

func (e *apiError) structured() map[string]any {
	m := map[string]any{"message": e.Message}
	for k, v := range map[string]string{"field": e.Field, "problem": e.Problem, "suggestion": e.Suggestion} {
		if v != "" {
			m[k] = v
		}
	}
	if len(e.Valid) > 0 {
		m["valid"] = e.Valid
	}
	return map[string]any{"error": m}
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that has gone is no fault
}

func (s *server) health(context.Context, *http.Request) (any, error) {
	if _, err := s.store(); err != nil {
		return nil, &apiError{status: http.StatusServiceUnavailable, Message: "the store is not open"}
	}
	if !s.ready.Load() {
		return nil, &apiError{status: http.StatusServiceUnavailable, Message: "the collector is starting"}
	}
	return map[string]any{"status": "ok"}, nil
}
