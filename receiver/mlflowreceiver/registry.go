package mlflowreceiver

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"slices"
	"sort"
)

// registry knows which logged models and model versions belong to which run: neither table has an index by run, and
// both change in place. Each is swept like the runs are; a table smaller than the sweep is compared whole every time.
type registry struct {
	models   shelf // logged_models, by source_run_id
	versions shelf // model_versions, by run_id
}

// shelf is one of the two tables, by row number.
type shelf struct {
	items map[int64]item
	byRun map[string]map[int64]string // run → row → key
	at    int64                       // the sweep has read up to this row
	pass  int
}

type item struct {
	run    string
	digest uint64
	pass   int
}

func newRegistry() registry {
	return registry{models: newShelf(), versions: newShelf()}
}

func newShelf() shelf {
	return shelf{items: map[int64]item{}, byRun: map[string]map[int64]string{}}
}

// sweep reads the next part of both tables and returns the runs whose models changed. done says that both sweeps are at
// their end.
func (g *registry) sweep(ctx context.Context, d *database, size int, count func(string, int)) (touched []string, done bool, err error) {
	done = true
	note := func(run string) { touched = append(touched, run) }
	if d.schema.has("logged_models") {
		err = d.read(ctx, count, func(tx rows) error {
			query := "SELECT " + d.schema.columns("logged_models", "m", "rowid", "source_run_id", "model_id", "name", "artifact_location",
				"model_type", "status", "lifecycle_stage", "last_updated_timestamp_ms") + " FROM logged_models AS m WHERE m.rowid > ? ORDER BY m.rowid LIMIT ?"
			ended, err := g.models.sweep(tx, "logged_models", query, size, nil, note)
			done = done && ended
			return err
		})
		if err != nil {
			return nil, false, err
		}
	}
	if d.schema.has("model_versions") {
		err = d.read(ctx, count, func(tx rows) error {
			aliases, err := readAliases(tx, d.schema)
			if err != nil {
				return err
			}
			query := "SELECT " + d.schema.columns("model_versions", "m", "rowid", "run_id", "version", "name", "source",
				"current_stage", "status", "creation_time", "last_updated_time") + " FROM model_versions AS m WHERE m.rowid > ? ORDER BY m.rowid LIMIT ?"
			ended, err := g.versions.sweep(tx, "model_versions", query, size, aliases, note)
			done = done && ended
			return err
		})
	}
	return touched, done, err
}

