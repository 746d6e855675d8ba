package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// DeleteCampaign implements store.Admin. Claims go before their tasks, and what else the campaign has after them: wherever
// it ends before its time, there is no claim without a task, and a second call finds what is left. A task goes only as it
// was found; one that others change meanwhile gets its claims back, since it may have moved to another campaign.
// Environments and entities are shared between campaigns and stay.
func (s *Store) DeleteCampaign(ctx context.Context, campaign string) (deleted int64, err error) {
	if campaign == "" {
		return 0, errors.New("campaign: empty; want the id of a campaign")
	}
	err = s.between(ctx, func(alive context.Context) error {
		// Tasks that others change meanwhile are left out, and looked at again.
		for try := 0; ; try++ {
			n, left, err := s.deleteTasks(alive, campaign)
			deleted += n
			if err != nil {
				return err
			}
			if left == 0 {
				break
			}
			if try == maxConflicts {
				return fmt.Errorf("campaign %s: %d tasks were changed by others each time they were to be deleted", campaign, left)
			}
		}
		if err := s.deleteBy(alive, workflows, "campaign_id", []string{view.Key(campaign)}, nil); err != nil {
			return err
		}
		return s.deleteBy(alive, observers, "campaign", []string{view.Key(campaign)}, nil)
	})
	return deleted, err
}

// deleteTasks deletes the tasks of a campaign with their claims; left counts those that were changed meanwhile.
func (s *Store) deleteTasks(ctx context.Context, campaign string) (deleted, left int64, err error) {
	p, err := s.snapshot(ctx, tasks)
	if err != nil {
		return 0, 0, err
	}
	defer p.close()
	var found []hit
	flush := func() error {
		n, more, err := s.deleteFound(ctx, found)
		deleted, left, found = deleted+n, left+more, found[:0]
		return err
	}
	err = p.each(ctx, object{"term": object{"campaign_id": campaign}}, false, largePage, func(h hit) error {
		if found = append(found, h); len(found) < chunk {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return deleted, left, err
}

func (s *Store) deleteFound(ctx context.Context, found []hit) (deleted, left int64, err error) {
	ids, ops := make([]string, len(found)), make([]*operation, len(found))
	for i, h := range found {
		ids[i] = h.ID
		ops[i] = &operation{verb: "delete", index: s.index(tasks), id: h.ID, version: &version{h.Seq, h.Term}}
	}
	claimed, err := s.deleteClaims(ctx, ids)
	if err != nil {
		return 0, 0, err
	}
	results, err := s.bulk(ctx, ops)
	if err != nil {
		return 0, 0, err
	}
	var gone []string
	var back []*entry
	for i, r := range results {
		switch {
		case r.err == nil:
			deleted++
			gone = append(gone, ids[i])
		case r.conflict() || r.busy():
			left++
			back = append(back, claimed[ids[i]]...)
		case r.err.Status != http.StatusNotFound:
			return deleted, left, r.err
		}
	}
	if err := s.settle(ctx, back); err != nil {
		return deleted, left, err
	}
	// Another collector may have told of a task again before it was gone.
	_, err = s.deleteClaims(ctx, gone)
	return deleted, left, err
}

// deleteClaims deletes the claims of tasks, and returns what brings them back.
func (s *Store) deleteClaims(ctx context.Context, ids []string) (by map[string][]*entry, err error) {
	by = map[string][]*entry{}
	return by, s.deleteBy(ctx, claims, "task", ids, func(h hit) error {
		var d struct{ Task string }
		if err := json.Unmarshal(h.Source, &d); err != nil {
			return fmt.Errorf("claim %s: %w", h.ID, err)
		}
		by[d.Task] = append(by[d.Task], &entry{
			index: s.index(claims), id: h.ID, addOnly: true, body: func(bool) ([]byte, error) { return h.Source, nil },
			reject: func(err error) {
				s.log.Error(fmt.Sprintf("A claim of task %s is lost, whose campaign was to be deleted: %v", d.Task, err))
			},
		})
		return nil
	})
}

// deleteBy deletes the documents that have any of the values in a field. keep, if set, sees them before.
func (s *Store) deleteBy(ctx context.Context, kind, field string, values []string, keep func(hit) error) error {
	p, err := s.look(ctx, kind)
	if err != nil {
		return err
	}
	defer p.close()
	var ops []*operation
	err = p.eachOf(ctx, field, values, nil, keep != nil, largePage, func(h hit) error {
		ops = append(ops, &operation{verb: "delete", index: s.index(kind), id: h.ID})
		if keep != nil {
			return keep(h)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for try := 0; len(ops) > 0; try++ {
		results, err := s.bulk(ctx, ops)
		if err != nil {
			return err
		}
		var again []*operation
		for i, r := range results {
			switch {
			case r.busy():
				again = append(again, ops[i])
			case r.err != nil && r.err.Status != http.StatusNotFound:
				return r.err
			}
		}
		if ops = again; len(ops) == 0 {
			return nil
		}
		if try == maxBusy {
			return fmt.Errorf("%d documents of %s: %w", len(ops), s.index(kind), results[0].err)
		}
		if err := wait(ctx, try, busyFirst, busyMost); err != nil {
			return err
		}
	}
	return nil
}

// Restore brings in what Backup wrote, merged with what is there.
func (s *Store) Restore(ctx context.Context, path string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	var rejected view.Rejections
	return readBackup(path, &rejected, func(b *view.Batch) error {
		c := &call{done: make(chan struct{}), batch: b}
		if err := s.prepare(ctx, c); err != nil {
			return err
		}
		if err := s.submit(ctx, c); err != nil {
			return err
		}
		for _, r := range rejected.List {
			return fmt.Errorf("restore from %s: %w", path, r.Err)
		}
		return nil
	})
}
