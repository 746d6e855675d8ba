package sqlite

import (
	"context"
	"database/sql"
	"maps"
	"sync"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// tallies keeps what the tasks of each campaign say of its workflows, so that an overview, which is asked for twice a second
// while somebody looks, counts only the tasks of the campaigns that changed. Consistency is that of columns: the writer
// commits, and notes the campaigns, under one lock, under which a reader takes the notes and its snapshot.
type tallies struct {
	turn chan struct{} // a token while nobody counts
	of   map[string][]tally

	mu    sync.Mutex
	dirty map[string]bool
	all   bool // the notes do not tell all
}

// tally sums up the tasks of one campaign, workflow and status.
type tally struct {
	status   string
	workflow store.Workflow
}

// mostDirty is how many campaigns are counted one by one; of more, one walk over all tasks is no dearer.
const mostDirty = 8

func newTallies() *tallies {
	t := &tallies{turn: make(chan struct{}, 1), dirty: map[string]bool{}, all: true}
	t.turn <- struct{}{}
	return t
}

// note remembers changed campaigns. The caller holds mu.
func (t *tallies) note(campaigns map[string]bool, all bool) {
	t.all = t.all || all
	maps.Copy(t.dirty, campaigns)
}

// overview is overview of the tallies, as of a snapshot.
func (s *Store) overview(ctx context.Context, campaign string) (*view.Overview, error) {
	t := s.tallies
	if t == nil {
		var o *view.Overview
		err := s.snapshot(ctx, func(tx *sql.Tx) (err error) {
			o, err = overview(ctx, tx, campaign)
			return err
		})
		return o, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	select {
	case <-t.turn:
		defer func() { t.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	t.mu.Lock()
	tx, _, err := beginSnapshot(ctx, conn)
	if err != nil {
		t.mu.Unlock()
		return nil, err
	}
	defer tx.Rollback()
	dirty, all := t.dirty, t.all
	t.dirty, t.all = map[string]bool{}, false
	t.mu.Unlock()
	if err := t.count(ctx, tx, dirty, all); err != nil {
		t.mu.Lock()
		t.all = true // the notes are gone
		t.mu.Unlock()
		return nil, err
	}
	o := view.NewOverview(campaign)
	for id, list := range t.of {
		for _, c := range list {
			if campaign == "" || id == campaign {
				o.Tasks(c.status, c.workflow)
			}
		}
	}
	return o, declaredWorkflows(ctx, tx, campaign, o)
}

// count brings the tallies up to the snapshot.
func (t *tallies) count(ctx context.Context, tx *sql.Tx, dirty map[string]bool, all bool) error {
	if all || len(dirty) > mostDirty {
		t.of = map[string][]tally{}
		return eachTally(ctx, tx, "", nil, t.add)
	}
	for id := range dirty {
		delete(t.of, id)
		if err := eachTally(ctx, tx, "WHERE campaign_id IS ?", []any{text(id)}, t.add); err != nil {
			return err
		}
	}
	return nil
}

func (t *tallies) add(c tally) { t.of[c.workflow.CampaignID] = append(t.of[c.workflow.CampaignID], c) }
