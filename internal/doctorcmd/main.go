// Package doctorcmd is the command "otelcol-mida doctor": it looks at a configuration while no collector runs.
package doctorcmd

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/receiver/daskreceiver"
	"github.com/otelcol-mida/otelcol-mida/receiver/mlflowreceiver"
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver"
)

const usage = `Usage: otelcol-mida doctor [--config FILE]…

Looks at a configuration without running it: whether the paths lead to something that can be read, whether the
databases are MLflow's, whether ports and directories are free. It connects to nothing and changes nothing.

  --config FILE  the collector's configuration; may be repeated. Default: what mida.yaml of this directory stands for

A running collector says more: mida doctor.
Exit status: 0; 1 when something is wrong; 2 when the configuration cannot be read.
`

// shortFile is what is looked at without --config.
const shortFile = "mida.yaml"

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

// Main runs the command and returns its exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		text := strings.Join(strings.Fields(err.Error()), " ")
		fmt.Fprintf(stderr, "otelcol-mida doctor: %s\n", text)
		return 2
	}
	var configs list
	fs := flag.NewFlagSet("doctor", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Var(&configs, "config", "")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil:
		return fail(err)
	case fs.NArg() > 0:
		return fail(fmt.Errorf("%q: want --config FILE", fs.Arg(0)))
	}
	if len(configs) == 0 {
		path, err := expanded()
		if err != nil {
			return fail(err)
		}
		defer os.Remove(path)
		configs = list{path}
	}
	conf, err := resolve(configs)
	if err != nil {
		return fail(err)
	}
	status := 0
	show := func(name string, parts []control.Part) {
		if len(parts) == 0 {
			fmt.Fprintf(stdout, "%s: nothing looks wrong\n", name)
			return
		}
		fmt.Fprintf(stdout, "%s:\n", name)
		for _, p := range parts {
			mark := "?"
			if p.State == control.Trouble {
				mark, status = "!", 1
			}
			fmt.Fprintf(stdout, "  %s %s\n      %s\n", mark, p.What, p.Problem)
		}
	}
	names, parts, err := receivers(conf)
	if err != nil {
		return fail(err)
	}
	for _, name := range names {
		show(name, parts[name])
	}
	show("collector", places(conf))
	return status
}

// expanded is the configuration that the short file stands for, in a file of its own.
func expanded() (string, error) {
	if _, err := os.Stat(shortFile); err != nil {
		return "", fmt.Errorf("there is no %s here: `mida init` writes one, or name a configuration with --config", shortFile)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	var out, errs bytes.Buffer
	command := exec.Command(self, "config", "show")
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s: %s", shortFile, strings.TrimSpace(errs.String()))
	}
	f, err := os.CreateTemp("", "mida-doctor-*.yaml")
	if err != nil {
		return "", err
	}
	_, err = f.Write(out.Bytes())
	return f.Name(), errors.Join(err, f.Close())
}

// resolve reads configurations as the collector does.
func resolve(configs []string) (*confmap.Conf, error) {
	var uris []string
	for _, c := range configs {
		uris = append(uris, "file:"+c)
	}
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs: uris, DefaultScheme: "env",
		ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory(), envprovider.NewFactory()},
	})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	defer func() { _ = resolver.Shutdown(ctx) }()
	return resolver.Resolve(ctx)
}

// receivers looks at what is observed.
func receivers(conf *confmap.Conf) (names []string, parts map[string][]control.Part, err error) {
	all, err := conf.Sub("receivers")
	if err != nil {
		return nil, nil, err
	}
	parts = map[string][]control.Part{}
	factories := map[string]receiver.Factory{}
	for _, f := range []receiver.Factory{daskreceiver.NewFactory(), mlflowreceiver.NewFactory(), tasklogreceiver.NewFactory()} {
		factories[f.Type().String()] = f
	}
	for name := range all.ToStringMap() {
		kind, _, _ := strings.Cut(name, "/")
		factory, ours := factories[kind]
		if !ours {
			continue
		}
		names = append(names, name)
		sub, err := all.Sub(name)
		if err != nil {
			return nil, nil, err
		}
		parts[name] = check(factory.CreateDefaultConfig(), sub)
	}
	slices.Sort(names)
	return names, parts, nil
}

func check(cfg component.Config, sub *confmap.Conf) []control.Part {
	err := sub.Unmarshal(cfg)
	if err == nil {
		err = confmap.Validate(cfg)
	}
	if err != nil {
		return []control.Part{{What: "configuration", State: control.Trouble, Problem: strings.Join(strings.Fields(err.Error()), " ")}}
	}
	if c, ok := cfg.(control.Checker); ok {
		return c.Check()
	}
	return nil
}
