package report

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// Markdown is the report as text. Everything from data is escaped, so that it is neither markup nor HTML.
func (r *Report) Markdown() []byte { return r.markdown(&markdown{}) }

// Text is the report as Markdown for readers who take in no pictures: these are named. In short it lacks, of each result,
// the lineage and how to do it again, which are half of it.
func (r *Report) Text(short bool) []byte { return r.markdown(&markdown{text: true, short: short}) }

func (r *Report) markdown(m *markdown) []byte {
	m.heading(1, r.title())
	m.line("Made %s. %d tasks have %s. What is *%s* was told to nobody: it is unknown, not zero.", when(r.MadeAt), r.Total, md(r.Question.Metric), notRecorded)
	for _, w := range r.Warnings {
		m.line("**Warning:** %s", md(w))
	}
	var rows [][]string
	for _, o := range r.Results {
		rows = append(rows, []string{fmt.Sprint(o.Rank), shown(o.Value.V), o.Task.ActivityID + " " + o.Task.TaskID, o.Task.Workflow, o.Task.Status})
	}
	m.table([]string{"Rank", r.Question.Metric, "Task", "Workflow", "Status"}, rows)
	for _, o := range r.Results {
		m.result(o)
	}
	if len(r.Decisions) > 0 {
		m.heading(2, "What people decided")
		rows = nil
		for _, d := range r.Decisions {
			rows = append(rows, []string{when(d.At), d.Who(), d.What(), d.Why, d.On()})
		}
		m.table([]string{"When", "Who", "What", "Why", "On"}, rows)
	}
	return []byte(strings.ToValidUTF8(m.String(), "\uFFFD"))
}

type markdown struct {
	strings.Builder
	text, short bool // no pictures; see Text
}

func (m *markdown) picture(name, mediaType string, data []byte) {
	if m.text {
		m.line("%s (%s, %s, not shown in this text)", md(name), mediaType, bytesText(float64(len(data))))
		return
	}
	m.line("![%s](data:%s;base64,%s)", md(name), mediaType, base64.StdEncoding.EncodeToString(data))
}

func (m *markdown) result(o *Result) {
	m.heading(2, fmt.Sprintf("%d. %s %s", o.Rank, o.Task.ActivityID, o.Task.TaskID))
	m.line("%s task `%s` of %s, %s, %s to %s", md(o.Task.Kind), o.Task.ID, md(o.Task.Workflow), o.Task.Status, when(o.Task.StartedAt), when(o.Task.EndedAt))
	if o.Task.Error != "" {
		m.line("**%s**", md(o.Task.Error))
	}
	m.facts("Metrics", o.Metrics)
	m.facts("Given to it", o.Parameters)
	m.heading(3, "Plots")
	if len(o.Plots) == 0 {
		m.line("*%s*", notRecorded)
	}
	for _, p := range o.Plots {
		if len(p.Data) > 0 {
			m.picture(p.Name, p.MediaType, p.Data)
		}
		if !m.text || len(p.Data) == 0 {
			m.line("%s", md(strings.TrimSuffix(p.Name+": "+p.Unread, ": ")))
		}
	}
	m.heading(3, "Training")
	if len(o.Training) == 0 {
		m.line("*%s*", notRecorded)
	}
	for _, t := range o.Training {
		m.training(t)
	}
	m.heading(3, "Model")
	m.files("Model file", o.Models)
	for _, f := range o.Models {
		if f.Header != nil && len(f.Header.Layers) > 0 {
			var rows [][]string
			for _, l := range f.Header.Layers {
				rows = append(rows, []string{l.Name, l.Type, l.Shape, l.Config})
			}
			m.table([]string{"Layer", "Type", "Input", "Settings"}, rows)
		}
	}
	if len(o.Between) > 0 {
		m.steps("From the training to the result", o.Between)
	}
	m.steps("From raw data to training data", o.Transformations)
	m.heading(3, "Raw data")
	m.files("Raw file", o.Raw.Files)
	var rows [][]string
	for _, s := range o.Raw.Space {
		var values []string
		for _, v := range s.Values {
			values = append(values, shown(v.V))
		}
		if len(values) == 0 && s.Min.V != nil {
			values = []string{shown(s.Min.V) + " to " + shown(s.Max.V)}
		}
		rows = append(rows, []string{s.Activity, s.Name, fmt.Sprint(s.Tasks), fmt.Sprint(s.Distinct), strings.Join(values, " · ")})
	}
	m.table([]string{"Activity", "Parameter", "Tasks", "Different values", "Values"}, rows)
	m.steps("Made by", o.Raw.Makers)
	if e := o.Evaluation; e != nil {
		m.heading(3, "What it was measured on")
		m.files("File", e.Files)
		m.line("%s", md(e.overlapText(o)))
		m.facts("Inputs", e.Facts)
		if len(e.Made) > 0 {
			m.steps("Made by", e.Made)
		}
	}
	if len(o.Later) > 0 {
		m.steps("Who used the model", o.Later)
	}
	if len(o.Earlier) > 0 {
		m.steps("What led to it", o.Earlier)
	}
	if !m.short {
		m.lineage(o)
	}
	m.heading(3, "Cost")
	m.table(append([]string{""}, costColumns...), [][]string{
		append([]string{"The lineage"}, o.Cost.Lineage.columns()...), append([]string{"Trials that were discarded"}, o.Cost.Trials.columns()...),
	})
	if !m.short {
		m.again(o)
	}
	m.list("Not recorded", o.NotRecorded)
	m.list("Left out for its size", o.Omitted)
}

