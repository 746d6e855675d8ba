// Package rulescmd is the command "otelcol-mida rules": it tries rules on logs, without a collector.
package rulescmd

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/rules"
)

const usage = `Usage: otelcol-mida rules test [--config FILE] [--show N] [--all] LOG…

Reads logs and prints, line by line, which rule took it and what it found; then
the lines that no rule is for, and the tasks that come out.

  --config FILE  a rules file, or the collector's configuration (its tasklog
                 receiver is used); default: rules.yaml
  --receiver ID  which tasklog receiver of the configuration, e.g. tasklog/sem
  --show N       lines without a rule to show, 10 by default
  --all          show also the lines that are ignored
  --color WHEN   auto, always or never

Exit status: 0; 1 when a line could not be used as its rule says, or no line has
the form of line; 2 when the rules or the logs cannot be read.
`

// Main runs the command and returns its exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] != "test" {
		fmt.Fprint(stderr, usage)
		if len(args) > 0 && (args[0] == "-h" || args[0] == "--help" || args[0] == "help") {
			return 0
		}
		return 2
	}
	opt := options{}
	fs := flag.NewFlagSet("rules test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&opt.config, "config", "rules.yaml", "")
	fs.StringVar(&opt.receiver, "receiver", "", "")
	fs.IntVar(&opt.show, "show", 10, "")
	fs.BoolVar(&opt.all, "all", false, "")
	fs.StringVar(&opt.color, "color", "auto", "")
	logs, err := parse(fs, args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil:
		return fail(stderr, err)
	case len(logs) == 0:
		return fail(stderr, errors.New("name at least one log to read"))
	case opt.color != "auto" && opt.color != "always" && opt.color != "never":
		return fail(stderr, fmt.Errorf("--color: %q is not valid; write auto, always or never", opt.color))
	}
	spec, policy, err := load(opt.config, opt.receiver)
	if err != nil {
		return fail(stderr, err)
	}
	set, err := rules.Compile(spec)
	if err != nil {
		return fail(stderr, fmt.Errorf("%s:\n%w", opt.config, err))
	}
	p := newPrinter(stdout, opt)
	p.policy = capture.New(policy)
	if spec.Line != "json" {
		p.line = spec.Line
	}
	status := 0
	for _, log := range logs {
		bad, err := p.try(set, log)
		if err != nil {
			return fail(stderr, err)
		}
		if bad {
			status = 1
		}
	}
	return status
}

type options struct {
	config, receiver, color string
	show                    int
	all                     bool
}

// parse lets options stand before and behind the logs.
func parse(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		args = fs.Args()
		if len(args) == 0 {
			return rest, nil
		}
		rest = append(rest, args[0])
		args = args[1:]
	}
}

func fail(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "otelcol-mida rules: %v\n", err)
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(stderr, "see: otelcol-mida rules --help")
	}
	return 2
}
