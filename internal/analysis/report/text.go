package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// notRecorded is what people read where nothing is known.
const notRecorded = "not recorded"

// shown is a value as people read it.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return notRecorded
	case string:
		return cutText(v, 400)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return float(v)
	case []any:
		parts := make([]string, 0, len(v))
		for _, e := range v {
			parts = append(parts, shown(e))
		}
		return cutText(strings.Join(parts, ", "), 400)
	}
	return cutText(task.JSON(v), 400)
}

// float has as many digits as a table takes; the JSON form has them all.
func float(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	if a := math.Abs(v); a >= 1e-4 && a < 1e7 {
		text := strconv.FormatFloat(v, 'f', 6, 64)
		if short := strconv.FormatFloat(v, 'g', 6, 64); !strings.Contains(short, "e") {
			text = short
		}
		return text
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// withUnit is a value in its unit: bytes as KiB, MiB, ….
func withUnit(v any, unit string) string {
	n, ok := number(v)
	switch {
	case !ok || unit == "":
		return shown(v)
	case unit == "By":
		return bytesText(n)
	case unit == "1":
		return fmt.Sprintf("%.1f %%", 100*n)
	}
	return shown(v) + " " + unit
}

func bytesText(n float64) string {
	unit := 0
	for units := 4; n >= 1024 && unit < units; unit++ {
		n /= 1024
	}
	if unit == 0 {
		return fmt.Sprintf("%.0f B", n)
	}
	return fmt.Sprintf("%.1f %s", n, []string{"B", "KiB", "MiB", "GiB", "TiB"}[unit])
}

func when(t Time) string {
	if t.NS == 0 {
		return notRecorded
	}
	return time.Unix(0, t.NS).UTC().Format("2006-01-02 15:04:05 UTC")
}

func duration(v Value) string {
	s, ok := number(v.V)
	if !ok {
		return notRecorded
	}
	if s < 120 {
		return fmt.Sprintf("%.3g s", s)
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

// shortDigest are the digits that people compare.
func shortDigest(v Value) string {
	s, ok := v.V.(string)
	if !ok {
		return ""
	}
	return s[:min(len(s), 16)] + "…"
}

// overlapText says whether the training had seen what the result was measured on.
func (e *Evaluation) overlapText(r *Result) string {
	switch {
	case len(e.Files) == 0 || len(r.Raw.Files) == 0:
		return "Whether the training had seen these data is " + notRecorded + "."
	case len(e.Overlap) == 0:
		return fmt.Sprintf("None of these %d files is among the %d files that the training data were made of.", len(e.Files), len(r.Raw.Files))
	}
	return fmt.Sprintf("%d of these %d files were used for the training, too: %s.", len(e.Overlap), len(e.Files), cutText(strings.Join(e.Overlap, ", "), 1000))
}

// state says what is known of a file as it is now.
func (f *File) state() string {
	var parts []string
	if n, ok := number(f.Bytes.V); ok {
		parts = append(parts, bytesText(n))
	}
	if d := shortDigest(f.SHA256); d != "" {
		parts = append(parts, "sha256 "+d)
	}
	if f.Changed != "" {
		parts = append(parts, f.Changed)
	}
	if f.Unread != "" {
		parts = append(parts, f.Unread)
	}
	return strings.Join(parts, "; ")
}

// header says what a file's header says, in a line.
func (f *File) header() string {
	if f.Header == nil {
		return f.NotDescribed
	}
	parts := []string{f.Header.Format}
	for _, a := range f.Header.Arrays {
		if len(parts) > 8 {
			parts = append(parts, fmt.Sprintf("and %d more", len(f.Header.Arrays)+f.Header.Omitted-8))
			break
		}
		parts = append(parts, strings.TrimSpace(a.Name+" "+a.DType+" "+a.Shape))
	}
	return strings.Join(parts, "; ")
}

func (r *Report) title() string {
	of := ""
	if r.Question.CampaignID != "" {
		of = " of campaign " + cutText(r.Question.CampaignID, 200)
	}
	order := "lowest"
	if r.Question.Order == "descending" {
		order = "highest"
	}
	switch len(r.Results) {
	case 0:
		return fmt.Sprintf("No result%s has %s", of, r.Question.Metric)
	case 1:
		return fmt.Sprintf("The result%s with the %s %s", of, order, r.Question.Metric)
	}
	return fmt.Sprintf("The %d results%s with the %s %s", len(r.Results), of, order, r.Question.Metric)
}

// differing are steps without the parameters that all of them share; those are said once.
func differing(steps []*Step) (out []*Step, common []Fact) {
	if len(steps) < 2 {
		return steps, nil
	}
	count := map[string]int{}
	key := func(f Fact) string { return f.Name + "=" + task.JSON(f.Value.V) }
	for _, s := range steps {
		for _, f := range s.Parameters {
			count[key(f)]++
		}
	}
	for _, s := range steps {
		short := *s
		short.Parameters = nil
		for _, f := range s.Parameters {
			if count[key(f)] < len(steps) {
				short.Parameters = append(short.Parameters, f)
			} else if s == steps[0] {
				common = append(common, f)
			}
		}
		out = append(out, &short)
	}
	return out, common
}
