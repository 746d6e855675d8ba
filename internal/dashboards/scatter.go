package main

// scatter is the Vega specification of one field of numbers against another. Both can be chosen while looking: the request
// brings all numbers of a task, and the boxes say which are drawn. Long texts stay where they are, since it asks for
// indexed fields rather than for the documents.
func scatter(x, y string) string {
	box := func(name, value string) object {
		return object{"name": name, "value": value, "bind": object{"input": "text", "name": name + " ", "debounce": 700}}
	}
	one := func(name string) object { // of a list no value stands for the task
		return object{
			"type": "formula", "as": name,
			"expr": "datum.fields && datum.fields[" + name + "_field] && datum.fields[" + name + "_field].length == 1" +
				" ? datum.fields[" + name + "_field][0] : null",
		}
	}
	scale := func(name, extent string) object {
		return object{
			"name": name, "type": "linear", "range": extent, "zero": false, "nice": true,
			"domain": object{"data": "tasks", "field": name},
		}
	}
	axis := func(name, orient string) object {
		return object{"scale": name, "orient": orient, "grid": true, "title": object{"signal": name + "_field"}}
	}
	spec := object{
		"$schema": "https://vega.github.io/schema/vega/v5.json",
		"config":  object{"kibana": object{"controlsLocation": "top", "controlsDirection": "horizontal"}},
		"padding": 5,
		"signals": []object{box("x_field", x), box("y_field", y)},
		"data": []object{{
			"name": "tasks",
			"url": object{
				"%context%": true, "%timefield%": timeField, "index": pattern,
				"body": object{
					"size": 5000, "sort": []object{{timeField: "desc"}}, "_source": []string{"task_id", "activity_id"},
					"fields": []string{"used.*", "generated.*", "telemetry_end.*", "telemetry_peak.*", "elapsed"},
				},
			},
			"format": object{"property": "hits.hits"},
			"transform": []object{
				one("x"), one("y"),
				{"type": "filter", "expr": "isNumber(datum.x) && isNumber(datum.y)"},
				{"type": "formula", "as": "activity", "expr": "datum._source.activity_id || 'none'"},
				{"type": "formula", "as": "task", "expr": "datum._source.task_id"},
			},
		}},
		"scales": []object{
			scale("x", "width"), scale("y", "height"),
			{"name": "color", "type": "ordinal", "range": "category", "domain": object{"data": "tasks", "field": "activity"}},
		},
		"axes":    []object{axis("x", "bottom"), axis("y", "left")},
		"legends": []object{{"fill": "color", "title": "activity"}},
		"marks": []object{{
			"type": "symbol", "from": object{"data": "tasks"},
			"encode": object{"update": object{
				"x": object{"scale": "x", "field": "x"}, "y": object{"scale": "y", "field": "y"},
				"fill": object{"scale": "color", "field": "activity"}, "size": object{"value": 40}, "opacity": object{"value": 0.7},
				"tooltip": object{"signal": "{task: datum.task, activity: datum.activity, x: datum.x, y: datum.y}"},
			}},
		}},
	}
	return encode(spec, "  ") // for people, who read and change it in the product's editor
}
