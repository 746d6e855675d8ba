package initcmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// config writes mida.yaml.
func config(o options, groups []group, databases, files []string) string {
	var b strings.Builder
	b.WriteString("# What `mida up` observes in this directory. `mida doctor` says what it sees of it.\n")
	campaign := o.campaign
	if campaign == "" {
		campaign = filepath.Base(o.dir)
	}
	fmt.Fprintf(&b, "campaign: %s\n", quoted(campaign))
	if o.site != "" {
		fmt.Fprintf(&b, "site: %s\n", quoted(o.site))
	} else {
		b.WriteString("# site: my.site   # name of this machine or cluster in the identity of files\n")
	}
	switch {
	case len(groups) == 0:
		b.WriteString("# logs: 'logs/*.log'   # with rules in rules.yaml (docs/log-rules.md)\n")
	case len(groups) == 1 && groups[0].rules == "rules.yaml":
		fmt.Fprintf(&b, "logs: %s   # what the lines mean is in rules.yaml\n", quoted(groups[0].include))
	default:
		b.WriteString("logs:\n")
		for _, g := range groups {
			fmt.Fprintf(&b, "  - {include: %s, rules: %s}\n", quoted(g.include), quoted(g.rules))
		}
	}
	switch len(databases) {
	case 0:
		b.WriteString("mlflow: 'sqlite:///mlflow.db'   # is not there yet; false: none\n")
	case 1:
		fmt.Fprintf(&b, "mlflow: %s\n", quoted(databases[0]))
	default:
		b.WriteString("mlflow:\n")
		for _, uri := range databases {
			fmt.Fprintf(&b, "  - %s\n", quoted(uri))
		}
	}
	if len(files) == 0 {
		b.WriteString("dask: auto   # also a list of addresses tcp://host:port and of scheduler files, or false\n")
	} else {
		b.WriteString("dask:\n  - auto\n")
		for _, f := range files {
			fmt.Fprintf(&b, "  - %s\n", quoted(f))
		}
	}
	return b.String()
}

// quoted is a text that YAML takes for nothing else.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// check refuses to replace what is there.
func (d *draft) check(o options) error {
	if o.force || o.dry {
		return nil
	}
	var there []string
	for _, name := range d.names {
		if _, err := os.Lstat(filepath.Join(o.dir, name)); err == nil {
			there = append(there, name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(there) > 0 {
		return fmt.Errorf("%s: %s there already; --force replaces, --dry-run prints what would be written", strings.Join(there, ", "), isAre(len(there)))
	}
	return nil
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func (d *draft) write(o options, stdout io.Writer) error {
	for _, name := range d.names {
		if o.dry {
			fmt.Fprintf(stdout, "--- %s\n%s\n", name, d.files[name])
			continue
		}
		if err := replace(filepath.Join(o.dir, name), d.files[name]); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s written\n", filepath.Join(o.dir, name))
	}
	for _, s := range d.said {
		fmt.Fprintln(stdout, s)
	}
	if d.nothing {
		fmt.Fprintln(stdout, "Nothing was found that could be observed yet: correct the file, or run it where the logs and databases lie.")
	}
	if !o.dry {
		fmt.Fprintln(stdout, "Next: `mida up` in that directory, then `mida status` and `mida doctor` in another terminal.")
	}
	return nil
}

// replace writes a file as a whole, beside a link rather than through it.
func replace(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".mida-init-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
