package mlflowreceiver

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// registry knows which logged models and model versions belong to which run: neither table has an index by run, and
// both change in place. Each is swept like the runs are; a table smaller than the sweep is compared whole every time.
type registry struct {
	models   shelf // logged_models, by source_run_id
	versions shelf // model_versions, by run_id
}

// shelf is one of the two tables, by primary key.
type shelf struct {
	items map[modelKey]item
	byRun map[string]map[modelKey]struct{}
	at    modelKey // the sweep has read up to this one
	pass  int
	ended bool // a sweep came to its end since restart
}

// modelKey is the primary key of a row: the id of a logged model, or name and version of a registered one.
type modelKey struct {
	name    string
	version int64
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
	return shelf{items: map[modelKey]item{}, byRun: map[string]map[modelKey]struct{}{}}
}

// restart begins both sweeps anew.
func (g *registry) restart() {
	for _, s := range []*shelf{&g.models, &g.versions} {
		s.at, s.ended = modelKey{}, false
		s.pass++
	}
}

// sweep reads the next part of both tables and returns the runs whose models changed. done says that both sweeps came to
// their end since restart; a short table is compared each time.
func (g *registry) sweep(ctx context.Context, d *database, size int, count func(string, int)) (touched []string, done bool, err error) {
	note := func(run string) { touched = append(touched, run) }
	if d.schema.has("logged_models") {
		err = d.read(ctx, count, func(tx rows) error {
			query := "SELECT " + d.schema.columns("logged_models", "m", "model_id", "source_run_id", "name", "artifact_location",
				"model_type", "status", "lifecycle_stage", "last_updated_timestamp_ms") + " FROM logged_models AS m WHERE m.model_id > ? ORDER BY m.model_id LIMIT ?"
			return g.models.sweep(tx, "logged_models", query, []any{g.models.at.name}, size, nil, note)
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
			query := "SELECT " + d.schema.columns("model_versions", "m", "name", "run_id", "version", "source",
				"current_stage", "status", "creation_time", "last_updated_time") + " FROM model_versions AS m WHERE (m.name, m.version) > (?, ?) ORDER BY m.name, m.version LIMIT ?"
			return g.versions.sweep(tx, "model_versions", query, []any{g.versions.at.name, g.versions.at.version}, size, aliases, note)
		})
	}
	done = (g.models.ended || !d.schema.has("logged_models")) && (g.versions.ended || !d.schema.has("model_versions"))
	return touched, done, err
}

// sweep reads rows behind the last ones: name or id, run, and more, of versions the number first. aliases is what else
// belongs to a version.
func (s *shelf) sweep(tx rows, table, query string, behind []any, size int, aliases map[modelKey][]string, touched func(string)) error {
	n := 0
	versioned := len(behind) > 1
	err := tx.each(table, query, append(behind, size), func(scan func(...any) error) error {
		var row modelKey
		var text [8]sql.NullString
		if err := scan(&text[0], &text[1], &text[2], &text[3], &text[4], &text[5], &text[6], &text[7]); err != nil {
			return err
		}
		row.name = text[0].String
		if versioned {
			var err error
			if row.version, err = strconv.ParseInt(text[2].String, 10, 64); err != nil {
				return err
			}
		}
		n++
		s.at = row
		it := item{run: text[1].String, pass: s.pass, digest: digestOf(text[:], aliases[row])}
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
				s.byRun[it.run] = map[modelKey]struct{}{}
			}
			s.byRun[it.run][row] = struct{}{}
			touched(it.run)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n < size {
		s.ended = true
		for row, it := range s.items {
			if it.pass != s.pass {
				delete(s.items, row)
				s.forget(row, it.run, touched)
			}
		}
		s.at = modelKey{}
		s.pass++
	}
	return nil
}

func (s *shelf) forget(row modelKey, run string, touched func(string)) {
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

// readAliases maps versions to their aliases.
func readAliases(tx rows, s schema) (map[modelKey][]string, error) {
	if !s.has("registered_model_aliases") {
		return nil, nil
	}
	out := map[modelKey][]string{}
	err := tx.each("registered_model_aliases", "SELECT name, version, alias FROM registered_model_aliases ORDER BY alias", nil, func(scan func(...any) error) error {
		var key modelKey
		var alias string
		if err := scan(&key.name, &key.version, &alias); err != nil {
			return err
		}
		out[key] = append(out[key], alias)
		return nil
	})
	return out, err
}

// modelsAtOnce is how many rows one query names: SQLite takes 32,766, and a few runs that log a model at each step have more.
const modelsAtOnce = 1000

// eachOf calls fn for every row of a query over ids; %s is their place in it.
func eachOf(tx rows, table, query string, ids []string, fn func(scan func(...any) error) error) error {
	for part := range slices.Chunk(ids, modelsAtOnce) {
		if err := tx.each(table, fmt.Sprintf(query, marks(len(part))), anys(part), fn); err != nil {
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
	var want []modelKey
	for id := range byID {
		want = slices.AppendSeq(want, maps.Keys(g.versions.byRun[id]))
	}
	if len(want) == 0 {
		return nil
	}
	aliases, err := readAliases(tx, s)
	if err != nil {
		return err
	}
	slices.SortFunc(want, func(a, b modelKey) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.version, b.version))
	})
	for part := range slices.Chunk(want, modelsAtOnce) {
		if err := readVersions(tx, s, part, aliases, byID); err != nil {
			return err
		}
	}
	return nil
}

// readVersions asks for all names with all numbers, which the index answers, and leaves out what else exists of these.
func readVersions(tx rows, s schema, want []modelKey, aliases map[modelKey][]string, byID map[string]*run) error {
	found := make(map[modelKey]*modelVersion, len(want))
	owner := make(map[modelKey]*run, len(want))
	names, numbers := map[string]struct{}{}, map[int64]struct{}{}
	for _, k := range want {
		found[k] = nil
		names[k.name], numbers[k.version] = struct{}{}, struct{}{}
	}
	args := make([]any, 0, len(names)+len(numbers))
	for name := range names {
		args = append(args, name)
	}
	for number := range numbers {
		args = append(args, number)
	}
	query := "SELECT " + s.columns("model_versions", "m", "run_id", "name", "version", "current_stage", "status", "source") +
		" FROM model_versions AS m WHERE m.name IN (" + marks(len(names)) + ") AND m.version IN (" + marks(len(numbers)) + ")"
	err := tx.each("model_versions", query, args, func(scan func(...any) error) error {
		var id, name, stage, status, source sql.NullString
		v := &modelVersion{}
		if err := scan(&id, &name, &v.version, &stage, &status, &source); err != nil {
			return err
		}
		k := modelKey{name.String, v.version}
		if _, ok := found[k]; ok {
			v.name, v.stage, v.status, v.source, v.aliases = name.String, stage.String, status.String, source.String, aliases[k]
			found[k], owner[k] = v, byID[id.String]
		}
		return nil
	})
	for _, k := range want {
		if x := owner[k]; x != nil {
			x.versions = append(x.versions, *found[k])
		}
	}
	return err
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
		for model := range g.models.byRun[id] {
			note(made, model.name, x)
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
