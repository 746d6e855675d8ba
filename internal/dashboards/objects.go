package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// savedObject is an object in the form that both products share, and the version of that form.
type savedObject struct {
	saved   object
	version string
}

const (
	pattern     = "mida-tasks-v*" // of the indices
	patternID   = "mida-tasks"
	timeField   = "@timestamp"
	indexRef    = "kibanaSavedObjectMeta.searchSourceJSON.index"
	gridColumns = 48
)

func newObject(kind, id, version string, attributes object, references ...object) savedObject {
	return savedObject{object{"type": kind, "id": id, "attributes": attributes, "references": append([]object{}, references...)}, version}
}

func reference(name, kind, id string) object { return object{"name": name, "type": kind, "id": id} }

// objects are the index pattern, the panels and the dashboard.
func objects() []savedObject {
	// Without a list of fields the products read them from the index when the pattern is first used.
	out := []savedObject{newObject("index-pattern", patternID, "7.6.0", object{
		"title": pattern, "timeFieldName": timeField, "fields": "[]",
	})}
	var grid []object
	var references []object
	x, y, height := 0, 0, 0
	for i, p := range panels {
		o := p.object()
		out = append(out, o)
		if x+p.width > gridColumns {
			x, y = 0, y+height
		}
		index, name := fmt.Sprint(i+1), fmt.Sprintf("panel_%d", i)
		grid = append(grid, object{
			"version": "7.10.0", "panelIndex": index, "panelRefName": name, "embeddableConfig": object{},
			"gridData": object{"x": x, "y": y, "w": p.width, "h": p.height, "i": index},
		})
		kind, _ := o.saved["type"].(string)
		references = append(references, reference(name, kind, p.id))
		x, height = x+p.width, p.height
	}
	return append(out, newObject("dashboard", "mida-overview", "7.9.3", object{
		"title": "Workflow tasks", "description": "What runs, what failed, how long it takes, and what it yields.",
		"panelsJSON": text(grid), "optionsJSON": text(object{"useMargins": true, "hidePanelTitles": false}), "version": 1,
		"timeRestore": true, "timeFrom": "now-7d", "timeTo": "now", "refreshInterval": object{"pause": false, "value": 10_000},
		"kibanaSavedObjectMeta": object{"searchSourceJSON": text(source(""))},
	}, references...))
}

// panel is one panel of the dashboard: a visualization, or a list of tasks if it has columns.
type panel struct {
	id, title, description string
	query                  string // in KQL; all tasks if empty
	kind                   string // of visualization
	params                 object
	aggs                   []object
	colors                 bool // those of the statuses
	columns                []string
	width, height          int
}

func (p panel) object() savedObject {
	if p.kind == "" {
		return newObject("search", p.id, "7.9.3", object{
			"title": p.title, "description": p.description, "columns": p.columns, "sort": [][]string{{timeField, "desc"}}, "version": 1,
			"kibanaSavedObjectMeta": object{"searchSourceJSON": text(indexed(source(p.query)))},
		}, reference(indexRef, "index-pattern", patternID))
	}
	state := object{"title": p.title, "type": p.kind, "params": p.params, "aggs": append([]object{}, p.aggs...)}
	ui := object{}
	if p.colors {
		ui["vis"] = object{"colors": statusColors}
	}
	search, references := source(p.query), []object{}
	if p.kind != "vega" { // which names its index itself
		search, references = indexed(search), append(references, reference(indexRef, "index-pattern", patternID))
	}
	return newObject("visualization", p.id, "7.10.0", object{
		"title": p.title, "description": p.description, "visState": text(state), "uiStateJSON": text(ui), "version": 1,
		"kibanaSavedObjectMeta": object{"searchSourceJSON": text(search)},
	}, references...)
}

func source(kql string) object {
	return object{"query": object{"query": kql, "language": "kuery"}, "filter": []object{}}
}

func indexed(source object) object {
	source["indexRefName"] = indexRef
	return source
}

// text is JSON within JSON, as the products keep it.
func text(v any) string { return encode(v, "") }

func encode(v any, indent string) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		panic(err) // maps, lists, numbers and text alone come here
	}
	return strings.TrimSpace(out.String())
}
