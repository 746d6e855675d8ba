package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"strings"
	"sync"
)

// CSP is the policy of the page: nothing runs, nothing is loaded, images are those in the page.
const CSP = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

//go:embed report.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"csp": func() string { return CSP }, "value": func(v Value) string { return shown(v.V) }, "known": func(v Value) bool { return v.V != nil },
	"fact": func(f Fact) string { return withUnit(f.Value.V, f.Unit) }, "when": when, "duration": duration,
	"state": (*File).state, "header": (*File).header, "title": (*Report).title, "overlap": (*Evaluation).overlapText,
	"base":      func(s string) string { return s[strings.LastIndexByte(s, '/')+1:] },
	"short":     func(s string) string { return cutText(s, 120) },
	"links":     func(list []Link) []Link { return list[:min(maxListed, len(list))] },
	"costHeads": func() []string { return costColumns }, "costColumns": Sum.columns,
	"recorded": recorded, "unrecorded": unrecorded,
	"linkEnds": func(l Link) []string {
		return []string{l.fromName, l.toName}
	},
	// The only values that are not escaped: base64 of an image whose kind was found by its content, and a drawing made here.
	"dataURI": func(p *Plot) template.URL {
		return template.URL("data:" + p.MediaType + ";base64," + base64.StdEncoding.EncodeToString(p.Data)) //nolint:gosec // see above
	},
	"drawing": func(svg string) template.HTML { return template.HTML(svg) }, //nolint:gosec // see above
	"dict":    func(title string, facts []Fact) map[string]any { return map[string]any{"Title": title, "Facts": facts} },
	"fileTable": func(title string, files []*File) map[string]any {
		common := commonHeader(files)
		return map[string]any{
			"Title": title, "Files": files[:min(len(files), maxListed)], "More": max(len(files)-maxListed, 0), "Common": common, "Each": common == "",
		}
	},
	"stepTable": func(title, none string, steps []*Step) map[string]any {
		shown, common := differing(steps)
		return map[string]any{
			"Title": title, "None": none, "Common": common, "Steps": shown[:min(len(shown), maxListed)], "More": max(len(shown)-maxListed, 0),
		}
	},
}).Parse(pageText))

// StyleHash names the page's style sheet as policies do: who shows the page within its own one allows this sheet, and no other.
var StyleHash = sync.OnceValue(func() string {
	page, err := (&Report{}).HTML()
	if err != nil {
		panic("the template of reports: " + err.Error()) // tests would say so
	}
	_, rest, _ := bytes.Cut(page, []byte("<style>"))
	sheet, _, _ := bytes.Cut(rest, []byte("</style>"))
	sum := sha256.Sum256(sheet)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
})

// maxListed bounds the lists of the page and of the text; the JSON form has more.
const maxListed = 60

// HTML is the report as one page that needs nothing else.
func (r *Report) HTML() ([]byte, error) {
	if err := r.findRepeats(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, r); err != nil {
		return nil, err
	}
	return bytes.ToValidUTF8(out.Bytes(), []byte("\uFFFD")), nil
}