func (m *markdown) lineage(o *Result) {
	m.heading(3, "Lineage")
	if !m.text { // the table says the same
		m.picture("Lineage", "image/svg+xml", []byte(o.Lineage.SVG))
	}
	var rows [][]string
	for _, l := range o.Lineage.Links[:min(len(o.Lineage.Links), maxListed)] {
		rows = append(rows, []string{l.fromName, l.toName, l.Entity, l.Evidence, fmt.Sprintf("%.2f", l.Confidence), l.Doubt})
	}
	m.table([]string{"From", "To", "What", "Evidence", "Confidence", "Doubt"}, rows)
}

func (m *markdown) again(o *Result) {
	m.heading(3, "How to do it again")
	for _, w := range o.Reproduce.Workflows {
		m.facts(w.Name+" ("+w.Kind+": "+strings.Join(w.Activities, ", ")+")", w.Facts)
	}
	m.files("Input", o.Reproduce.Inputs)
	m.list("Missing", o.Reproduce.Missing)
}

func (m *markdown) training(t *Training) {
	m.line("**%s** %s: %s, %s, %s, %s", md(t.Task.ActivityID), md(t.Task.TaskID), md(t.Task.Workflow), t.Task.Status, when(t.Task.StartedAt), duration(t.Task.Elapsed))
	m.facts("Accuracy, loss, other metrics", t.Metrics)
	m.facts("Hyperparameters", t.Hyperparameters)
	m.facts("Architecture", t.Architecture)
	m.facts("Training and validation split", t.Split)
	m.heading(4, "Datasets")
	if len(t.Datasets) == 0 {
		m.line("*%s*", notRecorded)
	}
	for _, d := range t.Datasets {
		facts := []Fact{{Name: "as it is now", Value: orNull(d.state())}, {Name: "its header says", Value: orNull(d.header())}}
		m.facts(d.Name, append(facts, d.Metadata...))
	}
	m.facts("Resources", t.Telemetry)
	m.facts("Environment", t.Environment)
	m.facts("Code", t.Code)
}

func (m *markdown) heading(level int, s string) {
	fmt.Fprintf(m, "\n%s %s\n\n", strings.Repeat("#", level), md(s))
}

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(m, format+"\n\n", args...) }

func (m *markdown) facts(title string, facts []Fact) {
	m.heading(4, title)
	var rows [][]string
	for _, f := range facts {
		rows = append(rows, []string{f.Name, withUnit(f.Value.V, f.Unit), f.Note})
	}
	m.table([]string{"", "", ""}, rows)
}

func (m *markdown) files(title string, files []*File) {
	var rows [][]string
	for _, f := range files[:min(len(files), maxListed)] {
		rows = append(rows, []string{f.Name, f.state(), f.header()})
	}
	m.table([]string{title, "As it is now", "Its header says"}, rows)
	if more := len(files) - maxListed; more > 0 {
		m.line("… and %d more", more)
	}
}

func (m *markdown) steps(title string, steps []*Step) {
	m.heading(3, title)
	var rows [][]string
	steps, common := differing(steps)
	if len(common) > 0 {
		m.facts("All of them", common)
	}
	for _, s := range steps[:min(len(steps), maxListed)] {
		given := func(facts []Fact) string {
			var parts []string
			for _, f := range facts {
				parts = append(parts, f.Name+" = "+withUnit(f.Value.V, f.Unit))
			}
			return strings.Join(parts, "; ")
		}
		rows = append(rows, []string{
			s.Task.ActivityID + " " + s.Task.TaskID, given(s.Parameters), given(s.Values), strings.Join(s.Inputs, "; "), strings.Join(s.Outputs, "; "),
		})
	}
	m.table([]string{"Task", "Given", "Made", "From", "To"}, rows)
	if more := len(steps) - maxListed; more > 0 {
		m.line("… and %d more", more)
	}
}

func (m *markdown) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	m.heading(4, title)
	for _, i := range items {
		fmt.Fprintf(m, "- %s\n", md(i))
	}
	m.WriteString("\n")
}

func (m *markdown) table(head []string, rows [][]string) {
	if len(rows) == 0 {
		m.line("*%s*", notRecorded)
		return
	}
	write := func(cells []string) {
		for _, c := range cells {
			m.WriteString("| " + md(c) + " ")
		}
		m.WriteString("|\n")
	}
	write(head)
	m.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		write(r)
	}
	m.WriteString("\n")
}

var mdEscapes = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "(", "\\(", ")", "\\)",
	"|", "\\|", "#", "\\#", "!", "\\!", "~", "\\~", "$", "\\$", ":", "&#58;", "@", "&#64;", "\r", " ", "\n", " ", "\t", " ",
)

// md is a text that Markdown shows as it is: no markup, no HTML, no links by themselves.
func md(s string) string { return mdEscapes.Replace(s) }
