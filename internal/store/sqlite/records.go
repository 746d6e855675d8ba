package sqlite

import (
	"cmp"
	"database/sql/driver"
	"fmt"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
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
	sqlFindObserver = `SELECT n, at, seq, last_seq, dropped, final, host, record FROM observers
 WHERE observer = ? AND campaign = ?`
	sqlPutObserver    = `INSERT INTO observers (observer, campaign, at, seq, last_seq, dropped, final, host) VALUES (?,?,0,0,0,'[]',0,'')`
	sqlUpdateObserver = `UPDATE observers SET at=?, seq=?, last_seq=?, dropped=?, final=?, host=?, record=? WHERE n=?`
	sqlLeastFinished  = `UPDATE observers SET finished = max(finished, ?) WHERE n=?`
	sqlAddFinished    = `UPDATE observers SET finished = finished + ? WHERE n=?`
)

func (s *Store) mergeWorkflows(ses *session, b *batch) error {
	for id, p := range b.workflows {
		if err := mergeWorkflow(ses, id, p.state); err != nil {
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
	w := summarise(state)
	_, err = ses.exec(sqlPutWorkflow, id, w.CampaignID, w.Name, w.ParentID, w.Kind, w.FirstAt, w.LastAt, state.Encode())
	return err
}

// summarise says what the events of a workflow know together: the later one holds, and people over tools.
func summarise(s *task.State) store.Workflow {
	var events []*task.Event
	for _, facets := range s.Attempts {
		for _, n := range facets {
			events = append(events, n.Event)
		}
	}
	sort.Slice(events, func(i, j int) bool {
		a, b := events[i], events[j]
		if x, y := a.Facet == task.FacetPeople, b.Facet == task.FacetPeople; x != y {
			return y
		}
		if a.Time != b.Time {
			return a.Time < b.Time
		}
		if a.Seq != b.Seq {
			return a.Seq < b.Seq
		}
		if a.Attempt != b.Attempt {
			return a.Attempt < b.Attempt
		}
		return a.Facet < b.Facet
	})
	var w store.Workflow
	for _, e := range events {
		w.CampaignID = cmp.Or(e.Campaign, w.CampaignID)
		w.Name = cmp.Or(e.WorkflowName, w.Name)
		w.ParentID = cmp.Or(e.WorkflowParentID, w.ParentID)
		w.Kind = cmp.Or(e.Kind, w.Kind)
		if e.Facet == task.FacetPeople {
			continue // when people decided is no time of the workflow
		}
		for _, t := range []int64{e.SubmittedAt, e.StartedAt, e.EndedAt, e.Time} {
			w.FirstAt, w.LastAt = span(w.FirstAt, w.LastAt, t, t)
		}
	}
	return w
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
			host: textOf(v[6]), record: textOf(v[7]),
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
		if _, err := ses.exec(sqlUpdateObserver, c.at, c.seq, c.lastSeq, c.dropped, flag(c.final), c.host, c.record, n); err != nil {
			return fmt.Errorf("observer %s: %w", k.observer, err)
		}
	}
	return nil
}

// mergeSeqs remembers which sequence numbers arrived, as ranges, and how many of them told of an attempt that finished.
func (s *Store) mergeSeqs(ses *session, b *batch) error {
	for k, seqs := range b.seqs {
		if err := s.mergeSeqsOf(ses, k, seqs); err != nil {
			return fmt.Errorf("observer %s: %w", k.observer, err)
		}
	}
	return s.mergeRanges(ses, b)
}

func (s *Store) mergeSeqsOf(ses *session, k observerKey, seqs []seqNumber) error {
	r, err := s.rangesOf(ses, k)
	if err != nil {
		return err
	}
	sort.Slice(seqs, func(i, j int) bool { return seqs[i].seq < seqs[j].seq })
	finished, before := int64(0), int64(0)
	for _, n := range seqs {
		if n.finished && n.seq != before && !r.has(n.seq) {
			finished, before = finished+1, n.seq
		}
	}
	if finished > 0 {
		if _, err := ses.exec(sqlAddFinished, finished, r.observer); err != nil {
			return err
		}
	}
	for i := 0; i < len(seqs); {
		first, last := seqs[i].seq, seqs[i].seq
		for i++; i < len(seqs) && seqs[i].seq <= last+1; i++ {
			last = seqs[i].seq
		}
		if err := r.add(ses, first, last); err != nil {
			return err
		}
	}
	return nil
}

// mergeRanges adds the numbers that arrived at another store.
func (s *Store) mergeRanges(ses *session, b *batch) error {
	for k, ranges := range b.ranges {
		r, err := s.rangesOf(ses, observerKey{k.ID, k.Campaign})
		for i := 0; err == nil && i < len(ranges); i++ {
			err = r.add(ses, ranges[i][0], ranges[i][1])
		}
		if err == nil {
			_, err = ses.exec(sqlLeastFinished, b.counted[k], r.observer)
		}
		if err != nil {
			return fmt.Errorf("observer %s: %w", k.ID, err)
		}
	}
	return nil
}
