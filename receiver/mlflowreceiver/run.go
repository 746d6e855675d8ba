package mlflowreceiver

import (
	"encoding/json"
	"math"
	"sort"
)

// run is one row of the table runs with everything that belongs to it: the change that the source hands to the callback.
type run struct {
	id, name, user, status, stage, artifactURI string
	sourceName, sourceVersion                  string
	start, end, deleted                        int64 // unix ms, as the client said
	experiment                                 experiment

	params   []pair
	tags     []pair
	latest   []lastMetric
	history  map[string]series
	inputs   []input
	uses     []loggedModel
	models   []loggedModel
	versions []modelVersion

	parent, root ancestor

	at      int64  // unix ns of the read, growing: the stamp of what is made of it
	light   uint64 // digest of what changes without a new row
	content uint64 // digest of the event, set by the callback

	used, generated int32 // leaves of the event, set by the callback
}

type pair struct{ key, value string }

type lastMetric struct {
	key   string
	value float64
}

type experiment struct {
	id       int64
	name     string
	created  int64
	excluded bool
}

// ancestor is the parent or root of a nested run; the zero value is none.
type ancestor struct{ id, name string }

type input struct {
	name, digest, sourceType, source, context string
}

type loggedModel struct {
	id, name, kind, location, status string
}

type modelVersion struct {
	name, stage, status, source string
	version                     int64
	aliases                     []string
}

// MLflow's tags that this receiver knows.
const (
	tagParent      = "mlflow.parentRunId"
	tagRunName     = "mlflow.runName"
	tagUser        = "mlflow.user"
	tagSourceName  = "mlflow.source.name"
	tagSourceType  = "mlflow.source.type"
	tagCommit      = "mlflow.source.git.commit"
	tagBranch      = "mlflow.source.git.branch"
	tagRepo        = "mlflow.source.git.repoURL"
	tagEntryPoint  = "mlflow.project.entryPoint"
	tagDockerImage = "mlflow.docker.image.name"
	tagNote        = "mlflow.note.content"
	tagContext     = "mlflow.data.context"
	tagPrefix      = "mlflow."
)

func (r *run) tag(key string) string {
	i := sort.Search(len(r.tags), func(i int) bool { return r.tags[i].key >= key })
	if i < len(r.tags) && r.tags[i].key == key {
		return r.tags[i].value
	}
	return ""
}

func (r *run) open() bool { return r.status == "RUNNING" || r.status == "SCHEDULED" }

// decodeMetric undoes MLflow's way to store what SQL cannot.
func decodeMetric(value float64, isNaN bool) float64 {
	switch {
	case isNaN:
		return math.NaN()
	case value == math.MaxFloat64:
		return math.Inf(1)
	case value == -math.MaxFloat64:
		return math.Inf(-1)
	}
	return value
}

var loggedModelStatus = map[int64]string{0: "UNSPECIFIED", 1: "PENDING", 2: "READY", 3: "FAILED"}

// location is the path or URI in a dataset's source, which MLflow keeps as JSON; "" when it has none.
func (i input) location() string {
	var fields map[string]any
	if json.Unmarshal([]byte(i.source), &fields) != nil {
		return i.source
	}
	for _, key := range []string{"uri", "url"} {
		if s, ok := fields[key].(string); ok {
			return s
		}
	}
	return ""
}
