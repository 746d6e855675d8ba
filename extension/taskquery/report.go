package taskquery

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/otelcol-mida/otelcol-mida/internal/analysis/artifact"
	"github.com/otelcol-mida/otelcol-mida/internal/analysis/report"
	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// ReportConfig says what reports may read and how they recognise things (docs/report.md).
type ReportConfig struct {
	// ReadFiles are directories below which files that lineage names may be read: plots to display, headers of data and
	// models, digests. An entry may have a pattern behind its directory: results/*.png. Without any, nothing is read.
	ReadFiles []string `mapstructure:"read_files"`

	// Conventions are names that are usual here, in addition to those that are usual anywhere.
	Conventions report.Conventions `mapstructure:"conventions"`
}

// Validate checks the configuration.
func (c ReportConfig) Validate() error {
	_, err := c.places()
	return err
}

func (c ReportConfig) places() ([]artifact.Place, error) {
	var out []artifact.Place
	for i, entry := range c.ReadFiles {
		p, err := artifact.ParsePlace(entry)
		if err != nil {
			return nil, fmt.Errorf("read_files[%d]: %q: %w", i, entry, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// reports is how many are made at a time; each may hold some ten megabytes of images.
const reports = 2

// report answers GET /api/v1/report?metric=…: the life of the best results.
func (s *server) report(ctx context.Context, r *http.Request) (any, error) {
	o, format, err := reportOptions(r)
	if err != nil {
		return nil, err
	}
	found, err := s.makeReport(ctx, o)
	if err != nil {
		return nil, err
	}
	return render(found, format)
}

func (s *server) makeReport(ctx context.Context, o report.Options) (*report.Report, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	select {
	case s.reports <- struct{}{}:
		defer func() { <-s.reports }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	places, err := s.config.Report.places()
	if err != nil {
		return nil, err
	}
	o.Names, o.Files = s.config.Report.Conventions, artifact.NewReader(places, s.config.StateDirectory)
	defer o.Files.Close()
	found, q, answer, err := report.Build(ctx, st, o)
	if err != nil {
		return nil, err
	}
	found.Warnings = append(found.Warnings, hints(ctx, st, q, answer)...)
	return found, nil
}

func render(found *report.Report, format string) (any, error) {
	switch format {
	case "html":
		page, err := found.HTML()
		// The policy of the page is said here, too, and the page is kept from the origin of the API.
		header := map[string]string{"Content-Security-Policy": report.CSP + "; frame-ancestors 'self'; sandbox"}
		return document{contentType: "text/html; charset=utf-8", header: header, body: page}, err
	case "page": // the page beside what it says, of one look: for who shows both
		page, err := found.HTML()
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(map[string]any{"report": found, "html": string(page)})
		return document{contentType: "application/json", body: append(body, '\n')}, err
	case "markdown":
		return document{contentType: "text/markdown; charset=utf-8", body: found.Markdown()}, nil
	}
	body, err := json.Marshal(found)
	return document{contentType: "application/json", body: append(body, '\n')}, err
}

func reportOptions(r *http.Request) (o report.Options, format string, err error) {
	given := r.URL.Query()
	form, err := timeForm(r)
	if err != nil {
		return o, "", err
	}
	o = report.Options{Campaign: given.Get("campaign_id"), Metric: given.Get("metric"), Order: "ascending", K: report.DefaultK, ShowTime: form.show}
	switch v := given.Get("order"); v { // as in the sort of a query
	case "":
	case "asc":
	case "desc":
		o.Order = "descending"
	default:
		o.Order = v
	}
	if v := given.Get("k"); v != "" {
		if o.K, err = strconv.Atoi(v); err != nil {
			return o, "", &query.Error{Field: "k", Problem: fmt.Sprintf("%q is no number of results; want one from 1 to %d", v, report.MaxK)}
		}
	}
	if v := given.Get("filter"); v != "" {
		if o.Filter, err = task.DecodeJSON([]byte(v)); err != nil {
			return o, "", &query.Error{Field: "filter", Problem: `it is not JSON; want a filter such as {"used.layers": 2}`}
		}
	}
	switch format = given.Get("format"); format {
	case "", "json", "html", "markdown", "page":
		return o, format, nil
	}
	formats := []string{"html", "markdown", "json", "page"}
	return o, "", &query.Error{
		Field: "format", Problem: fmt.Sprintf("unknown format %q", format), Valid: formats, Suggestion: query.Nearest(format, formats),
	}
}
