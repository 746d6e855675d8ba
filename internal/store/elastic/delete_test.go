package elastic

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

func claimed(key string) *task.Event {
	return event(key, func(e *task.Event) {
		e.Claims = []task.Claim{{Role: task.Used, Entity: "file:/d", Evidence: "path", Confidence: 1}}
		e.ObserverID, e.Seq = "o", 1
	})
}

// Wherever a deletion ends before its time, no claim is without its task, and the next one finishes it.
func TestADeletionThatEndsBeforeItsTime(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		cuts := 0
		for whole := false; !whole; cuts++ {
			whole = deleteUntil(t, kind, cuts)
		}
		require.Greater(t, cuts, 4, "claims, tasks, workflows and observers are deleted one after the other")
	})
}

// deleteUntil lets the server take so many bulk requests of a deletion, and no request after them. It says whether that was
// the whole deletion.
func deleteUntil(t *testing.T, kind string, bulks int) (whole bool) {
	var deleting atomic.Bool
	var seen atomic.Int64
	o := proxy{before: func(_ http.ResponseWriter, r *http.Request) bool {
		n := seen.Load()
		if deleting.Load() && isBulk(r) {
			n = seen.Add(1)
		}
		if n > int64(bulks) {
			panic(http.ErrAbortHandler)
		}
		return false
	}}.start(t, kind)
	s := openStore(t, o)
	events := []*task.Event{claimed("x"), claimed("y"), claimed("z"), {Name: task.EventWorkflowStarted, Time: 1, WorkflowID: "w", Campaign: "c"}}
	other := claimed("other")
	other.Campaign, other.WorkflowID = "other", "v"
	write(t, s, append(events, other)...)
	deleting.Store(true)
	_, err := s.DeleteCampaign(t.Context(), "c")

	after, _ := fresh(t, Options{Endpoints: []string{servers.URL(t, kind)}, IndexPrefix: o.IndexPrefix})
	list, claimsErr := after.ClaimsOn(t.Context(), []string{"file:/d"}, "")
	require.NoError(t, claimsErr)
	ids := []string{}
	for _, c := range list {
		ids = append(ids, c.TaskID)
	}
	docs, tasksErr := after.Tasks(t.Context(), ids)
	require.NoError(t, tasksErr)
	require.Len(t, docs, len(ids), "every claim has its task after %d requests", bulks)

	_, again := after.DeleteCampaign(t.Context(), "c")
	require.NoError(t, again)
	requireOnly(t, after, other)
	return err == nil
}

func requireOnly(t *testing.T, s *Store, e *task.Event) {
	require.Equal(t, []string{e.Key}, found(t, s, `{}`))
	list, err := s.ClaimsOn(t.Context(), []string{"file:/d"}, "")
	require.NoError(t, err)
	require.Equal(t, []store.TaskClaim{{TaskID: e.ID(), Claim: e.Claims[0]}}, list)
	campaigns, err := s.Campaigns(t.Context())
	require.NoError(t, err)
	require.Len(t, campaigns, 1)
	points, err := s.Checkpoints(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, points, 1)
}

// A task that another collector moves to another campaign just before it would go stays, with its claims.
func TestATaskThatMovesWhileItsCampaignIsDeleted(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind string) {
		var move func()
		var moved atomic.Bool
		o := proxy{before: func(_ http.ResponseWriter, r *http.Request) bool {
			if isBulk(r) && move != nil {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				r.Body = io.NopCloser(bytes.NewReader(body))
				if bytes.HasPrefix(body, []byte(`{"delete":`)) && bytes.Contains(body, []byte(`-tasks-v1"`)) && moved.CompareAndSwap(false, true) {
					move()
				}
			}
			return false
		}}.start(t, kind)
		s := openStore(t, o)
		other, _ := fresh(t, Options{Endpoints: []string{servers.URL(t, kind)}, IndexPrefix: o.IndexPrefix})
		e := claimed("x")
		write(t, s, e, claimed("y"))
		to := *e
		to.Time, to.Campaign, to.Claims = 2, "d", nil
		move = func() {
			if rejected, err := other.Write(context.Background(), []*task.Event{&to}); err != nil || len(rejected) > 0 {
				t.Error(fmt.Sprint(rejected), err)
			}
		}
		n, err := s.DeleteCampaign(t.Context(), "c")
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		require.True(t, moved.Load())
		require.Equal(t, []string{"x"}, found(t, s, `{"campaign_id": "d"}`))
		list, err := s.ClaimsOn(t.Context(), []string{"file:/d"}, "")
		require.NoError(t, err)
		require.Equal(t, []store.TaskClaim{{TaskID: e.ID(), Claim: e.Claims[0]}}, list)
	})
}
