package upcmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/receiver"
	"gopkg.in/yaml.v3"

	"github.com/otelcol-mida/otelcol-mida/receiver/daskreceiver"
	"github.com/otelcol-mida/otelcol-mida/receiver/mlflowreceiver"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver"
)

type object = map[string]any

// collector is a configuration, in the order in which people read it.
type collector struct {
	Extensions object `yaml:"extensions"`
	Receivers  object `yaml:"receivers"`
	Processors object `yaml:"processors"`
	Exporters  object `yaml:"exporters"`
	Service    object `yaml:"service"`
}

const (
	keeper = "file_storage"
	// drain bounds the end: Ctrl-C waits so long for what is not read yet.
	drain = "10s"
)

// show is the whole configuration, that of laptop.yaml with these choices.
func (o *options) show() (string, error) {
	s := &o.settings
	made, names, err := s.receivers()
	if err != nil {
		return "", err
	}
	managed := object{"receivers": []string{"managed"}, "processors": []string{"tasktelemetry", "provenance"}, "exporters": []string{"taskstore"}}
	pipelines := object{"logs/managed": managed}
	if len(names) > 0 {
		pipelines["logs"] = object{"receivers": names, "processors": []string{"tasktelemetry", "provenance"}, "exporters": []string{"taskstore"}}
	}
	made["managed"] = object{}
	level := "warn"
	if o.verbose {
		level = "info"
	}
	c := collector{
		Extensions: object{
			keeper: object{
				"directory": filepath.Join(s.Data, "state"), "create_directory": true, "directory_permissions": "0700", "fsync": true,
			},
			"taskstore": object{"stores": object{"main": object{"sqlite": object{"path": filepath.Join(s.Data, "mida.db")}}}},
			"taskcontroller": object{
				"storage": keeper, "directory": filepath.Join(s.Data, "observers"),
				"allow":    object{"directories": s.AllowDirectories, "hosts": s.AllowHosts},
				"discover": object{}, // one's own collector may look around
			},
			"taskquery": object{
				"store": "main", "endpoint": s.Endpoint, "state_directory": s.Data,
				"report": object{"read_files": []string{"."}}, // one's own files, if lineage names them
			},
		},
		Receivers:  made,
		Processors: object{"tasktelemetry": object{}, "provenance": object{"site": s.Site}},
		Exporters:  object{"taskstore": object{"store": "main"}},
		Service: object{
			"extensions": []string{keeper, "taskstore", "taskcontroller", "taskquery"},
			"pipelines":  pipelines,
			"telemetry":  object{"metrics": object{"level": "none"}, "logs": object{"level": level}},
		},
	}
	for _, part := range []object{c.Extensions, c.Receivers, c.Processors, c.Exporters, c.Service} {
		literal(part)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	err = errors.Join(encoder.Encode(c), encoder.Close())
	return out.String(), err
}

// observers are the receivers as POST /api/v1/observers takes them. What is only usual, MLflow's place and Dask's, is left
// to who asks.
func (o *options) observers() (string, error) {
	o.Dask.Auto = false
	made, names, err := o.receivers()
	if err != nil {
		return "", err
	}
	list := []object{}
	for _, name := range names {
		kind, _, _ := strings.Cut(name, "/")
		if kind == "mlflow" && !o.mlflowNamed {
			continue
		}
		conf := made[name].(object)
		for _, own := range []string{"campaign", "storage", "drain_timeout", "journal"} { // the controller's, and the campaign's
			delete(conf, own)
		}
		list = append(list, object{"kind": kind, "config": conf})
	}
	text, err := json.MarshalIndent(object{
		"campaign": o.Campaign, "observers": list, "mlflow_named": o.mlflowNamed, "without_rules": append([]string{}, o.withoutRules...),
	}, "", "  ")
	return string(text) + "\n", err
}

// receivers are those that the settings ask for, checked as the collector does, but under the keys of the settings.
func (s *settings) receivers() (made object, names []string, err error) {
	made = object{}
	var errs []error
	add := func(key string, i int, factory receiver.Factory, conf object) {
		name := factory.Type().String()
		if i > 0 {
			name = fmt.Sprintf("%s/%d", name, i+1)
		}
		conf["campaign"], conf["drain_timeout"] = s.Campaign, drain
		if err := check(factory, conf); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
		made[name], names = conf, append(names, name)
	}
	if !s.Dask.Off {
		addresses, files := s.Dask.all()
		conf := object{"journal": object{"directory": filepath.Join(s.Data, "journal")}}
		if len(addresses) > 0 {
			conf["schedulers"] = addresses
		}
		if len(files) > 0 {
			conf["scheduler_files"] = files
		}
		add("dask", 0, daskreceiver.NewFactory(), conf)
	}
	for i, uri := range s.MLflow {
		add("mlflow", i, mlflowreceiver.NewFactory(), object{"tracking_uri": uri, "storage": keeper})
	}
	for i, l := range s.Logs {
		conf := object{}
		for key, value := range l.Inline {
			conf[key] = value
		}
		if l.Inline == nil {
			conf["rules_file"] = l.File
		}
		conf["include"], conf["storage"] = l.Include, keeper
		add("logs", i, tasklogreceiver.NewFactory(), conf)
	}
	return made, names, errors.Join(errs...)
}

// check refuses what the collector would refuse. What the environment says is only known when it starts.
func check(factory receiver.Factory, conf object) error {
	if text, err := yaml.Marshal(conf); err != nil || reference.Match(text) {
		return err
	}
	cfg := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(plain(conf).(object)).Unmarshal(cfg); err != nil {
		return oneLine(err)
	}
	if err := confmap.Validate(cfg); err != nil {
		return oneLine(err)
	}
	return nil
}

// oneLine is an error that was made for a list of them.
func oneLine(err error) error { return errors.New(strings.Join(strings.Fields(err.Error()), " ")) }

// plain is a configuration as confmap takes it: lists of any.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		out := make(object, len(v))
		for key, value := range v {
			out[key] = plain(value)
		}
		return out
	case []string:
		out := make([]any, len(v))
		for i, text := range v {
			out[i] = text
		}
		return out
	default:
		return v
	}
}

// reference is what the collector fills in from its environment; every other $ is a letter.
var reference = regexp.MustCompile(`\$\{env:[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}`)

// literal doubles each $ that is a letter, as the collector wants it.
func literal(v any) any {
	switch v := v.(type) {
	case object:
		for key, value := range v {
			v[key] = literal(value)
		}
	case []any:
		for i, value := range v {
			v[i] = literal(value)
		}
	case []string:
		out := make([]string, len(v)) // the settings keep theirs
		for i, text := range v {
			out[i] = literal(text).(string)
		}
		return out
	case string:
		var out strings.Builder
		rest := v
		for _, at := range reference.FindAllStringIndex(v, -1) {
			out.WriteString(strings.ReplaceAll(v[len(v)-len(rest):at[0]], "$", "$$"))
			out.WriteString(v[at[0]:at[1]])
			rest = v[at[1]:]
		}
		out.WriteString(strings.ReplaceAll(rest, "$", "$$"))
		return out.String()
	}
	return v
}
