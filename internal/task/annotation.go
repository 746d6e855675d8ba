package task

// Annotation is one thing that a person said, as a task's document keeps it (docs/steering.md).
type Annotation struct {
	ID                     string
	At                     int64 // unix nanoseconds
	By, BySource, Via      string
	Note, Action, Why      string
	TagsAdded, TagsRemoved []string
	Excluded               *bool
	Entity, Label          string // of an annotation of an entity: its id, and how tasks name it
	OfCampaign, OfEntity   bool   // neither = of the task itself
}

// AnnotationsOf reads what people said out of a document, the oldest first. What is no annotation is left out.
func AnnotationsOf(doc map[string]any) (out []Annotation) {
	custom, _ := doc["custom"].(map[string]any)
	people, _ := custom["people"].(map[string]any)
	log, _ := people["log"].([]any)
	for _, e := range log {
		entry, _ := e.(map[string]any)
		text := func(key string) string { s, _ := entry[key].(string); return s }
		a := Annotation{
			ID: text("id"), By: text("by"), BySource: text("by_source"), Via: text("via"), Note: text("note"), Action: text("action"), Why: text("why"),
			TagsAdded: texts(entry["tags_added"]), TagsRemoved: texts(entry["tags_removed"]), Entity: text("entity"), Label: text("label"),
		}
		if a.ID == "" {
			continue
		}
		switch at := entry["at"].(type) {
		case float64:
			a.At = int64(at*1e6) * 1000
		case int64:
			a.At = at * 1e9
		}
		if v, said := entry["excluded"].(bool); said {
			a.Excluded = &v
		}
		a.OfEntity = a.Entity != ""
		a.OfCampaign = doc["kind"] == KindPeople && !a.OfEntity
		out = append(out, a)
	}
	return out
}
