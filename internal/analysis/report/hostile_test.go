package report

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// nasty are texts that want to be more than text.
var nasty = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg onload=alert(1)>`, `</title></style></head><script>x</script>`,
	`javascript:alert(1)`, `[x](javascript:alert(1))`, `![x](https://example.org/x.png)`, "`code` | cell | **bold** \n# heading", `{{.}}`, `${7*7}`,
	"\u202egnp.exe\u2066", "a\x00b\x1b[31m", "<!--", "]]>", "&lt;script&gt;", `<https://example.org>`, "https://example.org/?a=b@c",
}

// hostile is a campaign whose every text is one of these.
func hostile(t *testing.T) *campaign {
	c := newCampaign(t)
	all := strings.Join(nasty, " ")
	many := map[string]any{}
	for i := range 5000 {
		many[fmt.Sprintf("key%04d", i)] = int64(i)
	}
	many["huge"], many["nan"], many["inf"] = strings.Repeat("x", 1<<20), math.NaN(), math.Inf(1)
	many["layers"], many[nasty[0]] = all, all
	c.batch = append(c.batch, &task.Event{
		Name: task.EventEnvironment, Time: 1, Kind: "test", Attempt: task.NoAttempt, Environment: "d",
		Record: map[string]any{
			"argv": []any{all}, "python": map[string]any{"version": all}, "packages": map[string]any{nasty[1]: all},
			"vcs": map[string]any{"commit": all, "branch": nasty[1]},
		},
	})
	spoil := func(e *task.Event) {
		e.Environment = "d"
		e.Attributes = map[string]any{"host.name": nasty[0], "user.name": nasty[1], task.AttrSite: nasty[2], "code.function.name": all}
		e.TelemetryPeak = map[string]any{nasty[0]: all, "process.memory.usage": nasty[1]}
		e.TelemetryCoverage = map[string]any{"process.memory.usage": all}
		e.WorkflowName = nasty[3]
		for i := range e.Claims {
			e.Claims[i].Label = all
		}
	}
	c.file("plot.png", "<script>alert(1)</script>")
	c.file("drawing.svg", `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`)
	c.run(
		work{key: "raw" + nasty[0], activity: nasty[1], workflow: "w" + nasty[0], used: many, writes: []string{`raw" onerror="x.dat`}, change: spoil},
		work{
			key: nasty[2], activity: "train" + nasty[0], workflow: nasty[4], used: many, generated: map[string]any{"loss": 0.1, nasty[1]: 1.0, "text": all},
			reads: []string{`raw" onerror="x.dat`}, writes: []string{"m<b>.pkl"}, change: spoil,
		},
		work{
			key: all, activity: all, workflow: all, used: many, generated: map[string]any{"mse": 0.5, nasty[0]: 2.0},
			reads: []string{"m<b>.pkl"}, writes: []string{"plot.png", "drawing.svg", `"><script>.png`}, change: spoil,
		},
	)
	return c
}

// harmless checks a page: elements and attributes of the template only, no address but those within it and images in it.
func harmless(t *testing.T, page []byte) (text string) {
	t.Helper()
	elements := "html head meta title style body h1 h2 h3 h4 p table tbody tr th td a code span div figure figcaption img ul li b br details summary " +
		"svg defs marker path g rect text"
	attributes := "lang charset http-equiv content name class id href src alt colspan open viewbox width height role font-family font-size refx refy " +
		"markerwidth markerheight orient d fill stroke stroke-dasharray marker-end x y rx text-anchor font-weight stroke-width paint-order xmlns"
	z := html.NewTokenizer(bytes.NewReader(page))
	var out strings.Builder
	for {
		switch z.Next() {
		case html.ErrorToken:
			require.ErrorIs(t, z.Err(), io.EOF)
			return out.String()
		case html.TextToken:
			out.WriteString(z.Token().Data)
		case html.StartTagToken, html.SelfClosingTagToken:
			tag := z.Token()
			require.Contains(t, strings.Fields(elements), tag.Data)
			for _, a := range tag.Attr {
				require.Contains(t, strings.Fields(attributes), a.Key, tag.Data)
				switch a.Key {
				case "href":
					require.Regexp(t, `^#r\d+$`, a.Val)
				case "src":
					require.Regexp(t, `^data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=]+$`, a.Val)
				}
			}
		}
	}
}

func TestNothingFromDataRuns(t *testing.T) {
	c := hostile(t)
	r := c.report("generated.mse")
	require.Len(t, r.Results, 1)
	page, err := r.HTML()
	require.NoError(t, err)
	assert.Less(t, len(page), 4<<20, "a megabyte of text is cut")
	text := harmless(t, page)
	for _, want := range []string{nasty[0], nasty[1], nasty[5], "{{.}}", "are left out", "the drawing holds a script element", "its content is no image"} {
		assert.True(t, strings.Contains(text, want), want)
	}
	assert.Contains(t, string(page), `http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;`)

	data, err := json.Marshal(r)
	require.NoError(t, err)
	assert.True(t, json.Valid(data))
	assert.Less(t, len(data), 4<<20)
	assert.False(t, strings.Contains(string(data), "<script"))
	drawn(t, r.Results[0].Lineage.SVG)
}

