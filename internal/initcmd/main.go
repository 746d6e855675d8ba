// Package initcmd is the command "otelcol-mida init": it looks at a directory and writes the few lines with which it is
// observed, and rules for its logs.
package initcmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/discover"
	"github.com/otelcol-mida/otelcol-mida/internal/rules/propose"
)

const usage = `Usage: otelcol-mida init [--campaign NAME] [--site NAME] [--force] [DIRECTORY]

Looks at a directory (the current one) and what is below it, and writes there

  mida.yaml    what is observed: campaign, site, logs, mlflow, dask
  rules.yaml   what the lines of the logs mean; rules-NAME.yaml for more than one kind of logs

The rules are made of the lines themselves and are tried on them. Read them: they are a guess.

  --campaign NAME  default: the name of the directory
  --site NAME      name of this machine or cluster in the identity of files
  --force          also replaces files that are there
  --dry-run        prints what it would write

Exit status: 0; 1 when files are there already; 2 when the directory cannot be looked at.
`

// File is the file with the few lines.
const File = "mida.yaml"

type options struct {
	campaign, site string
	force, dry     bool
	dir            string
}

// Main runs the command and returns its exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	var o options
	fs := flag.NewFlagSet("init", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.campaign, "campaign", "", "")
	fs.StringVar(&o.site, "site", "", "")
	fs.BoolVar(&o.force, "force", false, "")
	fs.BoolVar(&o.dry, "dry-run", false, "")
	fail := func(err error, status int) int {
		fmt.Fprintf(stderr, "otelcol-mida init: %v\n", err)
		return status
	}
	rest, err := parse(fs, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil:
		return fail(err, 2)
	case len(rest) > 1:
		return fail(fmt.Errorf("%d directories are named; want one", len(rest)), 2)
	}
	o.dir = "."
	if len(rest) == 1 {
		o.dir = rest[0]
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return fail(err, 2)
	}
	info, err := os.Stat(o.dir)
	if err != nil {
		return fail(err, 2)
	}
	if !info.IsDir() {
		return fail(fmt.Errorf("%s is no directory", o.dir), 2)
	}
	d := look(o)
	if err := d.check(o); err != nil {
		return fail(err, 1)
	}
	if err := d.write(o, stdout); err != nil {
		return fail(err, 2)
	}
	return 0
}

// parse lets options stand before and behind the directory.
func parse(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		args = fs.Args()
		if len(args) == 0 {
			return rest, nil
		}
		rest, args = append(rest, args[0]), args[1:]
	}
}

// draft is what is to be written: files by their names, in their order, and what to say of them.
type draft struct {
	names   []string
	files   map[string]string
	said    []string
	nothing bool
}

func (d *draft) add(name, content string) {
	d.names = append(d.names, name)
	d.files[name] = content
}

func (d *draft) say(format string, args ...any) {
	d.said = append(d.said, fmt.Sprintf(format, args...))
}

// lookTime bounds the look at a directory, which may lie on a slow file server.
const lookTime = 15 * time.Second

// group is logs of one kind.
type group struct {
	include, rules string
}

// look finds out what is there.
func look(o options) *draft {
	d := &draft{files: map[string]string{}}
	bounds := discover.Default()
	bounds.Directories, bounds.Time = []string{o.dir}, lookTime
	found := discover.Look(context.Background(), bounds)
	var groups []group
	var databases, files []string
	for _, offer := range found.Offers {
		switch offer.Kind {
		case "mlflow":
			uri, _ := offer.Config["tracking_uri"].(string)
			databases = append(databases, relativeURI(o.dir, uri))
			d.say("MLflow: %s (%s)", databases[len(databases)-1], offer.Evidence)
		case "dask":
			for _, f := range listOf(offer.Config["scheduler_files"]) {
				files = append(files, relative(o.dir, f))
				d.say("Dask: the cluster of %s", files[len(files)-1])
			}
			for _, a := range listOf(offer.Config["schedulers"]) {
				d.say("Dask: %s runs now; %s. `dask: auto` observes tcp://127.0.0.1:8786; name others: dask: [%s]", a, offer.Evidence, a)
			}
		case "tasklog":
			include := relative(o.dir, listOf(offer.Config["include"])[0])
			groups = append(groups, group{include: include})
			d.say("Logs: %s (%s)", include, offer.Evidence)
		}
	}
	d.rules(o, groups)
	for _, n := range found.Notes {
		d.say("note: %s", n)
	}
	d.add(File, config(o, groups, databases, files))
	d.nothing = len(groups)+len(databases)+len(files) == 0
	return d
}

func listOf(v any) (out []string) {
	list, _ := v.([]any)
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func relative(dir, path string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return path
}

func relativeURI(dir, uri string) string {
	if path, ok := strings.CutPrefix(uri, "sqlite:///"); ok {
		return "sqlite:///" + relative(dir, path)
	}
	return uri
}

var unfit = regexp.MustCompile(`[^\p{L}\p{N}_.-]+`)

// rules makes a file of rules for each kind of logs.
func (d *draft) rules(o options, groups []group) {
	taken := map[string]bool{}
	for i := range groups {
		g := &groups[i]
		g.rules = "rules.yaml"
		if len(groups) > 1 {
			name := unfit.ReplaceAllString(strings.Trim(filepath.ToSlash(filepath.Dir(g.include)), "./"), "-")
			if name == "" {
				name = strings.TrimPrefix(filepath.Ext(g.include), ".")
			}
			g.rules = "rules-" + name + ".yaml"
			for n := 2; taken[g.rules]; n++ {
				g.rules = fmt.Sprintf("rules-%s-%d.yaml", name, n)
			}
		}
		taken[g.rules] = true
		sample, p := newest(filepath.Join(o.dir, g.include))
		n := p.Trial
		comment := []string{
			"What the lines of " + g.include + " mean (docs/log-rules.md). Made of the lines of " + filepath.Base(sample) + ": a guess, which you",
			"should read. Try changes with: mida rules test --config " + g.rules + " " + relative(o.dir, sample),
		}
		if strings.Contains(p.Spec.Line, "{time}") {
			comment = append(comment, "Times without a zone are taken for this machine's; else add timezone: Europe/Berlin, say.")
		}
		if strings.Contains(p.Spec.Line, "{clock}") {
			comment = append(comment, "Its times have no date, so tasks have no times: let the script log dates, too (%Y-%m-%d %H:%M:%S).")
		}
		d.add(g.rules, propose.YAML(p.Spec, comment...))
		shown, _ := capture.Text(fmt.Sprintf("%s: %d of %d entries of %s are matched by a rule, %d are ignored, %d are not matched; %d tasks come out",
			g.rules, n.Matched, n.Entries, relative(o.dir, sample), n.Ignored, n.Unmatched+n.Unusable, n.Tasks))
		d.say("%s", shown)
		for _, line := range n.First {
			text, _ := capture.Text(line)
			d.say("  no rule is for: %s", text)
		}
	}
}

// newest proposes rules for the log that was written last.
func newest(glob string) (string, propose.Proposal) {
	paths, _ := filepath.Glob(glob) // of our own making
	best, at := "", time.Time{}
	for _, p := range paths {
		if info, err := os.Lstat(p); err == nil && info.Mode().IsRegular() && info.Size() > 0 && !info.ModTime().Before(at) {
			best, at = p, info.ModTime()
		}
	}
	return best, discover.Propose(best)
}
