package taskquery

import (
	"bytes"
	"encoding/csv"
	"strconv"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/correlation"
)

// matrix is the answer as the API shows it.
func matrix(req *correlation.Request, res *correlation.Result) map[string]any {
	cells := make([]any, len(res.Cells))
	for i, c := range res.Cells {
		m := map[string]any{"x": c.X, "y": c.Y, "n": c.N}
		for k, v := range map[string]*float64{"value": c.Value, "p": c.P, "q": c.Q} {
			if v != nil {
				m[k] = *v
			}
		}
		for k, v := range map[string]string{"statistic": string(c.Statistic), "reason": c.Reason} {
			if v != "" {
				m[k] = v
			}
		}
		cells[i] = m
	}
	out := map[string]any{
		"method": string(req.Method), "correction": string(req.Correction), "min_n": int64(req.MinN),
		"tasks": res.Tasks, "read": res.Read, "sampled": res.Sampled, "tests": int64(res.Tests),
		"x": fieldsShown(res.X), "y": fieldsShown(res.Y), "cells": cells,
	}
	if len(res.Warnings) > 0 {
		out["warnings"] = res.Warnings
	}
	return out
}

func fieldsShown(fields []correlation.Field) []any {
	out := make([]any, len(fields))
	for i, f := range fields {
		m := map[string]any{"field": f.Name, "kind": string(f.Kind), "n": f.N, "constant": f.Constant}
		for k, n := range map[string]int64{
			"missing": f.Missing, "null": f.Null, "not_finite": f.NotFinite, "other": f.Other, "text": f.Texts,
			"numbers": f.Numbers, "booleans": f.Booleans, "categories": int64(f.Categories),
		} {
			if n > 0 {
				m[k] = n
			}
		}
		if f.Kind == correlation.Number || f.Kind == correlation.Boolean {
			m["min"], m["max"], m["mean"] = f.Low, f.High, f.Mean
			if f.N > 1 {
				m["stddev"] = f.Stddev
			}
		}
		out[i] = m
	}
	return out
}

// matrixCSV is one line a cell; what a cell does not have is empty.
func matrixCSV(res *correlation.Result) document {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"x", "y", "statistic", "value", "n", "p", "q", "reason"}) // into memory
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'g', -1, 64)
	}
	for _, c := range res.Cells {
		_ = w.Write([]string{
			c.X, c.Y, string(c.Statistic), number(c.Value), strconv.FormatInt(c.N, 10), number(c.P), number(c.Q), c.Reason,
		})
	}
	w.Flush()
	return document{contentType: "text/csv; charset=utf-8; header=present", body: b.Bytes()}
}
