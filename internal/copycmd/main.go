// Package copycmd is the command "otelcol-mida copy": it moves a view between SQLite and a cluster, or between two of
// one kind, without a collector.
package copycmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/transfer"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

const usage = `Usage: otelcol-mida copy --from VIEW --to VIEW [--campaign C] [--state FILE]

Copies all tasks with their claims, workflows, environments, entities and
observers, merged with what the target has; then reads both sides and compares
them. It can be repeated, and goes on where it was broken off.

  --from VIEW   mida.db, sqlite:///mida.db (four slashes: an absolute path), or
                elasticsearch://host:9200[,host:9200…][/prefix], opensearch://…,
                with +https behind the name for TLS, then ?ca_file=ca.pem
  --to VIEW     likewise; a view that does not exist is made
  --campaign C  only this campaign
  --state FILE  where the copy notes how far it is; by default a file beside the
                target, or in the current directory when that is a cluster

User names, passwords and API keys of clusters are read from MIDA_FROM_USERNAME,
MIDA_FROM_PASSWORD, MIDA_FROM_API_KEY and from MIDA_TO_… likewise.

A collector may have the source open; a target database must be free.

Exit status: 0; 1 when the target does not have all of the source, or the copy
was broken off; 2 when it could not begin.
`

// Main runs the command and returns its exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	var from, to string
	o := transfer.Options{}
	fs := flag.NewFlagSet("copy", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&from, "from", "", "")
	fs.StringVar(&to, "to", "", "")
	fs.StringVar(&o.Campaign, "campaign", "", "")
	fs.StringVar(&o.StatePath, "state", "", "")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil:
		return fail(stderr, err)
	case fs.NArg() > 0:
		return fail(stderr, fmt.Errorf("%q is not understood; see: otelcol-mida copy --help", fs.Arg(0)))
	case from == "" || to == "":
		fmt.Fprint(stderr, usage)
		return 2
	}
	source, err1 := parseLocation("from", from)
	target, err2 := parseLocation("to", to)
	if err := errors.Join(err1, err2); err != nil {
		return fail(stderr, err)
	}
	if source.String() == target.String() {
		return fail(stderr, fmt.Errorf("--from and --to are both %s", source))
	}
	o.From, o.To = source.String(), target.String()
	if o.StatePath == "" {
		o.StatePath = statePath(target, o)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := &run{options: o, out: stdout, notes: stderr}
	status, err := r.between(ctx, source, target)
	if err != nil {
		fmt.Fprintf(stderr, "otelcol-mida copy: %v\n", err)
		if status == 1 {
			fmt.Fprintln(stderr, "The same command goes on from here.")
		}
	}
	return status
}

func fail(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "otelcol-mida copy: %v\n", err)
	return 2
}

// statePath is the default of --state.
func statePath(target location, o transfer.Options) string {
	name := ".copy-" + view.Name(o.From, o.To, o.Campaign)[:12]
	if target.cluster == nil {
		return target.path + name
	}
	return "mida" + name
}

type run struct {
	options    transfer.Options
	out, notes io.Writer
}

// between copies and compares. A status of 2 says that it did not begin.
func (r *run) between(ctx context.Context, source, target location) (status int, err error) {
	from, closeSource, err := source.source(ctx)
	if err != nil {
		return 2, fmt.Errorf("--from: %w", err)
	}
	defer func() { err = errors.Join(err, closeSource()) }()
	to, err := target.target(ctx)
	if err != nil {
		return 2, fmt.Errorf("--to: %w", err)
	}
	defer func() { err = errors.Join(err, closeSoon(to)) }()
	fmt.Fprintf(r.out, "from %s\nto   %s\n", source, target)
	report, err := r.copy(ctx, from, to)
	if err != nil {
		return 1, err
	}
	r.print(report)
	if !report.Complete() {
		return 1, nil
	}
	return 0, nil
}

// closeSoon closes a store. A cluster that does not answer holds up nobody for ever.
func closeSoon(s interface{ Close(context.Context) error }) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return s.Close(ctx)
}

func (r *run) copy(ctx context.Context, from store.Snapshot, to store.Store) (*transfer.Report, error) {
	r.options.Progress = func(kind store.PartKind, imported, known int64) {
		fmt.Fprintf(r.notes, "%s: %d copied", kind, imported)
		if known > 0 {
			fmt.Fprintf(r.notes, ", %d known from before", known)
		}
		fmt.Fprintln(r.notes)
	}
	for {
		result, err := transfer.Copy(ctx, from, to, r.options)
		if err != nil {
			return nil, err
		}
		for i, refused := range result.Refused {
			if i == 20 {
				fmt.Fprintf(r.out, "… and %d more\n", len(result.Refused)-i)
				break
			}
			fmt.Fprintf(r.out, "refused: %s %s: %v\n", refused.Kind, refused.ID, refused.Err)
		}
		report, err := r.compare(ctx, from, to)
		if err != nil {
			return nil, err
		}
		// Nothing is left to go on from: the next copy looks at everything.
		if err := transfer.Forget(r.options); err != nil {
			return nil, err
		}
		if report.Complete() || !result.Resumed() {
			return report, nil
		}
		fmt.Fprintln(r.notes, "The target lost something that it had: everything is copied again.")
	}
}

func (r *run) compare(ctx context.Context, from store.Snapshot, to store.Store) (_ *transfer.Report, err error) {
	fmt.Fprintln(r.notes, "comparing both sides")
	now, err := to.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, now.Close()) }()
	return transfer.Compare(ctx, from, now, r.options.Campaign)
}

// print says how many parts each side has, and the checksums over those that the source has.
func (r *run) print(report *transfer.Report) {
	fmt.Fprintf(r.out, "%-13s %12s %12s  %-16s %-16s\n", "", "source", "target", "checksum", "of target")
	for _, k := range report.Kinds {
		fmt.Fprintf(r.out, "%-13s %12d %12d  %.16s %.16s  %s\n", k.Kind, k.Source.Parts, k.Target.Parts, k.Source, k.Target, verdict(k))
	}
	for _, e := range report.Examples {
		fmt.Fprintf(r.out, "in the target, %s\n", e)
	}
	if !report.Complete() {
		fmt.Fprintln(r.out, "NOT COMPLETE: the target does not have all that the source has")
	}
}

func verdict(k transfer.Kind) string {
	text := "equal"
	if k.Source != k.Target {
		text = "all there"
	}
	if k.Missing > 0 || k.Different > 0 {
		text = fmt.Sprintf("DIFFER: %d missing, %d different", k.Missing, k.Different)
	}
	if k.Richer > 0 {
		text += fmt.Sprintf("; of %d the target knows more", k.Richer)
	}
	if k.Extra > 0 {
		text += fmt.Sprintf("; %d others in the target", k.Extra)
	}
	return text
}
