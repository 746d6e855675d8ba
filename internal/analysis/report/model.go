package report

import (
	"github.com/otelcol-mida/otelcol-mida/internal/analysis/artifact"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Version is that of the report's JSON.
const Version = 1

// Report is the life of the best results. In its JSON null means "not recorded".
type Report struct {
	Version   int         `json:"version"`
	MadeAt    Time        `json:"made_at"`
	Question  Question    `json:"question"`
	Total     int64       `json:"total"` // tasks that have the metric
	Results   []*Result   `json:"results"`
	Decisions []*Decision `json:"decisions"` // of people, on tasks of the results, of their campaigns, and on these
	Warnings  []string    `json:"warnings"`
}

// Question is what was asked.
type Question struct {
	CampaignID string `json:"campaign_id"` // "" = all
	K          int    `json:"k"`
	Metric     string `json:"metric"`
	Order      string `json:"order"`
	Filter     Value  `json:"filter"`
}

// Result is one of the best, with all that it came from.
type Result struct {
	Rank            int         `json:"rank"`
	Value           Value       `json:"value"` // of the metric
	Task            Task        `json:"task"`
	Metrics         []Fact      `json:"metrics"`
	Parameters      []Fact      `json:"parameters"`
	Plots           []*Plot     `json:"plots"`
	Training        []*Training `json:"training"`
	TrainingBy      string      `json:"training_by"` // how it was recognised
	Models          []*File     `json:"models"`      // from the training to the result
	Between         []*Step     `json:"between"`     // tasks from the training to the result
	Transformations []*Step     `json:"transformations"`
	Raw             Raw         `json:"raw"`
	Evaluation      *Evaluation `json:"evaluation"` // null when the result is the training itself
	Later           []*Step     `json:"later"`      // tasks that used the model, when the result is the training itself
	Earlier         []*Step     `json:"earlier"`    // other tasks of the lineage: they chose what was done
	Settings        []*File     `json:"settings"`   // files that steered
	Lineage         Lineage     `json:"lineage"`
	Cost            Cost        `json:"cost"`
	Reproduce       Reproduce   `json:"reproduce"`
	NotRecorded     []string    `json:"not_recorded"`
	Omitted         []string    `json:"omitted"` // what was left out for its size

	same map[string]int // parts that an earlier result has, too: its rank
}

// Task names a task.
type Task struct {
	ID         string `json:"id"`
	TaskID     string `json:"task_id"`
	Kind       string `json:"kind"`
	ActivityID string `json:"activity_id"`
	Workflow   string `json:"workflow"`
	WorkflowID string `json:"workflow_id"`
	Status     string `json:"status"`
	Host       Value  `json:"host"`
	User       Value  `json:"user"`
	StartedAt  Time   `json:"started_at"`
	EndedAt    Time   `json:"ended_at"`
	Elapsed    Value  `json:"elapsed"`
	Error      string `json:"error,omitempty"` // why it failed
}

// Fact is a named value; null is not recorded.
type Fact struct {
	Name  string `json:"name"`
	Value Value  `json:"value"`
	Unit  string `json:"unit,omitempty"`
	Note  string `json:"note,omitempty"`
}

// File is a file, a dataset or a model that tasks named.
type File struct {
	Entity      string   `json:"entity"`
	Name        string   `json:"name"` // as a task named it
	Class       string   `json:"class"`
	GeneratedBy []string `json:"generated_by"` // ids of tasks
	UsedBy      []string `json:"used_by"`

	// As it is now, where it may be read.
	Bytes        Value                 `json:"bytes"`
	ModifiedAt   Time                  `json:"modified_at"`
	SHA256       Value                 `json:"sha256"`
	Unread       string                `json:"unread,omitempty"` // why it is not known
	Changed      string                `json:"changed,omitempty"`
	Header       *artifact.Description `json:"header"`
	NotDescribed string                `json:"not_described,omitempty"`
}

// Plot is an image that a task wrote.
type Plot struct {
	*File
	MediaType string `json:"media_type,omitempty"`
	Width     int    `json:"width,omitempty"`
	Height    int    `json:"height,omitempty"`
	Data      []byte `json:"data,omitempty"`
	OfResult  bool   `json:"of_result"` // written by the ranked task, rather than earlier in its life
	Later     bool   `json:"later"`     // written by a task that used its model
}

// Training is a task that made the model.
type Training struct {
	Task            Task       `json:"task"`
	Metrics         []Fact     `json:"metrics"`
	Hyperparameters []Fact     `json:"hyperparameters"`
	Architecture    []Fact     `json:"architecture"` // those of the hyperparameters that shape the model
	Split           []Fact     `json:"split"`
	Datasets        []*Dataset `json:"datasets"`
	Telemetry       []Fact     `json:"telemetry"`     // CPU, memory, GPU memory, elapsed time
	AllTelemetry    []Reading  `json:"all_telemetry"` //
	Environment     []Fact     `json:"environment"`
	Code            []Fact     `json:"code"`
	Packages        []Fact     `json:"packages"`
}

// Reading is one metric of a task's telemetry.
type Reading struct {
	Name  string `json:"name"`
	Start Value  `json:"start"`
	End   Value  `json:"end"`
	Peak  Value  `json:"peak"`
	Delta Value  `json:"delta"`
	Whose string `json:"whose"`
}

// Dataset is what a training used, with what is known about it.
type Dataset struct {
	*File
	Metadata []Fact `json:"metadata"`
}

// Step is a task of the lineage with its inputs and outputs, by name.
type Step struct {
	Task       Task     `json:"task"`
	Parameters []Fact   `json:"parameters"`
	Values     []Fact   `json:"values"`
	Inputs     []string `json:"inputs"`
	Outputs    []string `json:"outputs"`
}

// Raw is where the lineage of the training data ends.
type Raw struct {
	Files  []*File `json:"files"`
	Makers []*Step `json:"made_by"`
	Space  []Range `json:"parameter_space"`
}

// Range is what one parameter was over several tasks.
type Range struct {
	Activity string  `json:"activity_id"`
	Name     string  `json:"name"`
	Tasks    int     `json:"tasks"` // that have it
	Distinct int     `json:"distinct"`
	Values   []Value `json:"values"` // all, when there are few
	Min      Value   `json:"min"`
	Max      Value   `json:"max"`
}

// Evaluation is what the result was measured on.
type Evaluation struct {
	Files   []*File  `json:"files"`
	Made    []*Step  `json:"made_by"` // other than those of the training's raw data
	Facts   []Fact   `json:"facts"`
	Overlap []string `json:"overlap"` // files that the training data were made of, too
}

// Lineage is the graph behind a result.
type Lineage struct {
	Tasks     int    `json:"tasks"`
	Links     []Link `json:"links"`
	Truncated bool   `json:"truncated"`
	Collapsed string `json:"collapsed"` // what a node of the drawing is
	SVG       string `json:"svg"`
}

// Link is one link of the lineage.
type Link struct {
	From       string  `json:"from"`
	To         string  `json:"to"`
	Entity     string  `json:"entity"`
	Evidence   string  `json:"evidence"`
	Confidence float64 `json:"confidence"`
	Doubt      string  `json:"doubt,omitempty"`
	fromName   string
	toName     string
}

// Reproduce is what somebody needs to do it again.
type Reproduce struct {
	Workflows []*Workflow `json:"workflows"`
	Inputs    []*File     `json:"inputs"`
	Missing   []string    `json:"missing"`
}

// Workflow is one run of a program, as far as it took part.
type Workflow struct {
	Name       string   `json:"name"`
	ID         string   `json:"id"`
	Kind       string   `json:"kind"`
	Activities []string `json:"activities"`
	Facts      []Fact   `json:"facts"`
	startedAt  int64
}

// Value is one in the value set of package task; nil is not recorded.
type Value struct{ V any }

// MarshalJSON writes the canonical encoding.
func (v Value) MarshalJSON() ([]byte, error) { return task.AppendJSON(nil, v.V), nil }

// Time is a time of the report, in unix nanoseconds; 0 is not recorded.
type Time struct {
	NS    int64
	Shown any // in the form that was asked for
}

// MarshalJSON writes the form that was asked for.
func (t Time) MarshalJSON() ([]byte, error) { return task.AppendJSON(nil, t.Shown), nil }
