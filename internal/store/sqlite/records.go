package sqlite

import (
	"database/sql/driver"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	sqlFindWorkflow = `SELECT state FROM workflows WHERE id = ?`
	sqlPutWorkflow  = `INSERT INTO workflows (id, campaign_id, name, parent_id, kind, first_at, last_at, state)
 VALUES (?,?,?,?,?,?,?,?)
 ON CONFLICT (id) DO UPDATE SET campaign_id = excluded.campaign_id, name = excluded.name, parent_id = excluded.parent_id,
 kind = excluded.kind, first_at = excluded.first_at, last_at = excluded.last_at, state = excluded.state`
	sqlPutEnvironment = `INSERT INTO environments (digest, time, record, leaves) VALUES (?1,?2,?3,?4)
 ON CONFLICT (digest) DO UPDATE SET time = ?2, record = ?3, leaves = ?4 WHERE (time, record) < (?2, ?3)`
	sqlPutEntity = `INSERT INTO entities (digest, time, record) VALUES (?1,?2,?3)
 ON CONFLICT (digest) DO UPDATE SET time = ?2 WHERE time < ?2`
)

func (s *Store) mergeWorkflows(ses *session, b *view.Batch) error {
	for id, p := range b.Workflows {
		if err := mergeWorkflow(ses, id, p.State); err != nil {
			return poison(workflowSubject(id), err)
		}
	}
	return nil
}

func mergeWorkflow(ses *session, id string, news *task.State) error {
	state := &task.State{}
	err := ses.query(sqlFindWorkflow, func(v []driver.Value) (err error) {
		if state, err = task.DecodeState(bytesOf(v[0])); err != nil {
			return damaged(workflowSubject(id), err)
		}
		return nil
	}, id)
	if err != nil || !state.Merge(news) {
		return err
	}
	w := view.Workflow(state)
	_, err = ses.exec(sqlPutWorkflow, id, w.CampaignID, w.Name, w.ParentID, w.Kind, w.FirstAt, w.LastAt, state.Encode())
	return err
}

func (s *Store) mergeRecords(ses *session, b *view.Batch) error {
	for digest, r := range b.Environments {
		m, _ := r.Value.(map[string]any)
		var l leaves
		l.addMap("environment", m)
		if _, err := ses.exec(sqlPutEnvironment, digest, r.Time, r.JSON, l.object(0)); err != nil {
			return fmt.Errorf("environment %s: %w", digest, err)
		}
	}
	for digest, r := range b.Entities {
		if _, err := ses.exec(sqlPutEntity, digest, r.Time, r.JSON); err != nil {
			return fmt.Errorf("entity %s: %w", digest, err)
		}
	}
	return nil
}
