package sqlite

import (
	"database/sql/driver"
	"fmt"
	"sort"

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
	sqlFindObserver   = `SELECT n, at, seq, last_seq, dropped, final, host FROM observers WHERE observer = ? AND campaign = ?`
	sqlPutObserver    = `INSERT INTO observers (observer, campaign, at, seq, last_seq, dropped, final, host) VALUES (?,?,0,0,0,'[]',0,'')`
	sqlUpdateObserver = `UPDATE observers SET at=?, seq=?, last_seq=?, dropped=?, final=?, host=? WHERE n=?`
)

func (s *Store) mergeWorkflows(ses *session, b *batch) error {
	for id, p := range b.workflows {
		state := &task.State{}
		var derr error
		err := ses.query(sqlFindWorkflow, func(v []driver.Value) error {
			state, derr = task.DecodeState(bytesOf(v[0]))
			return derr
		}, id)
		if err != nil {
			return fmt.Errorf("workflow %s: %w", id, err)
		}
		if !state.Merge(p.state) {
			continue
		}
		d := task.Project(state)
		first, last := workflowTimes(state)
		if _, err := ses.exec(sqlPutWorkflow, id, d.CampaignID, d.WorkflowName, d.WorkflowParentID, d.Kind, first, last,
			state.Encode()); err != nil {
			return fmt.Errorf("workflow %s: %w", id, err)
		}
	}
	return nil
}

// workflowTimes are the first and the last moment that the events of a workflow speak of.
func workflowTimes(s *task.State) (first, last int64) {
	for _, facets := range s.Attempts {
		for _, n := range facets {
			for _, t := range []int64{n.Event.SubmittedAt, n.Event.StartedAt, n.Event.EndedAt, n.Event.Time} {
				if t == 0 {
					continue
				}
				if first == 0 || t < first {
					first = t
				}
				last = max(last, t)
			}
		}
	}
	return first, last
}

func (s *Store) mergeRecords(ses *session, b *batch) error {
	for digest, r := range b.environments {
		m, _ := r.value.(map[string]any)
		leaves := map[string]any{}
		addLeaves(leaves, "environment", m)
		flat := appendObject(nil, sortedKeys(leaves), leaves)
		if _, err := ses.exec(sqlPutEnvironment, digest, r.time, r.json, flat); err != nil {
			return fmt.Errorf("environment %s: %w", digest, err)
		}
	}
	for digest, r := range b.entities {
		if _, err := ses.exec(sqlPutEntity, digest, r.time, r.json); err != nil {
			return fmt.Errorf("entity %s: %w", digest, err)
		}
	}
	return nil
}

// findObserver returns the row number of an observer in a campaign, made if missing, with its stored checkpoint.
func findObserver(ses *session, k observerKey) (n int64, c checkpoint, err error) {
	err = ses.query(sqlFindObserver, func(v []driver.Value) error {
		n = intOf(v[0])
		c = checkpoint{
			at: intOf(v[1]), seq: intOf(v[2]), lastSeq: intOf(v[3]), dropped: textOf(v[4]), final: intOf(v[5]) != 0,
			host: textOf(v[6]),
		}
		return nil
	}, k.observer, k.campaign)
	if err != nil || n != 0 {
		return n, c, err
	}
	res, err := ses.exec(sqlPutObserver, k.observer, k.campaign)
	if err != nil {
		return 0, c, err
	}
	n, err = res.LastInsertId()
	return n, c, err
}

func (s *Store) mergeCheckpoints(ses *session, b *batch) error {
	for k, c := range b.checkpoints {
		n, old, err := findObserver(ses, k)
		if err != nil {
			return fmt.Errorf("observer %s: %w", k.observer, err)
		}
		if !old.less(c) {
			continue
		}
		if _, err := ses.exec(sqlUpdateObserver, c.at, c.seq, c.lastSeq, c.dropped, flag(c.final), c.host, n); err != nil {
			return fmt.Errorf("observer %s: %w", k.observer, err)
		}
	}
	return nil
}

// mergeSeqs remembers which sequence numbers arrived, as ranges.
func (s *Store) mergeSeqs(ses *session, b *batch) error {
	for k, seqs := range b.seqs {
		r, err := s.rangesOf(ses, k)
		if err != nil {
			return fmt.Errorf("observer %s: %w", k.observer, err)
		}
		sort.Slice(seqs, func(i, j int) bool { return seqs[i] < seqs[j] })
		for i := 0; i < len(seqs); {
			first, last := seqs[i], seqs[i]
			for i++; i < len(seqs) && seqs[i] <= last+1; i++ {
				last = seqs[i]
			}
			if err := r.add(ses, first, last); err != nil {
				return fmt.Errorf("observer %s: %w", k.observer, err)
			}
		}
	}
	return nil
}
