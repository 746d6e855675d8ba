package mlflowreceiver

import (
	"context"
	"database/sql"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"sort"
	"strings"
)

// reader reads runs whole.
type reader struct {
	histories   histories
	experiments map[int64]experiment
	registry    registry
	choice      Choice
	withHistory bool
	count       func(table string, n int)
}

// readExperiments reads their names, which may change.
func (r *reader) readExperiments(ctx context.Context, d *database) error {
	found := make(map[int64]experiment, len(r.experiments))
	err := d.read(ctx, r.count, func(tx rows) error {
		query := "SELECT " + d.schema.columns("experiments", "e", "experiment_id", "name", "creation_time") + " FROM experiments AS e"
		return tx.each("experiments", query, nil, func(scan func(...any) error) error {
			var e experiment
			var created whole
			if err := scan(&e.id, &e.name, &created); err != nil {
				return err
			}
			e.created = created.n
			e.excluded = !r.choice.keeps(e.name)
			found[e.id] = e
			return nil
		})
	})
	if err == nil {
		r.experiments = found
	}
	return err
}

// readRuns reads runs with all that belongs to them, those of excluded experiments left out. Long metric histories are
// read before, in transactions of their own.
func (r *reader) readRuns(ctx context.Context, d *database, ids []string) ([]*run, error) {
	if r.withHistory {
		for len(ids) > 0 {
			behind, err := r.readHistories(ctx, d, ids)
			if err != nil {
				return nil, err
			}
			if !behind {
				break
			}
		}
	}
	var runs []*run
	err := d.read(ctx, r.count, func(tx rows) error {
		var err error
		if runs, err = r.rows(tx, d.schema, ids); err != nil || len(runs) == 0 {
			return err
		}
		return r.details(tx, d.schema, runs)
	})
	return runs, err
}

// readHistories reads one chunk of metric points and says whether more are left.
func (r *reader) readHistories(ctx context.Context, d *database, ids []string) (bool, error) {
	behind := false
	err := d.read(ctx, r.count, func(tx rows) error {
		left := metricChunk
		for _, id := range ids {
			n, err := d.advance(tx, r.histories.of(id), id, left)
			if err != nil {
				return err
			}
			if left -= n; left <= 0 {
				behind = true
				return nil
			}
		}
		return nil
	})
	return behind, err
}

var runColumns = []string{"run_uuid", "name", "user_id", "status", "lifecycle_stage", "artifact_uri", "source_name",
	"source_version", "start_time", "end_time", "deleted_time", "experiment_id"}

func scanRun(scan func(...any) error) (*run, error) {
	var text [7]sql.NullString
	var number [4]whole
	x := &run{}
	if err := scan(&x.id, &text[0], &text[1], &text[2], &text[3], &text[4], &text[5], &text[6], &number[0], &number[1], &number[2], &number[3]); err != nil {
		return nil, err
	}
	x.name, x.user, x.status, x.stage = text[0].String, text[1].String, text[2].String, text[3].String
	x.artifactURI, x.sourceName, x.sourceVersion = text[4].String, text[5].String, text[6].String
	x.start, x.end, x.deleted = number[0].n, number[1].n, number[2].n
	x.experiment.id = number[3].n
	return x, nil
}

