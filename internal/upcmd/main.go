// Package upcmd is the commands "otelcol-mida up" and "otelcol-mida config show": a collector for one's own campaign
// without a configuration of one's own.
package upcmd

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

const usage = `Usage: mida up [FLAGS]            observes in the foreground until Ctrl-C
       mida config show [FLAGS]   prints the collector's configuration that this stands for
       mida config observers [FLAGS]
                                  prints the observers of it, as the API takes them (mida run does so)

What is observed stands in mida.yaml of this directory, with these keys, or in flags, which win:

  --campaign NAME   the campaign that the tasks belong to (default: the name of this directory)
  --site NAME       name of this machine or cluster in the identity of files
  --logs GLOB       logs to read, such as 'logs/*.log'; may be repeated
  --rules FILE      what the lines of --logs mean (default: rules.yaml, if it is there)
  --mlflow URI      MLflow's database (default: sqlite:///mlflow.db); may be repeated; false: none
  --dask WHICH      auto (default), an address tcp://host:port, a scheduler file, false; may be repeated

Where:

  --data-dir DIR    for the view and all that is kept (default: mida-data)
  --endpoint ADDR   answers queries here (default: 127.0.0.1:4340, or a free port if that is taken)
  --allow-directory DIR, --allow-host HOST
                    what observers that are added later may lead to (default: this directory and machine)
  --config FILE     more of the collector's configuration, laid over this one; may be repeated; only for up
  --verbose         the collector's whole log instead of its warnings
  --while-locked FILE
                    end when no process holds a lock on FILE; only for up, and for programs that start it

A value that is not what it must be ends with status 2.
`

// list is a flag that may be repeated.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

// options are what the flags say beside the settings.
type options struct {
	settings
	overlays list
	verbose  bool
	locked   string
}

// Config runs "config" and returns its exit status.
func Config(args []string, stdout, stderr io.Writer) int {
	prints := map[string]func(*options) (string, error){"show": (*options).show, "observers": (*options).observers}
	if len(args) == 0 || prints[args[0]] == nil {
		fmt.Fprint(stderr, usage)
		if len(args) > 0 && (args[0] == "-h" || args[0] == "--help" || args[0] == "help") {
			return 0
		}
		return 2
	}
	o, err := read(args[1:])
	var text string
	if err == nil {
		text, err = prints[args[0]](o)
	}
	if err != nil {
		return fail(err, "config "+args[0], stdout, stderr)
	}
	for _, glob := range o.withoutRules {
		fmt.Fprintf(stderr, "otelcol-mida config %s: logs: %s has no rules, so it is left out; mida init suggests some\n", args[0], glob)
	}
	fmt.Fprint(stdout, text)
	return 0
}

// Up prepares "up": it returns the arguments with which the collector's own command line does the rest, or none and an
// exit status.
func Up(args []string, stdout, stderr io.Writer) (arguments []string, status int) {
	o, err := read(args)
	if err == nil {
		err = o.ready()
	}
	var text string
	if err == nil {
		text, err = o.show()
	}
	if err == nil && o.locked != "" {
		err = whileLocked(o.locked)
	}
	if err != nil {
		return nil, fail(err, "up", stdout, stderr)
	}
	if o.locked == "" {
		o.describe(stdout)
	}
	arguments = []string{"--config=yaml:" + text}
	for _, overlay := range o.overlays {
		arguments = append(arguments, "--config="+overlay)
	}
	return arguments, 0
}

func fail(err error, command string, stdout, stderr io.Writer) int {
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprintf(stderr, "otelcol-mida %s: %v\n", command, err)
	return 2
}

// read takes the defaults, the file over them, and the flags over both.
func read(args []string) (*options, error) {
	var o options
	var err error
	if o.settings, err = defaults(); err != nil {
		return nil, err
	}
	var campaign, site, rules string
	var logs, mlflow, dask, directories, hosts list
	fs := flag.NewFlagSet("up", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&campaign, "campaign", "", "")
	fs.StringVar(&site, "site", "", "")
	fs.Var(&logs, "logs", "")
	fs.StringVar(&rules, "rules", "", "")
	fs.Var(&mlflow, "mlflow", "")
	fs.Var(&dask, "dask", "")
	fs.StringVar(&o.Data, "data-dir", o.Data, "")
	fs.StringVar(&o.Endpoint, "endpoint", o.Endpoint, "")
	fs.Var(&directories, "allow-directory", "")
	fs.Var(&hosts, "allow-host", "")
	fs.Var(&o.overlays, "config", "")
	fs.BoolVar(&o.verbose, "verbose", false, "")
	fs.StringVar(&o.locked, "while-locked", "", "")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w; mida up --help lists the flags", err)
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("%q: want flags only; a glob that the shell must not expand needs quotes: --logs 'logs/*.log'", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	o.endpointIsDefault = o.endpointIsDefault && !given["endpoint"]
	if err := o.readFile(File); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name  string
		value *yaml.Node
	}{
		{"campaign", scalar(campaign)}, {"site", scalar(site)}, {"logs", sequence(logs)}, {"mlflow", sequence(mlflow)}, {"dask", sequence(dask)},
	} {
		if !given[f.name] {
			continue
		}
		if err := o.set(f.name, f.value); err != nil {
			return nil, fmt.Errorf("--%w", err)
		}
	}
	switch {
	case given["rules"] && !given["logs"]:
		return nil, fmt.Errorf("--rules: %q says what lines mean, but of which logs? want --logs beside it", rules)
	case given["rules"] && len(o.Logs) > 0:
		o.Logs[0].File = rules
	}
	if directories != nil {
		o.AllowDirectories = directories
	}
	if hosts != nil {
		o.AllowHosts = hosts
	}
	o.findRules()
	return &o, nil
}

func scalar(v string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v} }

// sequence is a list as the file has it; false alone is none.
func sequence(values list) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, v := range values {
		if v == "false" && len(values) == 1 {
			return n
		}
		n.Content = append(n.Content, scalar(v))
	}
	return n
}
