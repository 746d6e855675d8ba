package elastic

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// DeleteCampaign implements store.Admin. A task goes only as it was found, and its claims after it: a task that moves to
// another campaign meanwhile keeps them. Environments and entities are shared between campaigns and stay.
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
		if err := s.deleteBy(alive, workflows, "campaign_id", []string{view.Key(campaign)}); err != nil {
			return err
		}
		return s.deleteBy(alive, observers, "campaign", []string{view.Key(campaign)})
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
		ops := make([]*operation, len(found))
		for i, h := range found {
			ops[i] = &operation{verb: "delete", index: s.index(tasks), id: h.ID, version: &version{h.Seq, h.Term}}
		}
		found = found[:0]
		results, err := s.bulk(ctx, ops)
		if err != nil {
			return err
		}
		var gone []string
		for i, r := range results {
			switch {
			case r.err == nil:
				deleted++
				gone = append(gone, ops[i].id)
			case r.conflict() || r.busy():
				left++
			case r.err.Status != http.StatusNotFound:
				return r.err
			}
		}
		return s.deleteBy(ctx, claims, "task", gone)
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

// deleteBy deletes the documents that have any of the values in a field.
func (s *Store) deleteBy(ctx context.Context, kind, field string, values []string) error {
	p, err := s.look(ctx, kind)
	if err != nil {
		return err
	}
	defer p.close()
	var ops []*operation
	err = p.eachOf(ctx, field, values, nil, false, largePage, func(h hit) error {
		ops = append(ops, &operation{verb: "delete", index: s.index(kind), id: h.ID})
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