// rows reads the rows of the table runs with their tags and ancestors: all that light covers.
func (r *reader) rows(tx rows, s schema, ids []string) ([]*run, error) {
	var runs []*run
	query := "SELECT " + s.columns("runs", "r", runColumns...) + " FROM runs AS r WHERE r.run_uuid IN (" + marks(len(ids)) + ")"
	err := tx.each("runs", query, anys(ids), func(scan func(...any) error) error {
		x, err := scanRun(scan)
		if err != nil {
			return err
		}
		runs = append(runs, x)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.complete(tx, runs)
}

// complete adds tags, experiment and ancestors, and computes light.
func (r *reader) complete(tx rows, runs []*run) ([]*run, error) {
	kept := runs[:0]
	for _, x := range runs {
		e, ok := r.experiments[x.experiment.id]
		if ok {
			x.experiment = e
		}
		if !x.experiment.excluded {
			kept = append(kept, x)
		}
	}
	byID := index(kept)
	if len(byID) == 0 {
		return nil, nil
	}
	err := tx.each("tags", `SELECT run_uuid, "key", value FROM tags WHERE run_uuid IN (`+marks(len(byID))+")",
		keys(byID), func(scan func(...any) error) error {
			var id, key string
			var value sql.NullString
			if err := scan(&id, &key, &value); err != nil {
				return err
			}
			byID[id].tags = append(byID[id].tags, pair{key, value.String})
			return nil
		})
	if err != nil {
		return nil, err
	}
	for _, x := range kept {
		sortPairs(x.tags)
	}
	if err := ancestors(tx, kept); err != nil {
		return nil, err
	}
	for _, x := range kept {
		x.light = x.lightDigest()
	}
	return kept, nil
}

func index(runs []*run) map[string]*run {
	m := make(map[string]*run, len(runs))
	for _, x := range runs {
		m[x.id] = x
	}
	return m
}

func keys(m map[string]*run) []any {
	out := make([]any, 0, len(m))
	for id := range m {
		out = append(out, id)
	}
	return out
}

func sortPairs(l []pair) { sort.Slice(l, func(i, j int) bool { return l[i].key < l[j].key }) }

// maxNesting ends the way to the root where parents form a circle.
const maxNesting = 32

// ancestors finds parent and root of nested runs, one query a level.
func ancestors(tx rows, runs []*run) error {
	type node struct{ name, parent string }
	known := map[string]node{}
	at := map[*run]string{}
	for _, x := range runs {
		if p := x.tag(tagParent); p != "" && p != x.id {
			x.parent.id = p
			at[x] = p
		}
	}
	for level := 0; len(at) > 0 && level < maxNesting; level++ {
		var ask []any
		for _, id := range at {
			if _, ok := known[id]; !ok {
				known[id] = node{}
				ask = append(ask, id)
			}
		}
		if len(ask) > 0 {
			err := tx.each("runs", `SELECT r.run_uuid, r.name, t.value FROM runs AS r LEFT JOIN tags AS t
				ON t.run_uuid = r.run_uuid AND t."key" = '`+tagParent+`' WHERE r.run_uuid IN (`+marks(len(ask))+")",
				ask, func(scan func(...any) error) error {
					var id string
					var name, parent sql.NullString
					if err := scan(&id, &name, &parent); err != nil {
						return err
					}
					known[id] = node{name.String, parent.String}
					return nil
				})
			if err != nil {
				return err
			}
		}
		for x, id := range at {
			n := known[id]
			if id == x.parent.id {
				x.parent.name = n.name
			}
			x.root = ancestor{id, n.name}
			if n.parent == "" || n.parent == id || n.parent == x.id {
				delete(at, x)
				continue
			}
			at[x] = n.parent
		}
	}
	return nil
}

// lightDigest covers what MLflow changes in place, without a new row that a tail would show.
func (x *run) lightDigest() uint64 {
	h := fnv.New64a()
	put := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	number := func(i int64) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(i))
		h.Write(n[:])
	}
	for _, s := range []string{x.name, x.user, x.status, x.stage, x.artifactURI, x.experiment.name, x.parent.id, x.parent.name, x.root.id, x.root.name} {
		put(s)
	}
	for _, i := range []int64{x.start, x.end, x.deleted, x.experiment.id, int64(len(x.tags))} {
		number(i)
	}
	for _, t := range x.tags {
		put(t.key)
		put(t.value)
	}
	return h.Sum64()
}

// details adds what only a whole read needs.
func (r *reader) details(tx rows, s schema, runs []*run) error {
	byID := index(runs)
	ids := keys(byID)
	in := "(" + marks(len(ids)) + ")"
	err := tx.each("params", `SELECT run_uuid, "key", value FROM params WHERE run_uuid IN `+in, ids, func(scan func(...any) error) error {
		var id, key string
		var value sql.NullString
		if err := scan(&id, &key, &value); err != nil {
			return err
		}
		byID[id].params = append(byID[id].params, pair{key, value.String})
		return nil
	})
	if err != nil {
		return err
	}
	err = tx.each("latest_metrics", `SELECT run_uuid, "key", value, is_nan FROM latest_metrics WHERE run_uuid IN `+in, ids,
		func(scan func(...any) error) error {
			var id string
			var m lastMetric
			var value sql.NullFloat64
			var isNaN bool
			if err := scan(&id, &m.key, &value, &isNaN); err != nil {
				return err
			}
			m.value = decodeMetric(value.Float64, isNaN || !value.Valid)
			byID[id].latest = append(byID[id].latest, m)
			return nil
		})
	if err != nil {
		return err
	}
	if err := readInputs(tx, s, byID, ids, in); err != nil {
		return err
	}
	if err := r.registry.readModels(tx, s, byID); err != nil {
		return err
	}
	left := metricChunk
	for _, x := range runs {
		sortPairs(x.params)
		sort.Slice(x.latest, func(i, j int) bool { return x.latest[i].key < x.latest[j].key })
		if r.withHistory {
			// What was logged since readHistories: the summary then agrees with latest_metrics of this transaction.
			h := r.histories.of(x.id)
			n, err := tx.db.advance(tx, h, x.id, max(left, 1))
			if err != nil {
				return err
			}
			left -= n
			x.history = maps.Clone(h.series)
		}
	}
	return nil
}

// readInputs reads the datasets that runs used.
func readInputs(tx rows, s schema, byID map[string]*run, ids []any, in string) error {
	if !s.has("inputs") || !s.has("datasets") {
		return nil
	}
	contextOf := "NULL"
	if s.has("input_tags") {
		contextOf = "(SELECT t.value FROM input_tags AS t WHERE t.input_uuid = i.input_uuid AND t.name = '" + tagContext + "')"
	}
	return tx.each("inputs", `SELECT i.destination_id, d.name, d.digest, d.dataset_source_type, d.dataset_source, `+contextOf+`
		FROM inputs AS i JOIN datasets AS d ON d.dataset_uuid = i.source_id
		WHERE i.destination_type = 'RUN' AND i.source_type = 'DATASET' AND i.destination_id IN `+in+` ORDER BY d.name, d.digest, i.input_uuid`, ids,
		func(scan func(...any) error) error {
			var id string
			var text [5]sql.NullString
			if err := scan(&id, &text[0], &text[1], &text[2], &text[3], &text[4]); err != nil {
				return err
			}
			x := byID[id]
			x.inputs = append(x.inputs, input{text[0].String, text[1].String, text[2].String, strings.TrimSpace(text[3].String), text[4].String})
			return nil
		})
}
