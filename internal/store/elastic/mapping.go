package elastic

// schemaVersion is the version of the layout that this code writes (_meta.schema_version of templates and indices).
// 2 added error.type, 3 vague. Indices of older versions are brought up to date; _meta.made_version stays what they began
// with, since the tasks that they had lack what came later.
const (
	schemaVersion  = 3
	versionOfVague = 3
)

// The indices, by the middle of their names: <prefix>-<kind>-v1.
const (
	tasks        = "tasks"
	claims       = "claims"
	workflows    = "workflows"
	environments = "environments"
	entities     = "entities"
	observers    = "observers"
)

var kinds = []string{tasks, claims, workflows, environments, entities, observers}

func (s *Store) index(kind string) string { return s.opts.IndexPrefix + "-" + kind + "-v1" }

type object = map[string]any

// maxKeyword is the longest text, in bytes, that is indexed whole; Lucene's own limit is 32766.
const maxKeyword = 8191

// maxLeafKeyword is the same for leaves, which are many.
const maxLeafKeyword = 1024

var (
	keyword = object{"type": "keyword", "ignore_above": maxKeyword}
	long    = object{"type": "long"}
	stored  = object{"type": "object", "enabled": false} // kept, never looked at
)

// leafMapping is the one mapping of all leaves: whatever kind of value comes, the document is taken. Numbers are numbers,
// text is text below .keyword, and a 1 that is followed by 0.5 stays what it is.
var leafMapping = object{
	"type": "double", "coerce": false, "ignore_malformed": true,
	"fields": object{"keyword": object{"type": "keyword", "ignore_above": maxLeafKeyword}},
}

// keywordFields and longFields are the promoted fields of a task by type; elapsed, a double, comes to them.
var (
	keywordFields = []string{
		"id", "task_id", "kind", "status", "campaign_id", "workflow_id", "workflow_name", "workflow_parent_id", "activity_id",
		"host", "user", "site", "scope", "execution", "parent", "environment", "dependencies", "tags",
	}
	longFields = []string{"attempt", "submitted_at", "started_at", "ended_at"}
)

func taskProperties() object {
	p := object{
		"@timestamp": object{"type": "date"}, "elapsed": object{"type": "double"},
		// The first and the last moment of a task that are known.
		"first_at": long, "last_at": long,
		"leaves":    keyword,                   // the names of all leaves
		"opaque":    keyword,                   // those whose value the index does not tell: spilled, of no type of an index, or ambiguous
		"vague":     keyword,                   // those whose text below .keyword may be that of another value: lists, texts like 1 or true, -0.0
		"targets":   keyword,                   // where the declared edges lead
		"ambiguous": keyword,                   // names that several arguments of the task have
		"spilled":   object{"type": "boolean"}, // no leaf is in the document, apart from the state
		"odd":       stored,                    // leaves that JSON cannot hold: name → canonical encoding
		"edges":     stored, "state": stored,
		// For queries that others write; ours read errors from the state.
		"error": object{"type": "object", "dynamic": false, "properties": object{"type": keyword}},
	}
	for _, f := range keywordFields {
		p[f] = keyword
	}
	for _, f := range longFields {
		p[f] = long
	}
	for _, root := range indexedRoots {
		p[root] = object{"type": "object", "dynamic": false}
	}
	return p
}

func properties(kind string) object {
	switch kind {
	case tasks:
		return taskProperties()
	case claims:
		return object{"id": keyword, "task": keyword, "entity": keyword, "role": keyword, "claim": stored}
	case workflows:
		return object{"id": keyword, "campaign_id": keyword, "state": stored}
	case environments, entities:
		return object{"id": keyword, "time": long, "digest": stored, "record": stored}
	default:
		return object{"id": keyword, "campaign": keyword, "record": stored}
	}
}

// template is the index template of a kind. Templates of a higher priority may add settings, such as shards.
func (s *Store) template(kind string) object {
	settings := object{}
	if kind == tasks {
		settings["index.mapping.total_fields.limit"] = 2*s.opts.FieldBudget + 200
	}
	return object{
		"index_patterns": []string{s.index(kind)}, "priority": 200, "version": schemaVersion,
		"_meta":    object{"schema_version": schemaVersion, "description": "otelcol-mida: " + kind},
		"template": object{"settings": settings, "mappings": mappings(kind, s.opts.FieldBudget, schemaVersion)},
	}
}

func mappings(kind string, fieldBudget, made int) object {
	meta := object{"schema_version": schemaVersion, "made_version": made}
	if kind == tasks {
		meta["field_budget"] = fieldBudget
	}
	return object{"dynamic": false, "_meta": meta, "properties": properties(kind)}
}