// drawn checks that a drawing is well-formed, and that it stands in a text.
func drawn(t *testing.T, svg string) (boxes int) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return boxes
		}
		require.NoError(t, err, svg)
		if e, ok := token.(xml.StartElement); ok {
			require.Contains(t, strings.Fields("svg title defs marker path g rect text"), e.Name.Local)
			if e.Name.Local == "g" {
				boxes++
			}
		}
	}
}

func TestMarkdownIsTextOnly(t *testing.T) {
	c := hostile(t)
	out := string(c.report("generated.mse").Markdown())
	assert.Less(t, len(out), 4<<20)
	image := regexp.MustCompile(`!\[[^\n]*?\]\(data:image/[a-z+]+;base64,([A-Za-z0-9+/=]+)\)`)
	found := image.FindAllStringSubmatch(out, -1)
	require.Len(t, found, 1, "the lineage; no plot can be displayed")
	svg, err := base64.StdEncoding.DecodeString(found[0][1])
	require.NoError(t, err)
	drawn(t, string(svg))
	rest := image.ReplaceAllString(out, "")
	assert.False(t, strings.Contains(rest, "<"))
	assert.Empty(t, regexp.MustCompile(`(^|[^\\])\]\(`).FindString(rest), "no links")
	assert.False(t, strings.Contains(rest, "://"), "no addresses that become links")
	for _, line := range strings.Split(rest, "\n") {
		if strings.HasPrefix(line, "#") {
			assert.Regexp(t, `^#{1,4} [^#]*`, line)
		}
	}
	assert.False(t, strings.Contains(rest, "\n# heading"))
}

func TestCirclesEndWhereTheyBegan(t *testing.T) {
	c := newCampaign(t)
	c.run(
		work{key: "a", activity: "step", workflow: "w", after: []string{"c"}, writes: []string{"a.dat"}},
		work{key: "b", activity: "step", workflow: "w", after: []string{"a"}, reads: []string{"a.dat"}, writes: []string{"b.pkl"}, used: map[string]any{"lr": 1.0}},
		work{key: "c", activity: "step", workflow: "w", after: []string{"b", "c"}, reads: []string{"b.pkl"}, generated: map[string]any{"x": 1.0}},
	)
	o := c.report("generated.x").Results[0]
	assert.Equal(t, 3, o.Lineage.Tasks)
	assert.Equal(t, "b", o.Training[0].Task.TaskID)
	assert.Equal(t, 3, drawn(t, o.Lineage.SVG))
	_, err := c.report("generated.x").HTML()
	require.NoError(t, err)
}

func TestALineageOfTenThousandTasks(t *testing.T) {
	c := newCampaign(t)
	const scans = 10_000
	var all []string
	var list []work
	for i := range scans {
		name := fmt.Sprintf("scan%05d.tif", i)
		all = append(all, name)
		list = append(list, work{
			key: name, activity: "scan", workflow: fmt.Sprintf("scope%d", i%200), used: map[string]any{"gain": float64(i), "mode": "fast"}, writes: []string{name},
		})
	}
	list = append(list,
		work{key: "merge", activity: "merge", workflow: "w", reads: all, writes: []string{"all.npz"}},
		work{
			key: "fit", activity: "fit", workflow: "w", reads: []string{"all.npz"}, writes: []string{"m.pkl"}, used: map[string]any{"lr": 0.1},
			generated: map[string]any{"loss": 0.5},
		})
	c.run(list...)
	began := time.Now()
	r := c.report("generated.loss")
	page, err := r.HTML()
	require.NoError(t, err)
	took := time.Since(began)
	t.Logf("%d tasks: %s, page of %d KiB", r.Results[0].Lineage.Tasks, took.Round(time.Millisecond), len(page)>>10)
	assert.Less(t, took, 30*time.Second)
	o := r.Results[0]
	assert.Equal(t, scans+2, o.Lineage.Tasks)
	assert.LessOrEqual(t, drawn(t, o.Lineage.SVG), maxBoxes)
	assert.Equal(t, "activity", o.Lineage.Collapsed)
	assert.Len(t, o.Raw.Files, maxFileList)
	assert.Contains(t, o.Omitted, "raw files after the first 1000")
	assert.Contains(t, o.Omitted, "tasks of one part after the first 1000")
	assert.Equal(t, Range{Activity: "scan", Name: "gain", Tasks: scans, Distinct: scans, Values: []Value{}, Min: Value{0.0}, Max: Value{9999.0}}, o.Raw.Space[0])
	assert.Less(t, len(page), 2<<20)
	o = c.report("generated.loss", func(o *Options) { o.MaxTasks = 100 }).Results[0]
	assert.Equal(t, 100, o.Lineage.Tasks)
	assert.Contains(t, o.Omitted, "tasks of the lineage after the first 100")
}
