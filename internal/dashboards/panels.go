package main

import "fmt"

// panels in their order, from left to right in rows.
var panels = []panel{
	{
		id: "mida-status", title: "Tasks by status", width: 48, height: 6, kind: "metric", colors: true,
		params: object{"type": "metric", "addTooltip": true, "addLegend": false, "metric": object{
			"percentageMode": false, "useRanges": false, "colorSchema": "Green to Red", "metricColorMode": "None",
			"colorsRange": []object{{"from": 0, "to": 10000}}, "labels": object{"show": true}, "invertColors": false,
			"style": object{"bgFill": "#000", "bgColor": false, "labelColor": false, "subText": "", "fontSize": 36},
		}},
		aggs: []object{count, terms(2, "group", "status", statuses)},
	},
	{
		id: "mida-over-time", title: "Tasks over time by status", width: 28, height: 14, kind: "histogram", colors: true,
		description: "By when they started; those that have not, by when they were submitted.",
		params:      chart("histogram", "bottom", "left"),
		aggs:        []object{count, overTime(2), terms(3, "group", "status", statuses)},
	},
	{
		id: "mida-status-by-activity", title: "Status by activity", width: 20, height: 14, kind: "horizontal_bar", colors: true,
		params: chart("histogram", "left", "bottom"),
		aggs:   []object{count, terms(2, "segment", "activity_id", 30), terms(3, "group", "status", statuses)},
	},
	{
		id: "mida-scatter", title: "Metric against hyperparameter", width: 28, height: 18, kind: "vega",
		description: "Of the latest 5,000 tasks. Type the names of two fields of numbers into the boxes, as the index has them: " +
			"used.cfg/layers is the field layers of the argument cfg.",
		params: object{"spec": scatter("used.layers", "generated.loss")},
	},
	{
		id: "mida-elapsed", title: "Seconds by activity and host", width: 20, height: 18, kind: "table", params: table,
		aggs: []object{
			count, metric(2, "avg", "elapsed", "mean"), metric(3, "max", "elapsed", "longest"), metric(4, "sum", "elapsed", "all"),
			terms(5, "bucket", "activity_id", 50), terms(6, "bucket", "host", 50),
		},
	},
	{
		id: "mida-failures", title: "Failures by error", query: `status : "FAILED"`, width: 20, height: 14, kind: "table", params: table,
		aggs: []object{
			count, metric(2, "max", timeField, "last started"),
			terms(3, "bucket", "error.type", 30), terms(4, "bucket", "activity_id", 30), terms(5, "bucket", "host", 30),
		},
	},
	{
		id: "mida-failed", title: "Failed tasks, latest first", query: `status : "FAILED"`, width: 28, height: 14,
		columns: []string{"task_id", "activity_id", "host", "error.type", "campaign_id", "workflow_id"},
	},
}

var statusColors = object{
	"UNKNOWN": "#98A2B3", "SUBMITTED": "#D6BF57", "RUNNING": "#6092C0", "FINISHED": "#54B399", "FAILED": "#E7664C", "CANCELLED": "#B9A888",
}

const statuses = 6

var count = object{"id": "1", "enabled": true, "type": "count", "schema": "metric", "params": object{"customLabel": "tasks"}}

func metric(id int, kind, field, label string) object {
	return object{
		"id": fmt.Sprint(id), "enabled": true, "type": kind, "schema": "metric", "params": object{"field": field, "customLabel": label},
	}
}

// terms makes a bucket for each of the most frequent values, and one for tasks that have none.
func terms(id int, schema, field string, size int) object {
	return object{"id": fmt.Sprint(id), "enabled": true, "type": "terms", "schema": schema, "params": object{
		"field": field, "orderBy": "1", "order": "desc", "size": size, "otherBucket": false, "otherBucketLabel": "others",
		"missingBucket": true, "missingBucketLabel": "none",
	}}
}

func overTime(id int) object {
	return object{"id": fmt.Sprint(id), "enabled": true, "type": "date_histogram", "schema": "segment", "params": object{
		"field": timeField, "interval": "auto", "drop_partials": false, "min_doc_count": 1, "scaleMetricValues": false, "extended_bounds": object{},
	}}
}

var table = object{
	"perPage": 10, "showPartialRows": false, "showMetricsAtAllLevels": false, "showTotal": false, "totalFunc": "sum", "percentageCol": "",
	"sort": object{"columnIndex": nil, "direction": nil},
}

// chart are the parameters of stacked bars.
func chart(kind, category, value string) object {
	labels := object{"show": true, "filter": true, "truncate": 100, "rotate": 0}
	return object{
		"type": kind, "grid": object{"categoryLines": false}, "addTooltip": true, "addLegend": true, "legendPosition": "right", "times": []any{},
		"addTimeMarker": false, "labels": object{"show": false},
		"categoryAxes": []object{{
			"id": "CategoryAxis-1", "type": "category", "position": category, "show": true, "style": object{}, "title": object{},
			"scale": object{"type": "linear"}, "labels": labels,
		}},
		"valueAxes": []object{{
			"id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": value, "show": true, "style": object{},
			"title": object{"text": "tasks"}, "scale": object{"type": "linear", "mode": "normal"}, "labels": labels,
		}},
		"seriesParams": []object{{
			"show": true, "type": "histogram", "mode": "stacked", "data": object{"id": "1", "label": "tasks"}, "valueAxis": "ValueAxis-1",
			"drawLinesBetweenPoints": true, "lineWidth": 2, "showCircles": true,
		}},
		"thresholdLine": object{"show": false, "value": 10, "width": 1, "style": "full", "color": "#E7664C"},
	}
}
