package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// deleteCampaign removes what belongs to a campaign, what hangs on the rows of its tasks first. Environments and entities
// are shared between campaigns and stay.
var deleteCampaign = []string{
	`DELETE FROM claims WHERE n IN (SELECT n FROM tasks WHERE campaign_id = ?)`,
	`DELETE FROM edges WHERE n IN (SELECT n FROM tasks WHERE campaign_id = ?)`,
	`DELETE FROM leaves WHERE n IN (SELECT n FROM tasks WHERE campaign_id = ?)`,
	`DELETE FROM states WHERE n IN (SELECT n FROM tasks WHERE campaign_id = ?)`,
	`DELETE FROM workflows WHERE campaign_id = ?`,
	`DELETE FROM seqs WHERE observer IN (SELECT n FROM observers WHERE campaign = ?)`,
	`DELETE FROM observers WHERE campaign = ?`,
}

// DeleteCampaign implements store.Admin.
func (s *Store) DeleteCampaign(ctx context.Context, campaign string) (int64, error) {
	if campaign == "" {
		return 0, errors.New("campaign: empty; want the id of a campaign")
	}
	var tasks int64
	err := s.between(ctx, func(ses *session) error {
		for _, q := range deleteCampaign {
			if _, err := ses.exec(q, campaign); err != nil {
				return err
			}
		}
		res, err := ses.exec(`DELETE FROM tasks WHERE campaign_id = ?`, campaign)
		if err != nil {
			return err
		}
		tasks, err = res.RowsAffected()
		return err
	})
	return tasks, err
}

// between runs f in a transaction of its own, between those of the writer.
func (s *Store) between(ctx context.Context, f func(*session) error) error {
	return s.hand(ctx, &call{batch: view.NewBatch(), special: f})
}

// Backup implements store.Admin. The copy is a database of its own, made from one snapshot while writing goes on.
func (s *Store) Backup(ctx context.Context, path string) (err error) {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	// The file is made first, and for its owner alone; VACUUM INTO takes an empty file.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("backup: %s exists; want a path where nothing is", path)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	f.Close()
	db := s.write
	if !s.exclusive {
		// The readers may not write, not even elsewhere, and the writer must not wait for the copy.
		db = openDB(s.path, commonPragmas)
		defer db.Close()
	}
	if _, err = db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return errors.Join(fmt.Errorf("backup to %s: %w", path, err), os.Remove(path))
	}
	return nil
}
