package task

import (
	"slices"
	"strings"
)

// KeyAnnotation is the key of Custom that holds what a person said in one annotation: id, at, by, by_source, via, note,
// action, why, tags_added, tags_removed, excluded.
const KeyAnnotation = "annotation"

// KindPeople is the kind of a task that a person did: an annotation of a campaign as a whole.
const KindPeople = "people"

// AnnotationFacet is the facet of one annotation. Each has its own, so that two people who write at the same moment, or at
// two sites, both stay.
func AnnotationFacet(id string) string { return FacetPeople + "/" + id }

func ofPeople(facet string) bool {
	return facet == FacetPeople || strings.HasPrefix(facet, FacetPeople+"/")
}

// said lays what people said over the document, in the order of their stamps: annotations are a log, and add up.
func (d *Document) said(people []*Snapshot) {
	var log []any
	var excluded any
	for _, n := range people {
		entry, ok := n.Event.Custom[KeyAnnotation].(map[string]any)
		if n.Event.Facet == FacetPeople || !ok {
			d.add(n.Event)
			continue
		}
		e := *n.Event
		e.Custom, e.Tags = nil, nil
		d.add(&e)
		log = append(log, entry)
		removed := texts(entry["tags_removed"])
		tags := slices.DeleteFunc(slices.Clone(d.Tags), func(t string) bool { return slices.Contains(removed, t) })
		for _, t := range texts(entry["tags_added"]) {
			if !slices.Contains(tags, t) {
				tags = append(tags, t)
			}
		}
		d.Tags = tags
		if v, said := entry["excluded"].(bool); said {
			excluded = v
		}
	}
	if log == nil {
		return
	}
	said := map[string]any{"log": log}
	if excluded != nil {
		said["excluded"] = excluded
	}
	d.Custom = overlay(d.Custom, map[string]any{"people": said})
}

func texts(v any) (out []string) {
	list, _ := v.([]any)
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
