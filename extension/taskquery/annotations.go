package taskquery

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Bounds of an annotation (docs/steering.md).
const (
	maxNote             = 4096 // bytes of a note or a reason
	maxName             = 200  // bytes of an action, a tag, a user
	maxTags             = 50
	maxAnnotatedIDs     = 1_000
	maxAnnotatedTasks   = 10_000
	maxAnnotationsATask = 500
)

var annotationKeys = []string{"ids", "filter", "campaign", "entity", "note", "tags_added", "tags_removed", "excluded", "action", "why", "by", "via"}

// annotate answers POST /api/v1/annotations: what a person says of tasks, of an entity or of a campaign, kept with who, when
// and why.
func (s *server) annotate(ctx context.Context, r *http.Request) (any, error) {
	m, err := object(r, annotationKeys)
	if err != nil {
		return nil, err
	}
	for k, v := range m {
		if v == nil {
			delete(m, k)
		}
	}
	entry, err := annotationEntry(m)
	if err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	var random [12]byte
	_, _ = rand.Read(random[:]) // it never fails
	a := annotation{id: hex.EncodeToString(random[:]), at: time.Now().UnixNano(), entry: entry}
	a.by(ctx)
	out := map[string]any{"id": a.id, "by": entry["by"], "by_source": entry["by_source"], "at": entry["at"]}
	if err := a.target(ctx, st, m, out); err != nil {
		return nil, err
	}
	for part := range slices.Chunk(a.events, assignBatch) {
		rejected, err := st.Write(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, r := range rejected {
			return nil, fmt.Errorf("task %q cannot be annotated: %w", r.Event.Key, r.Err)
		}
	}
	s.set.Logger.Info("an annotation was written", zap.String("annotation", a.id), zap.Any("tasks", out["tasks"]),
		zap.Any("campaign", out["campaign_id"]), zap.Any("entity", out["entity"]), zap.Any("user", entry["by"]))
	return out, nil
}

// annotation is one thing that a person said, and the events that say so.
type annotation struct {
	id     string
	at     int64
	entry  map[string]any
	events []*task.Event
}

// by completes the entry: whom an auth extension recognised wins over whom the client states.
func (a *annotation) by(ctx context.Context) {
	a.entry["id"], a.entry["at"] = a.id, float64(a.at/1e3)/1e6
	if user := authenticatedUser(ctx); user != "" {
		a.entry["by"], a.entry["by_source"] = user, "authenticated"
	} else if a.entry["by"] != nil {
		a.entry["by_source"] = "stated"
	} else {
		a.entry["by"], a.entry["by_source"] = userOf(ctx), "collector"
	}
}

var annotationTargets = []string{"ids", "filter", "campaign", "entity"}

// target makes the events of those that are meant: tasks, an entity, or a campaign. It says in out what these are.
func (a *annotation) target(ctx context.Context, st store.Store, m, out map[string]any) error {
	given := 0
	for _, k := range annotationTargets {
		if m[k] != nil {
			given++
		}
	}
	if given != 1 {
		return &query.Error{Problem: fmt.Sprintf("%d of ids, filter, campaign and entity are given; want one of them", given), Valid: annotationTargets}
	}
	out["tasks"] = int64(0)
	switch {
	case m["entity"] != nil:
		entity, err := boundedText(m, "entity", maxEntity)
		if err != nil {
			return err
		}
		campaigns, err := a.ofEntity(ctx, st, entity)
		out["entity"], out["campaigns"] = entity, campaigns
		return err
	case m["campaign"] != nil:
		campaign, err := boundedText(m, "campaign", 1024)
		if err != nil {
			return err
		}
		list, err := st.Campaigns(ctx)
		if err != nil {
			return err
		}
		var names []string
		for _, c := range list {
			names = append(names, c.ID)
		}
		if !slices.Contains(names, campaign) || campaign == "" {
			return &apiError{
				status: http.StatusNotFound, Field: "campaign", Message: fmt.Sprintf("there is no campaign %q", campaign),
				Valid: names, Suggestion: query.Nearest(campaign, names),
			}
		}
		a.events = []*task.Event{a.ofCampaign(campaign)}
		out["campaign_id"] = campaign
		return nil
	case m["ids"] != nil:
		ids, err := textList(m, "ids", maxAnnotatedIDs, 4096)
		if err != nil {
			return err
		}
		err = a.ofIDs(ctx, st, ids)
		out["tasks"] = int64(len(a.events))
		return err
	}
	filter, ok := m["filter"].(map[string]any)
	if !ok || len(filter) == 0 {
		return &query.Error{Field: "filter", Problem: `want an object with a condition, such as {"status": "FAILED"}`}
	}
	err := a.ofFilter(ctx, st, filter)
	out["tasks"] = int64(len(a.events))
	return err
}

func (a *annotation) ofIDs(ctx context.Context, st store.Store, names []string) error {
	known, err := st.Facts(ctx, names)
	if err != nil {
		return err
	}
	var ids []any
	for i, name := range names {
		id := name
		if _, ok := known[name]; !ok {
			if id, err = resolveID(ctx, st, fmt.Sprintf("ids[%d]", i), name); err != nil {
				return err
			}
		}
		ids = append(ids, id)
	}
	return a.ofFilter(ctx, st, map[string]any{"id": map[string]any{"$in": ids}})
}

func (a *annotation) ofFilter(ctx context.Context, st store.Store, filter map[string]any) error {
	cursor := ""
	for {
		q, err := query.Parse(map[string]any{
			"filter": filter, "limit": int64(assignBatch), "cursor": cursor,
			"projection": []any{"id", "task_id", "kind", "scope", "custom.people.log.id"},
		})
		if err != nil {
			return err
		}
		page, err := st.Query(ctx, q)
		if err != nil {
			return err
		}
		if page.Total > maxAnnotatedTasks {
			return &query.Error{Field: "filter", Problem: fmt.Sprintf("%d tasks match; at most %d can be annotated at a time", page.Total, maxAnnotatedTasks)}
		}
		for _, row := range page.Rows {
			if log, ok := row["custom.people.log.id"].([]any); ok && len(log) >= maxAnnotationsATask {
				return &query.Error{Field: "ids", Problem: fmt.Sprintf("task %v has %d annotations; more are not kept", row["id"], len(log))}
			}
			a.events = append(a.events, a.event(row))
		}
		if page.NextCursor == "" {
			break
		}
		cursor = page.NextCursor
	}
	if len(a.events) == 0 {
		return &apiError{status: http.StatusNotFound, Field: "filter", Message: "no task matches the filter: nothing was annotated"}
	}
	return nil
}

func (a *annotation) event(row map[string]any) *task.Event {
	text := func(k string) string {
		s, _ := row[k].(string)
		return s
	}
	return &task.Event{
		Name: task.EventProgress, Time: a.at, Observed: a.at, Kind: text("kind"), Scope: text("scope"), Key: text("task_id"),
		Attempt: task.NoAttempt, Facet: task.AnnotationFacet(a.id), Custom: map[string]any{task.KeyAnnotation: a.entry},
	}
}

// ofCampaign makes a task of what a person did on a campaign as a whole, or on an entity of it: it is an activity with a time and an actor, is found
// by every query, and goes where the campaign goes.
func (a *annotation) ofCampaign(campaign string) *task.Event {
	user, _ := a.entry["by"].(string)
	return &task.Event{
		Name: task.EventFinished, Time: a.at, Observed: a.at, Kind: task.KindPeople, Scope: campaign, Key: a.id, Attempt: task.NoAttempt,
		Facet: task.AnnotationFacet(a.id), Status: task.StatusFinished, Campaign: campaign, WorkflowID: "people of " + campaign, WorkflowName: "people",
		Activity: "annotation", StartedAt: a.at, EndedAt: a.at, Attributes: map[string]any{"user.name": user},
		Custom: map[string]any{task.KeyAnnotation: a.entry},
	}
}

// annotationEntry checks what is said.
func annotationEntry(m map[string]any) (map[string]any, error) {
	entry := map[string]any{}
	for _, f := range []struct {
		key string
		max int
	}{{"note", maxNote}, {"why", maxNote}, {"action", maxName}, {"by", maxName}, {"via", maxName}} {
		text, err := boundedText(m, f.key, f.max)
		if err != nil {
			return nil, err
		}
		if text != "" {
			entry[f.key] = text
		}
	}
	for _, key := range []string{"tags_added", "tags_removed"} {
		if m[key] == nil {
			continue
		}
		tags, err := textList(m, key, maxTags, maxName)
		if err != nil {
			return nil, err
		}
		list := make([]any, len(tags))
		for i, t := range tags {
			list[i] = t
		}
		entry[key] = list
	}
	if v, given := m["excluded"]; given {
		if _, ok := v.(bool); !ok {
			return nil, &query.Error{Field: "excluded", Problem: task.JSON(v) + " is neither true nor false"}
		}
		entry["excluded"] = v
	}
	if entry["why"] == nil && (entry["action"] != nil || entry["excluded"] == true) {
		return nil, &query.Error{Field: "why", Problem: "missing; an action and an exclusion want their reason"}
	}
	for _, key := range []string{"note", "tags_added", "tags_removed", "excluded", "action"} {
		if entry[key] != nil {
			return entry, nil
		}
	}
	return nil, &query.Error{Problem: "nothing is said", Valid: []string{"note", "tags_added", "tags_removed", "excluded", "action"}}
}

func boundedText(m map[string]any, key string, most int) (string, error) {
	v, given := m[key]
	if !given {
		return "", nil
	}
	text, ok := v.(string)
	if !ok {
		return "", &query.Error{Field: key, Problem: task.JSON(v) + " is no text"}
	}
	return text, checkText(key, text, most)
}

func checkText(at, text string, most int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return &query.Error{Field: at, Problem: "empty"}
	case len(text) > most:
		return &query.Error{Field: at, Problem: fmt.Sprintf("%d bytes; at most %d are kept", len(text), most)}
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && (most <= maxName || r != '\n' && r != '\t') }):
		return &query.Error{Field: at, Problem: "it holds control characters"}
	}
	return nil
}

func textList(m map[string]any, key string, most, longest int) ([]string, error) {
	list, ok := m[key].([]any)
	if !ok || len(list) == 0 || len(list) > most {
		return nil, &query.Error{Field: key, Problem: fmt.Sprintf("want a list of 1 to %d texts", most)}
	}
	out := make([]string, len(list))
	for i, v := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		text, ok := v.(string)
		if !ok {
			return nil, &query.Error{Field: at, Problem: task.JSON(v) + " is no text"}
		}
		if err := checkText(at, text, longest); err != nil {
			return nil, err
		}
		out[i] = text
	}
	return out, nil
}