// sweep reads columns row, run, key, name and more; extra is what else belongs to "name/key".
func (s *shelf) sweep(tx rows, table, query string, size int, extra map[string][]string, touched func(string)) (bool, error) {
	n := 0
	err := tx.each(table, query, []any{s.at, size}, func(scan func(...any) error) error {
		var row int64
		var text [8]sql.NullString
		if err := scan(&row, &text[0], &text[1], &text[2], &text[3], &text[4], &text[5], &text[6], &text[7]); err != nil {
			return err
		}
		n++
		s.at = row
		it := item{run: text[0].String, pass: s.pass, digest: digestOf(text[:], extra[text[2].String+"/"+text[1].String])}
		old, known := s.items[row]
		s.items[row] = it
		if known && old.digest == it.digest {
			return nil
		}
		if known && old.run != it.run {
			s.forget(row, old.run, touched)
		}
		if it.run != "" {
			if s.byRun[it.run] == nil {
				s.byRun[it.run] = map[int64]string{}
			}
			s.byRun[it.run][row] = text[1].String
			touched(it.run)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if n < size {
		for row, it := range s.items {
			if it.pass != s.pass {
				delete(s.items, row)
				s.forget(row, it.run, touched)
			}
		}
		s.at = 0
		s.pass++
	}
	return n < size, nil
}

func (s *shelf) forget(row int64, run string, touched func(string)) {
	if run == "" {
		return
	}
	delete(s.byRun[run], row)
	if len(s.byRun[run]) == 0 {
		delete(s.byRun, run)
	}
	touched(run)
}

func digestOf(text []sql.NullString, more []string) uint64 {
	h := fnv.New64a()
	for _, t := range text {
		fmt.Fprintf(h, "%v %q,", t.Valid, t.String)
	}
	for _, m := range more {
		fmt.Fprintf(h, "%q,", m)
	}
	return h.Sum64()
}

// readAliases maps "name/version" to its aliases.
func readAliases(tx rows, s schema) (map[string][]string, error) {
	if !s.has("registered_model_aliases") {
		return nil, nil
	}
	out := map[string][]string{}
	err := tx.each("registered_model_aliases", "SELECT name, version, alias FROM registered_model_aliases ORDER BY alias", nil, func(scan func(...any) error) error {
		var name, version, alias string
		if err := scan(&name, &version, &alias); err != nil {
			return err
		}
		key := name + "/" + version
		out[key] = append(out[key], alias)
		return nil
	})
	return out, err
}

// modelsAtOnce is how many rows one query names: SQLite takes 32,766, and a few runs that log a model at each step have more.
const modelsAtOnce = 1000

// eachOf calls fn for every row of a query over ids; %s is their place in it.
func eachOf[T any](tx rows, table, query string, ids []T, fn func(scan func(...any) error) error) error {
	for part := range slices.Chunk(ids, modelsAtOnce) {
		args := make([]any, len(part))
		for i, id := range part {
			args[i] = id
		}
		if err := tx.each(table, fmt.Sprintf(query, marks(len(part))), args, fn); err != nil {
			return err
		}
	}
	return nil
}

// readModels adds the models that runs made, used and registered.
func (g *registry) readModels(tx rows, s schema, byID map[string]*run) error {
	if s.has("logged_models") {
		if err := g.readLogged(tx, s, byID); err != nil {
			return err
		}
	}
	if !s.has("model_versions") {
		return nil
	}
	var ids []int64
	for id := range byID {
		for row := range g.versions.byRun[id] {
			ids = append(ids, row)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	aliases, err := readAliases(tx, s)
	if err != nil {
		return err
	}
	slices.Sort(ids)
	query := "SELECT " + s.columns("model_versions", "m", "run_id", "name", "version", "current_stage", "status", "source") +
		" FROM model_versions AS m WHERE m.rowid IN (%s) ORDER BY m.rowid"
	return eachOf(tx, "model_versions", query, ids, func(scan func(...any) error) error {
		var id, name, stage, status, source sql.NullString
		v := modelVersion{}
		if err := scan(&id, &name, &v.version, &stage, &status, &source); err != nil {
			return err
		}
		if x := byID[id.String]; x != nil {
			v.name, v.stage, v.status, v.source = name.String, stage.String, status.String, source.String
			v.aliases = aliases[fmt.Sprintf("%s/%d", v.name, v.version)]
			x.versions = append(x.versions, v)
		}
		return nil
	})
}

func (g *registry) readLogged(tx rows, s schema, byID map[string]*run) error {
	// A model belongs to the run that made it and to every run that names it as its input.
	made, used := map[string][]*run{}, map[string][]*run{}
	var ask []string
	note := func(m map[string][]*run, model string, x *run) {
		for _, o := range m[model] {
			if o == x {
				return
			}
		}
		if made[model] == nil && used[model] == nil {
			ask = append(ask, model)
		}
		m[model] = append(m[model], x)
	}
	for id, x := range byID {
		for _, model := range g.models.byRun[id] {
			note(made, model, x)
		}
	}
	if s.has("inputs") {
		ids := keys(byID)
		err := tx.each("inputs", "SELECT source_type, source_id, destination_id FROM inputs WHERE source_type IN ('RUN_OUTPUT', 'RUN_INPUT') AND source_id IN ("+
			marks(len(ids))+")", ids, func(scan func(...any) error) error {
			var kind, id, model string
			if err := scan(&kind, &id, &model); err != nil {
				return err
			}
			if kind == "RUN_OUTPUT" {
				note(made, model, byID[id])
			} else {
				note(used, model, byID[id])
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(ask) == 0 {
		return nil
	}
	query := "SELECT " + s.columns("logged_models", "m", "model_id", "name", "model_type", "artifact_location", "status") +
		" FROM logged_models AS m WHERE m.model_id IN (%s)"
	err := eachOf(tx, "logged_models", query, ask, func(scan func(...any) error) error {
		var text [4]sql.NullString
		var status sql.NullInt64
		if err := scan(&text[0], &text[1], &text[2], &text[3], &status); err != nil {
			return err
		}
		m := loggedModel{id: text[0].String, name: text[1].String, kind: text[2].String, location: text[3].String, status: loggedModelStatus[status.Int64]}
		for _, x := range made[m.id] {
			x.models = append(x.models, m)
		}
		for _, x := range used[m.id] {
			x.uses = append(x.uses, m)
		}
		return nil
	})
	for _, x := range byID {
		sort.Slice(x.models, func(i, j int) bool { return x.models[i].id < x.models[j].id })
		sort.Slice(x.uses, func(i, j int) bool { return x.uses[i].id < x.uses[j].id })
	}
	return err
}
