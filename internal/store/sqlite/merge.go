package sqlite

import (
	"database/sql/driver"
	"fmt"
	"slices"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

const (
	sqlFind       = `SELECT t.n, s.state FROM tasks t JOIN states s ON s.n = t.n WHERE t.id = ?`
	sqlNumber     = `SELECT n FROM tasks WHERE id = ?`
	sqlInsertTask = `INSERT INTO tasks (task_id, kind, status, campaign_id, workflow_id, workflow_name, activity_id,
 attempt, submitted_at, started_at, ended_at, host, user, site, environment, scope, execution, workflow_parent_id, parent,
 id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING`
	sqlCampaign   = `SELECT campaign_id FROM tasks WHERE n = ?`
	sqlUpdateTask = `UPDATE tasks SET task_id=?, kind=?, status=?, campaign_id=?, workflow_id=?, workflow_name=?,
 activity_id=?, attempt=?, submitted_at=?, started_at=?, ended_at=?, host=?, user=?, site=?, environment=?, scope=?,
 execution=?, workflow_parent_id=?, parent=? WHERE n=?`
	sqlPutLeaves    = `INSERT INTO leaves (n, main, extra, ambiguous) VALUES (?,?,?,?)`
	sqlUpdateLeaves = `UPDATE leaves SET main=?, extra=?, ambiguous=? WHERE n=?`
	sqlPutState     = `INSERT INTO states (n, state) VALUES (?,?)`
	sqlUpdateState  = `UPDATE states SET state=? WHERE n=?`
	sqlEdgesOf      = `SELECT target, field, is_parent FROM edges WHERE n = ? ORDER BY target, is_parent DESC, field`
	sqlDeleteEdges  = `DELETE FROM edges WHERE n = ?`
	sqlPutEdge      = `INSERT INTO edges (n, target, is_parent, field) VALUES (?,?,?,?)`
	sqlClaimsOfN    = `SELECT role, entity, time, time_source, evidence, confidence, field, label FROM claims WHERE n = ?`
	sqlClaimsOfTask = `SELECT role, entity, time, time_source, evidence, confidence, field, label FROM claims WHERE task = ?`
	sqlAdoptClaims  = `UPDATE claims SET n = ?, task = NULL WHERE task = ?`
	sqlPutClaim     = `INSERT INTO claims (n, task, role, entity, time, time_source, evidence, confidence, field, label)
 VALUES (?,?,?,?,?,?,?,?,?,?)`
)

// merge brings a batch into the database, inside a transaction.
func (s *Store) merge(ses *session, b *view.Batch) error {
	for _, id := range b.Order {
		t, ok := b.Tasks[id]
		if !ok {
			continue // rejected in an earlier try
		}
		if err := s.mergeTask(ses, id, t); err != nil {
			return poison(taskSubject(id), err)
		}
	}
	if err := ses.flush(); err != nil {
		return err
	}
	for _, step := range []func(*session, *view.Batch) error{s.mergeWorkflows, s.mergeRecords, s.mergeObservers} {
		if err := step(ses, b); err != nil {
			return err
		}
	}
	return nil
}

// cachedState is a state as bytes: to decode one costs less than the garbage collector's walks through thousands of decoded
// ones.
type cachedState struct {
	n       int64 // row number
	encoded []byte
}

// stateOverhead stands for what an entry of the cache takes beyond the bytes of its state.
const stateOverhead = 300

// find returns the row number and the encoded state of a task that the cache does not have, 0 when it is new.
func (s *Store) find(ses *session, id string) (c cachedState, err error) {
	err = ses.query(sqlFind, func(v []driver.Value) error {
		c.n, _ = v[0].(int64)
		c.encoded = bytesOf(v[1])
		return nil
	}, id)
	return c, err
}

// number returns the row number of a task, 0 when it is not known: all that its claims need.
func (s *Store) number(ses *session, id string) (n int64, err error) {
	if c, ok := s.states.Get(id); ok {
		return c.n, nil
	}
	err = ses.query(sqlNumber, func(v []driver.Value) error {
		n = intOf(v[0])
		return nil
	}, id)
	return n, err
}

func (s *Store) mergeTask(ses *session, id string, t *view.Task) error {
	if t.State == nil {
		n, err := s.number(ses, id)
		if err != nil {
			return err
		}
		return s.mergeClaims(ses, id, n, t.Claims)
	}
	made, _ := t.Made.(*prepared)
	stored, cached := s.states.Get(id)
	if !cached {
		if made.madeFrom(nil) && len(made.encoded) <= s.opts.MaxTaskBytes {
			// Most tasks that are not in the cache are new: their insertion says so, and spares to look for them.
			if n, err := s.insertTask(ses, id, made); err != nil || n != 0 {
				return s.claimNew(ses, id, n, t.Claims, err)
			}
		}
		var err error
		if stored, err = s.find(ses, id); err != nil {
			return err
		}
	}
	if !made.madeFrom(stored.encoded) {
		var err error
		if made, err = s.remake(id, stored, t.State); err != nil {
			return err
		}
	}
	if made.same {
		s.same++
		return s.mergeClaims(ses, id, stored.n, t.Claims)
	}
	if len(made.encoded) > s.opts.MaxTaskBytes {
		s.states.Remove(id)
		return &poisonError{subject: taskSubject(id), err: fmt.Errorf("the task would have %d bytes; max_task_bytes is %d",
			len(made.encoded), s.opts.MaxTaskBytes)}
	}
	if stored.n == 0 {
		n, err := s.insertTask(ses, id, made)
		return s.claimNew(ses, id, n, t.Claims, err)
	}
	if err := s.updateTask(ses, id, stored.n, made); err != nil {
		return err
	}
	return s.mergeClaims(ses, id, stored.n, t.Claims)
}

// remake merges what arrived with what is stored.
func (s *Store) remake(id string, stored cachedState, arrived *task.State) (*prepared, error) {
	if stored.n == 0 {
		return makePrepared(arrived), nil
	}
	state, err := task.DecodeState(stored.encoded)
	if err != nil {
		return nil, damaged(taskSubject(id), err)
	}
	if !state.Merge(arrived) {
		return &prepared{same: true}, nil
	}
	return makePrepared(state), nil
}

// insertTask writes everything that is derived from a state, and the state, unless there is such a task already: then it
// returns 0.
func (s *Store) insertTask(ses *session, id string, made *prepared) (n int64, err error) {
	r := made.row
	res, err := ses.exec(sqlInsertTask, r.with(id)...)
	if err != nil {
		return 0, err
	}
	if rows, err := res.RowsAffected(); err != nil || rows == 0 {
		return 0, err
	}
	if n, err = res.LastInsertId(); err != nil {
		return 0, err
	}
	if err := ses.leaves.add(ses, n, r.main, r.extra, r.ambiguous); err != nil {
		return 0, err
	}
	if err := ses.states.add(ses, n, made.encoded); err != nil {
		return 0, err
	}
	return n, s.wrote(ses, id, n, made, r.edges)
}

// updateTask is insertTask of a task that is there.
func (s *Store) updateTask(ses *session, id string, n int64, made *prepared) error {
	r := made.row
	err := ses.query(sqlCampaign, func(v []driver.Value) error {
		s.campaigns[textOf(v[0])] = true // it may leave this one
		return nil
	}, n)
	if err != nil {
		return err
	}
	if _, err := ses.exec(sqlUpdateTask, r.with(n)...); err != nil {
		return err
	}
	if _, err := ses.exec(sqlUpdateLeaves, r.main, r.extra, r.ambiguous, n); err != nil {
		return err
	}
	if _, err := ses.exec(sqlUpdateState, made.encoded, n); err != nil {
		return err
	}
	wanted := r.edges
	if err := clearEdges(ses, id, n, &wanted); err != nil {
		return err
	}
	return s.wrote(ses, id, n, made, wanted)
}

// wrote adds the edges that a written task lacks, and remembers what was written.
func (s *Store) wrote(ses *session, id string, n int64, made *prepared, lacking []store.Edge) error {
	for _, e := range lacking {
		if err := ses.edges.add(ses, n, e.To, flag(e.Parent), e.Field); err != nil {
			return err
		}
	}
	s.changed = append(s.changed, n)
	s.campaigns[made.row.campaign] = true
	s.states.Put(id, cachedState{n, made.encoded}, len(made.encoded)+stateOverhead)
	return nil
}

// clearEdges removes the stored edges of a task when they differ from the wanted ones, else leaves nothing to write.
func clearEdges(ses *session, from string, n int64, want *[]store.Edge) error {
	var have []store.Edge
	err := ses.query(sqlEdgesOf, func(v []driver.Value) error {
		have = append(have, store.Edge{From: from, To: textOf(v[0]), Field: textOf(v[1]), Parent: intOf(v[2]) != 0})
		return nil
	}, n)
	if err != nil {
		return err
	}
	if slices.Equal(have, *want) {
		*want = nil
		return nil
	}
	_, err = ses.exec(sqlDeleteEdges, n)
	return err
}

// claimNew gives the claims to a task that insertTask has made, also those that came before it.
func (s *Store) claimNew(ses *session, id string, n int64, claims []task.Claim, err error) error {
	if err != nil {
		return err
	}
	if !s.loose[id] {
		return s.putClaims(ses, id, n, claims, nil)
	}
	if _, err := ses.exec(sqlAdoptClaims, n, id); err != nil {
		return err
	}
	return s.mergeClaims(ses, id, n, claims)
}

// mergeClaims adds the claims that the task does not have yet: claims only grow. A task that is not known yet (n = 0)
// keeps them by its id.
func (s *Store) mergeClaims(ses *session, id string, n int64, claims []task.Claim) error {
	if len(claims) == 0 {
		return nil
	}
	var have []task.Claim
	collect := func(v []driver.Value) error {
		have = append(have, claimOf(v))
		return nil
	}
	var err error
	if n != 0 {
		err = ses.query(sqlClaimsOfN, collect, n)
	} else {
		err = ses.query(sqlClaimsOfTask, collect, id)
	}
	if err != nil {
		return err
	}
	return s.putClaims(ses, id, n, claims, have)
}

// fewClaims is up to how many claims a list is looked through: of more, a map finds one sooner.
const fewClaims = 16

// putClaims adds the claims that are not among those that the task has.
func (s *Store) putClaims(ses *session, id string, n int64, claims, have []task.Claim) error {
	var rowID, taskID any
	if n != 0 {
		rowID = n
	} else {
		taskID = id
	}
	known := func(c task.Claim) bool { return slices.Contains(have, c) }
	var set map[task.Claim]bool
	if len(claims)+len(have) > fewClaims {
		set = make(map[task.Claim]bool, len(claims)+len(have))
		for _, c := range have {
			set[c] = true
		}
		known = func(c task.Claim) bool { return set[c] }
	}
	for _, c := range claims {
		c = view.Claim(c)
		if known(c) {
			continue
		}
		if set != nil {
			set[c] = true
		} else {
			have = append(have, c)
		}
		if err := ses.claims.add(ses, rowID, taskID, string(c.Role), c.Entity, c.Time, c.TimeSource, c.Evidence,
			c.Confidence, c.Field, c.Label); err != nil {
			return err
		}
		if taskID != nil {
			s.loose[id] = true
		}
	}
	return nil
}

// claimOf reads the columns of sqlClaimsOfN.
func claimOf(v []driver.Value) task.Claim {
	c := task.Claim{
		Role: task.Role(textOf(v[0])), Entity: textOf(v[1]), Time: intOf(v[2]), TimeSource: textOf(v[3]),
		Evidence: textOf(v[4]), Field: textOf(v[6]), Label: textOf(v[7]),
	}
	c.Confidence, _ = v[5].(float64)
	return c
}

// text and integer store absent values as NULL.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func integer(i int64) any {
	if i == 0 {
		return nil
	}
	return i
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func textOf(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	default:
		return ""
	}
}

func bytesOf(v driver.Value) []byte {
	switch v := v.(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	default:
		return nil
	}
}

func intOf(v driver.Value) int64 {
	i, _ := v.(int64)
	return i
}
